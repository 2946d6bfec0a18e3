"""Phantoms: the challenge's layout, truthful targets, planted relations, speckle statistics, reproducible bytes."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from aggregation_lab.data.phantoms import DEFAULT_TASKS, PhantomConfig, write_phantoms
from aggregation_lab.data.phantoms.catalogue import SOURCES, TASK_PLANS
from aggregation_lab.data.phantoms.physics import Probe, beam_grid, envelope
from aggregation_lab.data.phantoms.plan import Picture, pictures
from aggregation_lab.data.phantoms.render import render
from aggregation_lab.data.phantoms.shapes import Blob, Tube
from aggregation_lab.data.phantoms.tissue import Pose
from aggregation_lab.errors import AgglabError
from aggregation_lab.tasks import CHALLENGE_TASKS, TaskType

COLUMNS = {
    "segmentation": {"mask_path"},
    "classification": {"mask"},
    "detection": {"x_min", "y_min", "x_max", "y_max"},
    "Regression": {"point_1_xy", "point_2_xy"},
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 27 tasks, tiny."""
    config = PhantomConfig(tasks=tuple(CHALLENGE_TASKS), scale=0.004, minimum=10, maximum=24, image_size=64)
    return write_phantoms(tmp_path_factory.mktemp("phantoms") / "all", config)


@pytest.fixture(scope="module")
def tables(everything: Path) -> dict[str, pd.DataFrame]:
    """CSV rows by task, read as the challenge lays them out."""
    frames = [pd.read_csv(path) for path in sorted((everything / "train/csv_files").glob("*.csv"))]
    rows = pd.concat(frames, ignore_index=True)
    return {str(task): table.dropna(axis=1, how="all") for task, table in rows.groupby("task_id")}


def locate(everything: Path, path: str) -> Path:
    assert path.startswith("../")
    return everything / "train/csv_files" / path


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_task_of_the_challenge_is_written_in_its_layout(
    everything: Path, tables: dict[str, pd.DataFrame]
) -> None:
    assert set(tables) == set(CHALLENGE_TASKS)
    for name, table in tables.items():
        task = CHALLENGE_TASKS[name].task
        task_name = "Regression" if task.type is TaskType.REGRESSION else str(task.type)
        assert set(table["task_name"]) == {task_name}
        assert set(table["num_classes"]) == {task.classes}
        assert COLUMNS[task_name] <= set(table.columns)
        assert not any(COLUMNS[other] & set(table.columns) for other in COLUMNS if other != task_name)
        assert table["image_path"].is_unique
        for path in table["image_path"]:
            with Image.open(locate(everything, path)) as image:
                assert max(image.size) == 64
        folder = table["image_path"].str.split("/").str[1].unique()
        assert set(folder) <= {"Segmentation", "Classification", "Detection", "Regression"}


def test_masks_hold_class_indices_and_every_structure_is_seen(
    everything: Path, tables: dict[str, pd.DataFrame]
) -> None:
    for name, table in tables.items():
        if CHALLENGE_TASKS[name].task.type is not TaskType.SEGMENTATION:
            continue
        seen: set[int] = set()
        for image_path, mask_path in zip(table["image_path"], table["mask_path"], strict=True):
            with Image.open(locate(everything, mask_path)) as mask, Image.open(locate(everything, image_path)) as image:
                assert mask.size == image.size and mask.mode == "L"
                seen |= set(np.unique(np.asarray(mask)).tolist())
        assert seen == set(range(CHALLENGE_TASKS[name].task.classes)), name


def test_labels_boxes_and_points_are_valid(everything: Path, tables: dict[str, pd.DataFrame]) -> None:
    for name, table in tables.items():
        task = CHALLENGE_TASKS[name].task
        if task.type is TaskType.CLASSIFICATION:
            assert set(table["mask"].astype(int)) <= set(range(task.classes))
            assert all(TASK_PLANS[name].labels[str(row.appearance)] == row.mask for row in table.itertuples())
        for row in table.to_dict("records"):
            with Image.open(locate(everything, row["image_path"])) as image:
                width, height = image.size
            if task.type is TaskType.DETECTION:
                assert 0 <= row["x_min"] < row["x_max"] <= width and 0 <= row["y_min"] < row["y_max"] <= height
            if task.type is TaskType.REGRESSION:
                for number in range(1, task.classes + 1):
                    x, y = json.loads(row[f"point_{number}_xy"])
                    assert 0 <= x < width and 0 <= y < height


def test_default_covers_all_types_and_several_groups() -> None:
    tasks = [CHALLENGE_TASKS[name].task for name in DEFAULT_TASKS]
    assert len(tasks) >= 9 and {task.type for task in tasks} == set(TaskType)
    assert len({task.group for task in tasks}) >= 3


def test_sizes_follow_the_challenge() -> None:
    config = PhantomConfig(tasks=("fetal_head", "cervix"), scale=0.1, minimum=1, maximum=1000)
    assert {task: sum(map(len, pictures(config, task).values())) for task in config.tasks} == {
        "fetal_head": 231,
        "cervix": 33,
    }


def test_every_class_has_subjects_enough_for_a_split() -> None:
    config = PhantomConfig(tasks=tuple(CHALLENGE_TASKS), scale=1e-6, minimum=1)
    for task in config.tasks:
        shown = [picture for part in pictures(config, task).values() for picture in part]
        for label in TASK_PLANS[task].labels:
            assert len({(p.source, p.subject) for p in shown if p.appearance == label}) >= 2, (task, label)


def test_planted_relations_are_true(everything: Path, tables: dict[str, pd.DataFrame]) -> None:
    document = json.loads((everything / "relatedness.json").read_text())
    content = {
        task: {hashlib.sha256(locate(everything, path).read_bytes()).hexdigest() for path in table["image_path"]}
        for task, table in tables.items()
    }
    assert len(document["pairs"]) == 27 * 26 // 2
    relations = {frozenset(pair["tasks"]): pair for pair in document["pairs"]}
    assert {pair["relation"] for pair in document["pairs"]} == {
        "conflict",
        "shared_images",
        "shared_anatomy",
        "unrelated",
    }
    for tasks, pair in relations.items():
        first, second = tasks
        assert pair["shared_images"] == len(content[first] & content[second]), tasks
        for appearance, labels in pair.get("labels", {}).items():
            for task, label in labels.items():
                rows = tables[task]
                assert set(rows.loc[rows["appearance"] == appearance, "mask"]) == {label}
        if "labels" in pair:
            a, b = ([labels[task] for labels in pair["labels"].values()] for task in pair["tasks"])
            assert a == b[::-1] and set(a) == {0, 1}
        if "targets" in pair:
            assert all(TASK_PLANS[task].structures == (target,) for task, target in pair["targets"].items())
            assert len(set(pair["targets"].values())) == 2
    assert relations[frozenset({"breast_lesion", "breast_3cls"})]["relation"] == "shared_images"
    assert set(tables["breast_3cls"]["image_path"]) & set(tables["breast_lesion"]["image_path"])
    assert relations[frozenset({"cervix_multi", "FUGC"})]["shared_images"] > 0
    for task, facts in document["tasks"].items():
        assert facts["images"] == len(tables[task])


def test_conflicting_targets_lie_in_the_same_picture_apart() -> None:
    for source in ("DDTI+TN3K", "Thyroid_cine, boxes", "Carotid_1100"):
        for subject in range(4):
            view = render(Picture(source, subject, 0, "standard"), 96, seed=0)
            dark, bright, artery = (view.mask((name,)) > 0 for name in ("dark nodule", "bright nodule", "artery"))
            assert dark.any() and bright.any() and artery.any()
            assert not (dark & bright).any() and not (dark & artery).any() and not (bright & artery).any()
            assert view.image[dark].mean() < view.image[bright].mean()
            assert view.image[artery].mean() < view.image[bright].mean()


def test_left_and_right_positions_differ_in_the_picture() -> None:
    """The drawn spine lies on the side the label names, after pose and scan conversion, and is bright there."""
    source = SOURCES["fetal_sacral_position"]
    for appearance, side in (("LST", 1), ("RST", -1)):
        for subject in range(4):
            view = render(Picture(source.name, subject, 0, appearance), 96, seed=0)
            trunk = view.truth.shapes["trunk"]
            assert isinstance(trunk, Blob)
            spine, centre = view.pose.to_canvas(trunk.point(0.0, 0.8)), view.pose.to_canvas((trunk.x, trunk.y))
            assert (spine[0] - centre[0]) * side > 0.1
            column, row = (round(value * view.image.shape[1]) for value in spine)
            mirrored = round((2 * centre[0] - spine[0]) * view.image.shape[1])
            here, there = (view.image[row - 4 : row + 5, c - 4 : c + 5].max() for c in (column, mirrored))
            assert here > there


def test_speckle_is_rayleigh_and_shadow_free() -> None:
    grid = beam_grid(Probe(0.8), 256)
    ones, zeros = np.ones_like(grid.x), np.zeros_like(grid.x)
    seen = envelope(np.random.default_rng(0), ones, zeros, grid)[30:-30, 20:-20]
    assert seen.mean() / seen.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.03, abs=0)
    assert np.mean(seen**2) == pytest.approx(1.0, rel=0.05, abs=0)


def test_frames_of_a_subject_share_anatomy_but_not_speckle() -> None:
    frames = [render(Picture("HC18_fetal_head_999", 3, frame, "standard"), 64, seed=1) for frame in (0, 1)]
    assert frames[0].truth == frames[1].truth
    assert not np.array_equal(frames[0].image, frames[1].image)


def test_same_configuration_same_bytes_whatever_the_workers(tmp_path: Path) -> None:
    config = PhantomConfig(tasks=("fetal_femur", "thyroid_nodule_det"), scale=0.001, minimum=4, image_size=64, seed=5)
    calls: list[tuple[int, int]] = []
    first = write_phantoms(tmp_path / "a", config, lambda done, total: calls.append((done, total)))
    second = write_phantoms(tmp_path / "b", config, workers=2)
    assert digests(first) == digests(second)
    assert calls == [(done, 8) for done in range(1, 9)]
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    write_phantoms(first, config)
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before


def test_other_folders_are_refused_and_failures_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = PhantomConfig(tasks=("cervix",), minimum=2, maximum=2, image_size=64)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("keep")
    with pytest.raises(AgglabError, match="holds other files"):
        write_phantoms(foreign, config)
    assert (foreign / "thesis.txt").read_text() == "keep"
    ours = write_phantoms(tmp_path / "ours", config)
    with pytest.raises(AgglabError, match="another configuration"):
        write_phantoms(ours, PhantomConfig(tasks=("cervix",), minimum=3, maximum=3, image_size=64))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(AgglabError, match="No space left"):
        write_phantoms(tmp_path / "new", config)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign", "ours"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tasks", ("hip",)),
        ("tasks", ("lung", "lung")),
        ("scale", 0.0),
        ("minimum", 999),
        ("image_size", 8),
        ("seed", -1),
    ],
)
def test_bad_configuration_is_named(field: str, value: object) -> None:
    with pytest.raises(AgglabError, match=field):
        PhantomConfig(**{field: value})  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(turn=st.floats(-3, 3), scale=st.floats(0.5, 2), x=st.floats(-1, 1), y=st.floats(-1, 1))
def test_a_pose_and_its_inverse_cancel(turn: float, scale: float, x: float, y: float) -> None:
    pose = Pose(turn, scale, (0.1, -0.05))
    back = pose.to_body(*(np.array([value], np.float32) for value in pose.to_canvas((x, y))))
    assert np.allclose(np.ravel(back), (x, y), rtol=1e-6, atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(angle=st.floats(-3, 3), direction=st.floats(0, 6.2), bow=st.floats(-0.2, 0.2), share=st.floats(0.05, 0.95))
def test_shapes_agree_with_their_own_points(angle: float, direction: float, bow: float, share: float) -> None:
    blob, tube = Blob(0.5, 0.4, 0.2, 0.1, angle), Tube((0.1, 0.2), (0.8, 0.5), 0.02, bow)
    (x, y), (u, v) = blob.point(direction), tube.point(share)
    assert abs(blob.distance(np.array([x], np.float32), np.array([y], np.float32))[0]) < 1e-4
    assert tube.distance(np.array([u], np.float32), np.array([v], np.float32))[0] == pytest.approx(-0.02, abs=1e-4)
