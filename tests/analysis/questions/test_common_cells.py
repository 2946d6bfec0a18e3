"""CG and AU are compared on the tasks that both have: one that CG lacks says nothing of AU against CG."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.context import Context, prepare
from analysis.contrasts import Contrast
from analysis.external import read_scores
from analysis.gains import PairedGain
from analysis.pipeline import STEPS
from analysis.questions.finding_parts import Evidence, loss_within_margin, mean_margin, steadier_over_groups
from analysis.questions.stability import difference_label
from analysis.settings import Settings
from analysis.statistics.verdicts import UNDECIDED

GROUPS, TASKS, SEEDS, SHARES = 8, 3, 4, (0.5, 1.0)


def gains_of(rows: pd.DataFrame, folder: Path, base: str | None = None) -> Context:
    """The frames `gains`, `pooled` and `stability` of a score table."""
    rows.to_csv(folder / "scores.csv", index=False)
    context = prepare(read_scores(folder / "scores.csv", base), Settings(draws=30))
    for step in STEPS:
        if step.frames[0] in ("gains", "pooled", "stability"):
            context.frames.update(zip(step.frames, step.make(context), strict=True))
    return context


def alike(rows: pd.DataFrame) -> pd.Series:
    """Tasks of every other group in which CG and AU would lose much."""
    return rows["group"].isin([f"g{number}" for number in range(0, GROUPS, 2)]) & rows["task"].str.endswith("t0")


def scores() -> pd.DataFrame:
    """CG and AU gain alike, and lose alike in the tasks of `alike`."""
    random = np.random.default_rng(5)
    of_group = random.normal(0, 0.01, GROUPS)
    rows = [
        {
            "task": f"g{group}t{task}",
            "group": f"g{group}",
            "aggregation": name,
            "seed": seed,
            "fraction": share,
            "metric": "DSC",
            "type": "segmentation",
            "value": 0.8 + (name != "TS") * of_group[group] + random.normal(0, 0.004),
        }
        for group in range(GROUPS)
        for task in range(TASKS)
        for share in SHARES
        for seed in range(SEEDS)
        for name in ("TS", "CG", "AU")
    ]
    table = pd.DataFrame(rows)
    return table.assign(value=table["value"] - 0.12 * (alike(table) & (table["aggregation"] != "TS")))


LACKING: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "tasks": alike,
    "tasks at one fraction": lambda rows: alike(rows) & (rows["fraction"] == 0.5),
    "groups at one fraction": lambda rows: rows["group"].isin(["g0", "g2"]) & (rows["fraction"] == 0.5),
}


@pytest.mark.parametrize("lacking", LACKING)
def test_what_cg_lacks_does_not_make_au_less_steady(tmp_path: Path, lacking: str):
    rows = scores()
    lost = LACKING[lacking](rows)
    unequal = gains_of(rows[~(lost & (rows["aggregation"] == "CG"))], tmp_path)
    equal = gains_of(rows[~lost], tmp_path)
    label = difference_label("CG-TS", "AU-TS")
    first, second = (
        frame[frame["contrast"] == label].reset_index(drop=True)
        for frame in (unequal.frames["stability"], equal.frames["stability"])
    )
    assert list(first["scope"]) == ["all fractions", "fraction 0.5", "fraction 1"]
    pd.testing.assert_frame_equal(first, second, rtol=1e-9, atol=1e-12)
    found, expected = (steadier_over_groups(Evidence(made.frames, made.pairs)) for made in (unequal, equal))
    assert found.verdict == UNDECIDED
    numbers = ([part.estimate, part.low, part.high, part.p] for part in (found, expected))
    np.testing.assert_allclose(*numbers, rtol=1e-9, atol=1e-12)


def test_cg_and_au_are_compared_over_a_base_of_another_name(tmp_path: Path):
    rows = scores()
    rows = rows[rows["fraction"] == 1.0]
    named = gains_of(rows.replace({"aggregation": {"TS": "single"}}), tmp_path, "single").frames["stability"]
    usual = gains_of(rows, tmp_path).frames["stability"]
    assert list(named["contrast"]) == ["CG-single", "AU-single", "CG-single minus AU-single"]
    numbers = ["spread", "spread_low", "spread_high", "worst"]
    np.testing.assert_allclose(named[numbers], usual[numbers], rtol=1e-9, atol=1e-12)


def test_the_margin_of_a_mean_is_that_of_its_tasks():
    """A task of one model for both is in no mean, so its margin is in none, either."""
    values, runs = np.array([-0.01, -0.012, -0.011]), np.array([""] * 3, object)
    pair = PairedGain(
        "t0", "segmentation", "lung", "1", 100.0, (0, 1, 2), values, values, runs, runs, values,
        None, 0, False, 0, size=0.8, margin=0.02,
    )  # fmt: skip
    same = replace(pair, task="t1", same_model=True, margin=0.3)
    pooled = pd.DataFrame(
        [
            {"level": "group", "name": "lung", "contrast": "AU-TS", "fraction": 1.0, "tasks": 1, "learned_nothing": 0}
            | {"gain": -0.011, "low": -0.014, "high": -0.008, "p": 0.01, "base_improving": 0}
        ]
    )
    gains = pd.DataFrame(
        [
            {"group": "lung", "contrast": "AU-TS", "fraction": 1.0, "margin": each.margin, "task": each.task}
            for each in (pair, same)
        ]
    )
    evidence = Evidence({"pooled": pooled, "gains": gains}, {(Contrast("AU", "TS"), 1.0): [pair, same]})
    part = loss_within_margin("", "lung", "AU-TS", evidence)
    assert (part.estimate, part.low, part.high) == pytest.approx((0.009, 0.006, 0.012), rel=1e-9, abs=1e-12)
    assert mean_margin(evidence.at(1.0, "AU-TS")) == 0.02 and np.isnan(mean_margin([]))
