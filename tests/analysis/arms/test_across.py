"""A study with arms from its tables to frames, claims and the page; without arms nothing of it is there."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.arms.across import NAMES, across_arms
from analysis.arms.comparisons import CHANGE, EFFECT, GAIN
from analysis.arms.hypothesis import NUMBER, Change
from analysis.pipeline import analyse
from analysis.questions.finding_parts import CONTRADICTED, SUPPORTED
from analysis.questions.findings import CLAIMS, WHOLE
from analysis.report.claims import claims
from analysis.report.page import page
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.statistics.verdicts import UNDECIDED
from analysis.study import StudyTables
from analysis.validation.simulate import Design, simulate
from analysis.validation.simulate_arms import ArmDesign, simulate_arms

QUICK = Settings(draws=60)
DESIGN = ArmDesign(
    tasks=8, groups=8, seeds=3, subjects=30, arms={"plain": 1e6, "wide": 4e6, "wider": 16e6}, seed_sd=0.003,
    interaction_sd=0.01, noise_sd=0.02, levels={"CG": -0.08, "AU": 0.02}, capacity_slope=0.0, effects={"wide": 0.05},
)  # fmt: skip


@pytest.fixture(scope="module")
def tables() -> StudyTables:
    return simulate_arms(DESIGN, 0).tables()


@pytest.fixture(scope="module")
def analysis(tables) -> Analysis:
    return analyse(tables, QUICK)


def frames_of(tables: StudyTables) -> dict[str, pd.DataFrame]:
    return dict(zip(NAMES, across_arms(tables.of_arm(), QUICK), strict=True))


def test_gains_of_the_base_arm_are_the_same_in_both_frames(analysis):
    alone = analysis.gains.set_index(["contrast", "task"])
    rows = analysis.arm_gains
    among = rows[rows["arm"] == "plain"].set_index(["contrast", "task"]).loc[alone.index]
    for name, rtol in (("gain", 1e-12), ("low", 1e-4), ("high", 1e-4), ("se", 1e-4)):  # resamples are float32
        np.testing.assert_allclose(among[name].astype(float), alone[name].astype(float), rtol=rtol, atol=1e-9)
    assert set(rows["arm"]) == {"plain", "wide", "wider"} and (rows["arm"] == rows["base_arm"]).all()


def test_the_page_is_of_the_base_arm_and_changes_are_against_it(analysis):
    assert analysis.study.arm == "plain"
    rows = analysis.arm_changes
    assert set(rows["base_arm"]) == {"plain"} and set(rows["arm"]) == {"wide", "wider"}
    assert set(rows.loc[rows["kind"] == CHANGE, "contrast"]) == {"CG-TS", "AU-TS", "AU-CG"}
    assert set(rows.loc[rows["kind"] == EFFECT, "contrast"]) == {"TS", "CG", "AU"}
    effect = rows[(rows["kind"] == EFFECT) & (rows["contrast"] == "TS") & (rows["arm"] == "wide")]
    assert effect["change"].mean() == pytest.approx(0.05, abs=0.02)
    assert set(analysis.arm_means["kind"]) == {GAIN, CHANGE, EFFECT}


def test_another_arm_can_be_the_one_that_others_are_compared_with(tables):
    changed = frames_of(tables.of_arm("wide"))["arm_changes"]
    assert set(changed["base_arm"]) == {"wide"} and set(changed["arm"]) == {"plain", "wider"}


def test_with_a_base_arm_named_in_the_study_all_gains_are_over_it(tables):
    settings = {**tables.manifest.settings, "compare": {"base": {"aggregation": "TS", "arm": "plain"}}}
    found = frames_of(replace(tables, manifest=replace(tables.manifest, settings=settings)))
    rows = found["arm_gains"]
    assert set(rows["base"]) == {"TS"} and set(rows["base_arm"]) == {"plain"}
    assert set(zip(rows["joint"], rows["arm"], strict=True)) == {
        (name, arm) for name in ("TS", "CG", "AU") for arm in DESIGN.arms
    } - {("TS", "plain")}
    assert len(found["capacity"])  # trends stay those of gains within an arm


def test_every_change_names_its_runs(analysis):
    rows = analysis.arm_changes
    row = rows[(rows["contrast"] == "AU-TS") & (rows["arm"] == "wide")].iloc[0]
    names = [
        f"{arm}/{model}/{seed}"
        for arm in ("plain", "wide")
        for model in ("AU", f"TS-{row['task']}")
        for seed in range(3)
    ]
    assert sorted(row["runs"].split()) == sorted(names)


def _parts(analysis: Analysis) -> pd.DataFrame:
    rows = analysis.findings
    return rows[rows["finding"] == NUMBER].set_index("part")


def test_flat_gains_that_differ_between_aggregations_support_the_hypothesis(analysis):
    assert _parts(analysis)["verdict"].to_dict() == dict.fromkeys(_parts(analysis).index, SUPPORTED)
    assert len(_parts(analysis)) == 4  # one fraction: nothing is asked of the amount of data


@pytest.mark.slow
def test_gains_that_rise_with_capacity_contradict_it():
    design = DESIGN.with_(capacity_slope=0.06)
    parts = _parts(analyse(simulate_arms(design, 0).tables(), QUICK))["verdict"]
    assert parts[WHOLE] == CONTRADICTED
    assert all(parts[name] == CONTRADICTED for name in parts.index if "doubling" in name)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.05, SUPPORTED), (-0.01, 0.05, UNDECIDED), (-0.01, 0.015, CONTRADICTED), (0.001, 0.015, CONTRADICTED)],
)
def test_a_difference_within_the_margin_is_none(low, high, verdict):
    assert Change("text", (low + high) / 2, low, high, float("nan"), "pooled", margin=0.02).verdict == verdict


def test_a_study_without_arms_shows_nothing_of_them():
    found = analyse(simulate(Design(tasks=6, groups=3, seeds=3, subjects=20), 0).tables(), QUICK)
    assert all(found.frames[name].empty for name in NAMES)
    assert set(found.findings["finding"]) == set(CLAIMS)
    assert page(found, {}, [])["arms"] == "" and claims(found)["changes"] == []


def test_the_page_and_the_claims_have_the_arms(analysis):
    shown = page(analysis, {}, [])
    assert shown["arms"] == "The rest of this page is of the arm plain. Here wide and wider are compared with it."
    assert {"arm_gains", "arm_means", "arm_changes", "capacity"} <= set(shown["grids"])
    made = claims(analysis)["changes"]
    assert len(made) == len(analysis.arm_changes) and all(change["runs"] for change in made)
