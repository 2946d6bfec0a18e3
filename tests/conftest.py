"""A small, valid data folder in the challenge's layout: all four task types, drawn in a moment.

- `tiny_head` (segmentation, 3 classes), `tiny_head_det` (detection) and `tiny_head_axis` (regression) share images of
  the folder HC18_tiny: 14 patients with two images each, `000_HC.png` and `000_2HC.png`.
- `tiny_kind` (classification) comes in two CSVs, from a folder with a comma, spaces and U+00A0 in its name; the image
  `copy.png` is a mirrored copy of `kind 00.png`.
"""

import csv
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter

from aggregation_lab.data.challenge import Dataset, read_dataset
from tests.aggregation_lab.inference.trained import Trained, train
from tests.made_predictions import make_predicted
from tests.once import made_once
from tests.started import torch_at_hand

# The same examples on every machine and every day, however long they take there; FUZZ_SEED asks for others.
settings.register_profile(
    "suite", derandomize="FUZZ_SEED" not in os.environ, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

# What agglab counts as its cores, here and in the processes that tests start: two test processes share two cores, and
# runs of several threads that wait for each other's cores take up to thirty times as long.
os.environ["SLURM_CPUS_PER_TASK"] = "1"


@pytest.fixture(autouse=True)
def threads_of_torch() -> Iterator[None]:
    """A run of `--engine debug` sets the threads of this process; two test processes that kept them would wait for
    each other's cores, and every later test take up to thirty times as long."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    yield
    if torch and torch.get_num_threads() != before:
        torch.set_num_threads(before)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every process begins with files of slow tests: those that are left to share out in the end are short ones.

    pytest-xdist gives each of its workers an equal part of the list to begin with; files are dealt to these parts.
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    files = sorted({item.path: None for item in items}, key=lambda path: path not in slow)
    place = {path: (number % workers, number) for number, path in enumerate(files)}
    items.sort(key=lambda item: place[item.path])


HEIGHT, WIDTH = 48, 64
PATIENTS = 14
KIND_FOLDER = "Classification/Two/Kinds, of\u00a0lesion (24)"


def _texture(generator: np.random.Generator) -> np.ndarray:
    noise = gaussian_filter(generator.normal(size=(HEIGHT, WIDTH)), 2.5)
    return 90 + 30 * noise / noise.std()


def _ellipse(x: float, y: float, a: float, b: float) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return ((columns - x) / a) ** 2 + ((rows - y) / b) ** 2 <= 1


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


def _write_csv(path: Path, header: list[str], rows: list[list[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


def _draw_heads(train: Path, generator: np.random.Generator) -> None:
    folder = "Segmentation/Three/HC18_tiny"
    segmentation, detection, regression = [], [], []
    for patient in range(PATIENTS):
        for name in (f"{patient:03d}_HC.png", f"{patient:03d}_2HC.png"):
            x, y = generator.uniform(24, 40), generator.uniform(20, 28)
            a, b = generator.uniform(10, 18), generator.uniform(8, 14)
            head, core = _ellipse(x, y, a, b), _ellipse(x, y, a / 3, b / 3)
            _save(train / folder / "images" / name, _texture(generator) + 80 * head - 90 * core)
            _save(train / folder / "masks" / name, head.astype(int) + core)
            image, mask = f"../{folder}/images/{name}", f"../{folder}/masks/{name}"
            segmentation.append(["tiny_head", "segmentation", 3, image, mask, HEIGHT])
            box = [round(x - a, 1), round(y - b, 1), round(x + a, 1), round(y + b, 1)]
            if patient < 10:
                detection.append(["tiny_head_det", "detection", "", image, "../notes/a.xml", *box])
            if patient >= 4:
                ends = [json.dumps([round(x - a, 1), round(y, 1)]), json.dumps([round(x + a, 1), round(y, 1)])]
                regression.append(["tiny_head_axis", "Regression", 2, image, *ends])
    common = ["task_id", "task_name", "num_classes", "image_path"]
    tables = train / "csv_files"
    _write_csv(tables / "Seg-Three_1.HC18_tiny.csv", [*common, "mask_path", "height"], segmentation)
    _write_csv(tables / "Det-One_1.box.csv", [*common, "mask_path", "x_min", "y_min", "x_max", "y_max"], detection)
    _write_csv(tables / "Reg-Two_1.axis.csv", [*common, "point_1_xy", "point_2_xy"], regression)


def _draw_kinds(train: Path, generator: np.random.Generator) -> None:
    rows: list[list[object]] = []
    for number in range(24):
        name, label = f"kind {number:02d}.png", number % 2
        lesion = _ellipse(generator.uniform(20, 44), 24, 6 + 8 * label, 6)
        _save(train / KIND_FOLDER / name, _texture(generator) + (1 - 2 * label) * 60 * lesion)
        rows.append(["tiny_kind", "classification", 2, f"../{KIND_FOLDER}/{name}", label])
    with Image.open(train / KIND_FOLDER / "kind 00.png") as image:
        ImageOps.mirror(image).save(train / KIND_FOLDER / "copy.png")
    rows.append(["tiny_kind", "classification", 2, f"../{KIND_FOLDER}/copy.png", 0])
    header = ["task_id", "task_name", "num_classes", "image_path", "mask"]
    _write_csv(train / "csv_files" / "Cls-Two_1.kinds, first.csv", header, rows[:10])
    _write_csv(train / "csv_files" / "Cls-Two_2.kinds, second.csv", header, rows[10:])


@pytest.fixture(autouse=True)
def _same_draws_whatever_ran_before() -> None:
    """A test that draws without a seed of its own depends on neither the order of tests nor the number of processes."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def tiny_original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, drawn once; tests must not change it."""

    def draw(root: Path) -> None:
        generator = np.random.default_rng(0)
        _draw_heads(root / "train", generator)
        _draw_kinds(root / "train", generator)

    return made_once(tmp_path_factory, "tiny", draw)


@pytest.fixture
def tiny_data(tiny_original: Path, tmp_path: Path) -> Path:
    """A copy of the folder that a test may change."""
    return Path(shutil.copytree(tiny_original, tmp_path / "data"))


@pytest.fixture(scope="session")
def tiny_dataset(tiny_original: Path) -> Dataset:
    """The folder, read once; tests must not change it."""
    return read_dataset(tiny_original)


@pytest.fixture(scope="session")
def predicted(tiny_original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a finished study with kept predictions of all four task types, its study file beside it;
    tests must not change it."""

    def make(folder: Path) -> None:
        folder.mkdir()
        make_predicted(folder, tiny_original)

    return made_once(tmp_path_factory, "predicted", make) / "out"


@pytest.fixture(scope="session")
def trained_run(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run of all four tasks that has kept its last and its best weights; tests must not change it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    return train(tiny_dataset, folder, kinds=("last", "best"), precision="fp32")


@pytest.fixture
def workers_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of a grid are forked from one process, where how they start is not what is tested: a start from nothing
    takes a second, and ten where torch is loaded."""
    monkeypatch.setattr("runners.execution.pool.get_context", lambda _: torch_at_hand())


@pytest.fixture
def one_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Analyses do not try other choices, where these are not what is tested: they take half of a small analysis."""
    from analysis import pipeline

    others = tuple(step for step in pipeline.STEPS if step.frames != ("multiverse",))
    assert len(others) == len(pipeline.STEPS) - 1
    monkeypatch.setattr(pipeline, "STEPS", others)


@pytest.fixture
def one_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports draw one figure, where figures are not what is tested: all of them take ten seconds."""
    from analysis.figures import by_name

    monkeypatch.setattr("analysis.figures.FIGURES", (by_name("gains_forest"),))
