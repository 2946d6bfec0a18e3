"""A row of the frame `gains` stands on one set of seeds and cases, and on one decision whether it has a unit."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.context import prepare
from analysis.external import read_scores
from analysis.frames import frame
from analysis.questions import study_quality
from analysis.questions.caveats.every import caveats
from analysis.questions.families import HEADLINE, SMALLER
from analysis.questions.means import pooled
from analysis.questions.task_gains import task_gains
from analysis.settings import Settings
from analysis.study import StudyTables

SETTINGS = Settings(draws=30)


@dataclass(frozen=True)
class Made:
    study: StudyTables
    gains: pd.DataFrame
    pooled: pd.DataFrame
    caveats: list[str]


def made(study: StudyTables) -> Made:
    """The frame `gains`, means over tasks at full data, and the caveats on pairs."""
    context = prepare(study, SETTINGS)
    gains = task_gains(context.study, context.resampled, context.pairs, SETTINGS)
    scores, data = study_quality.scores(context.study, gains), study_quality.data(context.study)
    frames = {
        "gains": gains,
        "power": frame("power", []),
        "scores": scores,
        "ledger": study_quality.ledger(context.study),
        "data": data,
        "collapsed": frame("collapsed", []),
    }
    (overall,) = (pooled(pairs) for (_, share), pairs in context.pairs.items() if share == context.study.full)
    return Made(context.study, gains, overall[overall["level"] == "overall"], caveats(context.study, frames))


def scored(folder: Path, rows: list[dict]) -> StudyTables:
    pd.DataFrame(rows).to_csv(folder / "scores.csv", index=False)
    return read_scores(folder / "scores.csv")


def row(task: str, aggregation: str, seed: int, value: float, **more: object) -> dict[str, object]:
    about = {"type": "segmentation", "group": "one", "metric": "DSC", "direction": "higher", "n_train": 100}
    return {"task": task, "aggregation": aggregation, "seed": seed, "value": value, **about, **more}


# ---- seeds and cases -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lacking(tmp_path_factory) -> Made:
    """Seeds 2 and 3 are better throughout, and TS lacks them; AU is worse in every seed."""
    random = np.random.default_rng(0)
    rows = [
        row(f"t{task}", name, seed, 0.7 + 0.1 * (seed >= 2) - 0.03 * (name == "AU") + random.normal(0, 0.002))
        for task in range(4)
        for name, seeds in (("TS", 2), ("AU", 4))
        for seed in range(seeds)
    ]
    return made(scored(tmp_path_factory.mktemp("lacking"), rows))


def test_the_metric_beside_a_gain_is_of_its_seeds(lacking: Made):
    scores = lacking.study.scores.query("metric == 'DSC' and seed < 2")
    known = scores.groupby(["aggregation", "task"])["value"].mean()
    assert (lacking.gains["relative"] < -0.02).all()
    for name, side in (("base_raw", "TS"), ("joint_raw", "AU")):
        np.testing.assert_allclose(lacking.gains[name], known[side][lacking.gains["task"]], rtol=1e-9, atol=0)


def test_runs_that_are_in_no_pair_are_said_though_all_tasks_lack_them(lacking: Made):
    assert (lacking.gains["unpaired"] == 2).all()
    said = "AU-TS: some seeds have a score under one of both aggregations alone in 4 of 4 tasks (t0, t1, t2, t3)"
    assert any(each.startswith(said) for each in lacking.caveats)


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_the_metric_beside_a_gain_is_of_the_cases_that_all_models_have(tmp_path, direction):
    """AU lacks the case on which all models are best, or worst."""
    rows = [
        row("t", name, seed, 0.1 * case + 0.01 * seed, case=f"c{case}", metric="own", direction=direction)
        for name in ("TS", "AU")
        for seed in range(3)
        for case in range(6)
        if (name, seed, case) != ("AU", 1, 5)
    ]
    (found,) = made(scored(tmp_path, rows)).gains.to_dict("records")
    assert found["base_raw"] == pytest.approx(0.21, rel=1e-9, abs=0)
    assert found["joint_raw"] == pytest.approx(0.21, rel=1e-9, abs=0)
    assert found["relative"] == pytest.approx(0, rel=0, abs=1e-12)


# ---- units -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Made:
    """Dice, a distance in mm that is below 1 in one task alone, and MCC, of which some values are negative."""
    random = np.random.default_rng(0)
    tasks = {
        "dice_a": (0.8, {}),
        "dice_b": (0.7, {}),
        "near_mm": (0.6, {"metric": "ASD_mm", "direction": "lower"}),
        "far_mm": (5.0, {"metric": "ASD_mm", "direction": "lower"}),
        "mcc": (0.0, {"metric": "MCC", "type": "classification"}),
    }
    rows = [
        row(task, name, seed, base + (0.1 * (name == "AU")) + random.normal(0, 0.03), **more)
        for task, (base, more) in tasks.items()
        for name in ("TS", "AU")
        for seed in range(4)
    ]
    return made(scored(tmp_path_factory.mktemp("mixed"), rows))


def test_a_gain_in_mm_has_no_margin_and_is_in_no_mean_as_the_note_says(mixed: Made):
    gains = mixed.gains.set_index("task")
    others = ["near_mm", "far_mm"]
    assert any(note.startswith("No unit-free score for far_mm, near_mm: ") for note in mixed.study.notes)
    assert set(gains.loc[others, "gain_unit"]) == set(gains.loc[others, "unit"]) == {"ASD_mm"}
    assert gains.loc[others, ["margin", "p_loss"]].isna().all(axis=None)
    assert list(mixed.pooled["tasks"]) == [len(gains) - 2]


def test_every_metric_without_a_unit_has_a_margin_and_is_in_the_means(mixed: Made):
    gains = mixed.gains.set_index("task").drop(index=["near_mm", "far_mm"])
    assert set(gains["gain_unit"]) == set(gains["unit"]) == {"1"}
    assert (gains["margin"] == 0.02).all()
    known = study_quality.data(mixed.study).set_index("task")["margin"]
    assert set(known[known.isna()].index) == {"near_mm", "far_mm"}


# ---- full data -------------------------------------------------------------------------------------------------------


def test_a_contrast_that_was_run_with_less_data_alone_is_not_in_the_headline(tmp_path):
    random = np.random.default_rng(0)
    rows = [
        row(f"t{task}", name, seed, 0.7 + random.normal(0, 0.01), fraction=share)
        for task in range(3)
        for name, shares in (("TS", (0.5, 1.0)), ("CG", (0.5, 1.0)), ("AU", (0.5,)))
        for share in shares
        for seed in range(3)
    ]
    context = prepare(scored(tmp_path, rows), SETTINGS)
    gains = task_gains(context.study, context.resampled, context.pairs, SETTINGS)
    assert set(gains.loc[gains["family"] == HEADLINE, "contrast"]) == {"CG-TS"}
    assert ((gains["family"] == HEADLINE) == (gains["fraction"] == 1.0)).all()
    assert {"AU-TS", "AU-CG", "CG-TS"} == set(gains.loc[gains["family"] == SMALLER, "contrast"])
