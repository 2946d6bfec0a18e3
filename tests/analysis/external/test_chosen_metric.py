"""A task of a score table with several metrics: gains, raw values, means and the floor are of one, which is said."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.context import prepare
from analysis.external import read_scores
from analysis.questions import study_quality
from analysis.questions.multiverse import multiverse
from analysis.questions.task_gains import task_gains
from analysis.settings import Settings
from analysis.study import StudyTables

QUICK = Settings(draws=20)
TASKS, SEEDS = 3, 3

DISTANCE = ("HD95", "lower", 20.0, 5.0)
"""Metric, its direction, the value of TS, and what AU adds: AU is worse in the distance, and better in overlap."""
DICE, IOU = ("DSC", "higher", 0.8, 0.03), ("IoU", "higher", 0.6, -0.04)
WITHIN, MILLIMETRES = ("SDR_2mm", "higher", 0.6, 0.05), ("MRE_mm", "lower", 3.0, 0.5)


def rows_of(*metrics: tuple[str, str, float, float], **columns: str) -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = [
        {"task": f"t{task}", "aggregation": name, "seed": seed, "metric": metric, "direction": direction}
        | {"value": level + change * (name == "AU") + level * random.normal(0, 0.005)}
        for task in range(TASKS)
        for name in ("TS", "AU")
        for seed in range(SEEDS)
        for metric, direction, level, change in metrics
    ]
    return pd.DataFrame(rows).assign(**columns)


def floors(**values: float) -> pd.DataFrame:
    directions = {"HD95": "lower", "DSC": "higher"}
    return pd.DataFrame(
        [
            {"task": f"t{task}", "aggregation": "floor", "seed": "", "metric": metric, "value": value}
            | {"direction": directions[metric]}
            for task in range(TASKS)
            for metric, value in values.items()
        ]
    )


def table(folder: Path, rows: pd.DataFrame) -> StudyTables:
    path = folder / "own.csv"
    rows.to_csv(path, index=False)
    return read_scores(path)


def frames(study: StudyTables) -> dict[str, pd.DataFrame]:
    """The frames in which the metric stands; a whole analysis takes seconds."""
    context = prepare(study, QUICK)
    gains = task_gains(context.study, context.resampled, context.pairs, QUICK)
    quality = {"scores": study_quality.scores(context.study, gains), "data": study_quality.data(context.study)}
    return {"gains": gains, **quality}


def metrics(found: dict[str, pd.DataFrame]) -> set[str]:
    return {name for each in ("gains", "scores", "data") for name in found[each]["metric"]}


@pytest.mark.parametrize("known", [{}, {"type": "segmentation"}])
def test_what_stands_beside_a_gain_is_of_its_metric(tmp_path, known):
    """The distance, in which AU is worse, stands first in the table; the floor is better in it than any model."""
    rows = pd.concat([rows_of(DISTANCE, DICE, **known), floors(HD95=10, DSC=0.3).assign(**known)])
    found = frames(table(tmp_path, rows))
    assert metrics(found) == {"DSC"} and set(found["gains"]["unit"]) == {"1"}
    gains = found["gains"]
    np.testing.assert_allclose(gains["joint_raw"] - gains["base_raw"], gains["gain"], rtol=0, atol=1e-9)
    assert (gains["gain"] > 0).all() and (gains["relative"] > 0).all()
    assert set(gains["verdict"]) == {"benefit"} and not gains["learned_nothing"].any()
    assert set(found["scores"]["floor"]) == {0.3}
    trained = found["scores"][found["scores"]["aggregation"] != "floor"]
    assert trained["beats_floor"].all()
    np.testing.assert_allclose(trained["mean"], trained["score"], rtol=0, atol=1e-9)
    assert found["data"]["margin_raw"].eq(0.02).all()


def test_a_floor_of_another_metric_is_none(tmp_path):
    found = frames(table(tmp_path, pd.concat([rows_of(DISTANCE, DICE), floors(HD95=10)])))
    assert found["scores"]["beats_floor"].isna().all() and set(found["gains"]["verdict"]) == {"benefit"}


@pytest.mark.parametrize(
    ("several", "known", "metric"),
    [
        ((WITHIN, MILLIMETRES), {"type": "regression"}, "SDR_2mm"),
        ((WITHIN, DICE), {}, "DSC"),
        ((("b", "higher", 0.5, 0.1), ("a", "higher", 0.5, 0.2)), {}, "a"),
        ((("HD_mm", "lower", 9.0, 1.0), MILLIMETRES), {}, "HD_mm"),
        ((IOU, DICE), {"type": "detection"}, "IoU"),
    ],
)
def test_the_order_of_the_rows_decides_nothing_and_the_metric_is_said(tmp_path, several, known, metric):
    rows = rows_of(*several, **known)
    given, turned = table(tmp_path, rows), table(tmp_path, rows.iloc[::-1])
    found, other = frames(given), frames(turned)
    assert metrics(found) == {metric}
    for name, frame in found.items():
        pd.testing.assert_frame_equal(frame, other[name], rtol=0, atol=1e-12)
    assert given.notes == turned.notes
    assert any(f"where there are several: {metric} of t0, t1, t2. To analyse" in note for note in given.notes)


def test_a_metric_that_some_model_lacks_is_not_taken(tmp_path):
    rows = rows_of(DICE, IOU, type="segmentation")
    lacking = (rows["task"] == "t0") & (rows["aggregation"] == "AU") & (rows["metric"] == "DSC")
    study = table(tmp_path, rows[~lacking])
    gains = frames(study)["gains"].set_index("task")
    assert gains["metric"].to_dict() == {"t0": "IoU", "t1": "DSC", "t2": "DSC"}
    np.testing.assert_allclose(gains["joint_raw"] - gains["base_raw"], gains["gain"], rtol=0, atol=1e-9)
    assert any("several: IoU of t0; DSC of t1, t2. " in note for note in study.notes)


def test_an_arm_without_the_metric_has_no_gain_of_another(tmp_path):
    area, accuracy = ("AUC", "higher", 0.8, 0.02), ("accuracy", "higher", 0.7, 0.02)
    both = pd.concat([rows_of(area, accuracy, type="classification", arm=arm) for arm in ("a", "b")])
    lacking = (both["task"] == "t0") & (both["metric"] == both["arm"].map({"a": "accuracy", "b": "AUC"}))
    study = table(tmp_path, both[~lacking])
    for arm, tasks in (("a", {"t0", "t1", "t2"}), ("b", {"t1", "t2"})):
        of_arm = study.of_arm(arm)
        gains = frames(of_arm)["gains"]
        assert set(gains["task"]) == tasks and set(gains["metric"]) == {"AUC"}
        assert set(multiverse(of_arm, None, gains, QUICK)[0]["task"]) == tasks


def test_pixel_errors_stand_beside_the_gain_that_is_made_of_them(tmp_path):
    """As in a study of this project: the score is 1 - error / diagonal, the primary metric the error in pixels."""
    pixels, relative = ("MRE", "lower", 10.0, -1.0), ("MRE_relative", "lower", 0.1, -0.01)
    rows = rows_of(pixels, relative, type="regression")
    study = table(tmp_path, rows)
    assert not any("where there are several" in note for note in study.notes)
    gains = frames(study)["gains"]
    assert set(gains["metric"]) == {"MRE"} and set(gains["unit"]) == {"px"}
    gap = (rows["task"] == "t0") & (rows["metric"] == "MRE") & (rows["seed"] == 0)
    gains = frames(table(tmp_path, rows[~gap]))["gains"].set_index("task")
    assert gains["metric"].to_dict() == {"t0": "MRE_relative", "t1": "MRE", "t2": "MRE"}


def test_what_is_called_score_is_what_gains_are_of(tmp_path):
    score = ("score", "higher", 0.7, 0.05)
    rows = rows_of(DICE, score, type="segmentation")
    study = table(tmp_path, rows)
    assert metrics(frames(study)) == {"score"} and not any("there are several" in note for note in study.notes)
    dice = rows[rows["metric"] == "DSC"]
    assert metrics(frames(table(tmp_path, pd.concat([dice, dice.assign(metric="score")])))) == {"DSC"}
