"""A fifth task type, made here of its two halves, goes the whole way from CSV to verdict without a change elsewhere."""

import ast
import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch import Tensor, nn

from aggregation_lab import results
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.model.heads.network import Network
from aggregation_lab.tasks import METRICS, Metric, Quantity, Score, TaskType, find_type, read_type, register, task_type
from aggregation_lab.tasks.marks import Mark, Shares
from aggregation_lab.tasks.targets import Reference, TargetCells
from aggregation_lab.tasks.task_type import ArmValues, CaseValues
from aggregation_lab.tasks.weighted_mean import weighted_mean
from analysis.pipeline import analyse
from analysis.settings import Settings
from analysis.study import load_study
from runners.cli import main
from tests import ROOT
from tests.conftest import _ellipse, _save, _texture
from tests.tiny import write_study

MOST = 3
"""Largest count; num_classes is one more."""


class Count(TaskType):
    """How many objects an image shows: a whole number in the column mask. Predictions are shares of the most."""

    name = "count"
    short_names = ("cnt",)
    target = "label"
    fewest_classes = 2
    rules = ("label_values",)
    quantities = {"count_error": "difference from the reference, objects", "most": "largest count"}
    metrics = (Metric("MAE", False, "objects"),)
    case_score = "1 - error / largest count"
    network_path = f"{__name__}:NETWORK"

    @property
    def unit_free(self) -> str:
        return "1 - MAE / largest count"

    def read_target(self, cells: TargetCells) -> int | None:
        return cells.label("mask")

    def targets(self, cases: pd.DataFrame) -> np.ndarray:
        return cases["label"].to_numpy(float)

    def floor(self, targets: np.ndarray, classes: int) -> np.ndarray:
        return np.array([targets.mean()]) / (classes - 1)

    def truth(self, reference: Reference, classes: int) -> np.ndarray:
        return np.array([reference.label / (classes - 1)])

    def marks(self, in_pixels: np.ndarray) -> list[Mark]:
        return [Shares(tuple(in_pixels.tolist()))]

    def case_quantities(self, in_pixels: np.ndarray, reference: Reference, classes: int) -> list[Quantity]:
        error = abs(float(in_pixels[0]) * (classes - 1) - reference.label)
        return [("count_error", 0, error), ("most", 0, classes - 1)]

    def case_scores(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        return 1 - values["count_error"][..., 0] / values["most"][..., 0]

    def scores(self, values: CaseValues) -> list[Score]:
        error = float(values("count_error").mean())
        return [Score("score", max(0.0, 1 - error / values("most")[0, 0])), Score("MAE", error)]

    def weighted_scores(self, values: ArmValues, weights: np.ndarray, count_empty: bool) -> dict[str, np.ndarray]:
        error = weighted_mean(values["count_error"][..., 0], weights)
        return {"score": np.maximum(0.0, 1 - error / values["most"][0, 0, 0]), "MAE": error}

    def validation_score(self, predictions: np.ndarray, targets: np.ndarray, classes: int, sides: np.ndarray) -> float:
        return max(0.0, 1 - float(np.abs(predictions[:, 0] - targets / (classes - 1)).mean()))


class CountHead(nn.Module):
    """The sum over the map of how much of an object each cell holds."""

    def __init__(self, *, dim: int, classes: int, width: int):
        super().__init__()
        self.density = nn.Sequential(nn.Conv2d(dim, width, 1), nn.GELU(), nn.Conv2d(width, 1, 1))
        self.most = classes - 1

    def forward(self, features: Tensor, size: int) -> Tensor:
        return self.density(features).float().sum((1, 2, 3))

    def predict(self, output: Tensor) -> Tensor:
        return (output / self.most).clamp(0, 1).unsqueeze(1)


NETWORK = Network(CountHead, loss=lambda output, counts: (output - counts).abs(), move=lambda counts, movement: counts)


@pytest.fixture
def counting(monkeypatch):
    """The type is known during a test."""
    monkeypatch.setattr(task_type, "_TYPES", dict(task_type._TYPES))
    monkeypatch.setattr(task_type, "METRICS", METRICS)
    monkeypatch.setitem(METRICS, "MAE", Count.metrics[0])
    register(Count())


def add_counts(train: Path, images: int = 40) -> None:
    """Images of 0 to MOST bright dots, and their CSV."""
    random = np.random.default_rng(5)
    rows: list[list[object]] = [["task_id", "task_name", "num_classes", "image_path", "mask"]]
    for number in range(images):
        count, path = number % (MOST + 1), f"Counting/dots {number:02d}.png"
        dots = sum((_ellipse(12 + 18 * dot, random.uniform(12, 36), 4, 4) for dot in range(count)), np.zeros((48, 64)))
        _save(train / path, _texture(random) + 120 * dots)
        rows.append(["tiny_dots", "Count", MOST + 1, f"../{path}", count])
    with open(train / "csv_files" / "Cnt-Three_1.dots.csv", "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


def agglab(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return int(stopped.value.code or 0)


@pytest.mark.slow
@pytest.mark.usefixtures("one_choice")
def test_a_fifth_type_is_read_trained_scored_and_analysed(counting, tiny_data, tmp_path, capfd):
    add_counts(tiny_data / "train")
    study = write_study(
        tmp_path / "study.yaml",
        data={"root": str(tiny_data), "tasks": ["tiny_dots", "tiny_kind"]},
        aggregations=["TS", "AU"],
        margins={"count": 0.1},
    )
    out = tmp_path / "out"
    assert agglab("run-grid", study, "--out", out, "--engine", "debug", "--device", "cpu") == 0, capfd.readouterr()
    tables = load_study(out)
    scores = tables.scores[tables.scores["task"] == "tiny_dots"]
    assert set(scores["type"]) == {"count"} and set(scores["metric"]) == {"score", "MAE"}
    assert set(scores["aggregation"]) == {"TS", "AU", "floor"}
    cases = results.read_table(out / "cases.parquet", results.CASES).query("task == 'tiny_dots'")
    dataset = read_dataset(tiny_data)
    floor = cases[(cases["aggregation"] == "floor") & (cases["quantity"] == "count_error")]
    label = floor["case"].map(dataset.cases.set_index("case")["label"])
    predicted = np.where(label > MOST / 2, label - floor["value"], label + floor["value"])
    assert np.ptp(predicted) < 1e-9 and 1.2 < predicted[0] < 1.8  # always the mean of 0 .. MOST
    analysis = analyse(tables, Settings(draws=200))
    gain = analysis.frames["gains"].query("task == 'tiny_dots'").iloc[0]
    assert gain["metric"] == "MAE" and gain["margin"] == 0.1 and np.isfinite(gain["gain"])
    assert agglab("scores", out) == 0 and "MAE (down)" in capfd.readouterr().out


def test_types_are_known_by_name_only_once_registered():
    assert read_type("cnt") is None and "MAE" not in METRICS
    with pytest.raises(AttributeError, match="COUNT: is no task type; there are SEGMENTATION, "):
        _ = TaskType.COUNT
    with pytest.raises(ValueError, match="'count' is no task type"):
        TaskType.of("count")


NAMING_TYPES = {
    "aggregation_lab/tasks": "what the types are",
    "aggregation_lab/data/phantoms": "data of given types",
    "aggregation_lab/data/importing/readers": "foreign formats, which hold targets of given types",
    "aggregation_lab/data/importing/drawing/drawn_shapes.py": "shapes drawn on images, and the types that they make",
    "aggregation_lab/data/importing/documents/coco_forms.py": "the name of a field of COCO",
    "aggregation_lab/data/importing/table_columns.py": "the columns by which a table shows its type",
    "aggregation_lab/data/importing/table_targets.py": "the target of each type in the rows of a table",
    "runners/bench": "data of given types",
    "analysis/validation": "studies of given types",
    "analysis/figures": "the colours of the types that are known",
    "analysis/questions/finding_parts.py": "a finding about segmentation",
    "aggregation_lab/data/rows/columns.py": "a name of the column mask_path",
}
"""Who may name a task type, and why."""


def type_names(path: Path) -> list[str]:
    """Members of `TaskType` and names of types that a file holds."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "TaskType":
            found += [node.attr] if node.attr.isupper() else []
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [node.value] if find_type(node.value) else []
    return found


def test_nobody_else_asks_which_type_a_task_has():
    files = [path for room in ("aggregation_lab", "analysis", "runners") for path in (ROOT / room).rglob("*.py")]
    naming = {path.relative_to(ROOT).as_posix(): type_names(path) for path in files}
    naming = {path: names for path, names in naming.items() if names}
    allowed = tuple(NAMING_TYPES)
    assert {path: names for path, names in naming.items() if not path.startswith(allowed)} == {}
    assert all(any(path.startswith(place) for path in naming) for place in NAMING_TYPES)
