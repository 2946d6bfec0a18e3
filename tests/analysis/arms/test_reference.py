"""The plain network beside TS: a difference like any gain, which enters no gain, and what is said of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aggregation_lab.errors import ResultsError
from aggregation_lab.manifest import Manifest
from aggregation_lab.naming import encoder_title
from analysis.arms.reference import reference, reference_arm, weak_baselines
from analysis.arms.side_by_side import side_by_side
from analysis.context import prepare
from analysis.questions.task_gains import task_gains
from analysis.settings import Settings
from analysis.study import StudyTables
from analysis.validation.simulate import Design, simulate

QUICK = Settings(draws=200)
DESIGN = Design(tasks=6, groups=3, seeds=3, subjects=25, levels={"CG": -0.03, "AU": 0.04}, task_sd=0.03)
SETTINGS = {
    "model": {"encoder": "vit"},
    "training": {"until": "budget"},
    "reference": "resnet18",
    "base_arm": "main",
    "arms": [
        {"name": "main", "model": {"encoder": "vit"}, "training": {"until": "budget"}},
        {"name": "resnet18", "model": {"encoder": "resnet18", "weights": "random"}, "training": {"until": "budget"}},
    ],
}


def with_reference(study: StudyTables, plain: pd.DataFrame, cases: pd.DataFrame | None) -> StudyTables:
    """The study with an arm resnet18, whose TS has these rows."""
    labels = {"arm": "resnet18", "aggregation": "TS"}
    both = None if cases is None else pd.concat([study.cases, cases.assign(**labels)], ignore_index=True)
    scores = pd.concat([study.scores, plain.assign(**labels)], ignore_index=True)
    return StudyTables(Manifest("x", settings=SETTINGS), scores, both)


@pytest.fixture(scope="module")
def alone() -> StudyTables:
    return simulate(DESIGN, 0).tables()


@pytest.fixture(scope="module")
def study(alone) -> StudyTables:
    """A plain network that scores as AU does, so what it is beside TS is known: the gain of AU, turned round."""
    rows = {name: getattr(alone, name).query("aggregation == 'AU'") for name in ("scores", "cases")}
    return with_reference(alone, rows["scores"], rows["cases"])


@pytest.fixture(scope="module")
def gains(alone) -> pd.DataFrame:
    context = prepare(alone, QUICK)
    return task_gains(alone, context.resampled, context.pairs, QUICK)


def test_it_is_the_difference_that_a_gain_would_be(study, gains):
    found = reference(study.of_arm(), QUICK).set_index("task")
    known = gains[gains["contrast"] == "AU-TS"].set_index("task").loc[found.index]
    assert set(found["reference"]) == {"ResNet18"} and len(found) == DESIGN.tasks
    np.testing.assert_allclose(found["difference"], -known["gain"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["low"], -known["high"], rtol=0, atol=1e-7)  # of resamples, which are float32
    np.testing.assert_allclose(found["high"], -known["low"], rtol=0, atol=1e-7)
    np.testing.assert_allclose(found["score"], known["joint_score"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["mean"] - found["base_mean"], known["gain"], rtol=0, atol=1e-12)
    assert list(found["weak_base"]) == list(known["gain"] > 0.02) and found["weak_base"].nunique() == 2


def test_it_enters_no_gain(study, gains):
    own = study.of_arm()
    context = prepare(own, QUICK)
    pd.testing.assert_frame_equal(task_gains(own, context.resampled, context.pairs, QUICK), gains, check_exact=True)
    assert "resnet18" not in own.aggregations and own.compared_arms == ["main"]


def test_a_weak_baseline_is_said(study):
    own = study.of_arm()
    rows = reference(own, QUICK)
    (line,) = weak_baselines(own, rows)
    weak = sorted(rows.loc[rows["weak_base"], "task"])
    assert f"better than TS by more than the margin in {len(weak)} of 6 tasks ({', '.join(weak[:5])}" in line
    assert weak_baselines(own, rows.assign(weak_base=False)) == []


def test_tasks_without_a_pair_are_named(alone):
    rows = {name: getattr(alone, name).query("aggregation == 'CG'") for name in ("scores", "cases")}
    part = {name: table[table["task"] != "task00"] for name, table in rows.items()}
    own = with_reference(alone, part["scores"], part["cases"]).of_arm()
    found = reference(own, QUICK)
    assert "task00" not in set(found["task"])
    assert any(
        "no seed, or no test case, in common in 1 of 6 tasks (task00)" in line for line in weak_baselines(own, found)
    )


def test_a_task_of_which_both_have_no_test_case_in_common_has_no_row(study):
    other = (study.cases["arm"] == "resnet18") & (study.cases["task"] == "task01")
    cases = study.cases.assign(case=study.cases["case"].where(~other, study.cases["case"] + " again"))
    own = replace(study, cases=cases).of_arm()
    found = reference(own, QUICK)
    assert len(found) == DESIGN.tasks - 1 and "task01" not in set(found["task"])
    assert any("no test case, in common in 1 of 6 tasks (task01)" in line for line in weak_baselines(own, found))


def test_one_seed_gives_a_difference_and_no_interval(study):
    first = replace(study, scores=study.scores.query("seed == 0"), cases=study.cases.query("seed == 0"))
    found = reference(first.of_arm(), QUICK)
    assert found["difference"].notna().all() and found[["low", "high"]].isna().all(axis=None)


def test_scores_without_cases_are_enough(study):
    found = reference(replace(study, cases=None).of_arm(), QUICK)
    assert found[["difference", "low", "high"]].notna().all(axis=None)


def test_a_study_without_reference_has_no_row(alone, study):
    assert reference(alone.of_arm(), QUICK).empty and weak_baselines(alone, reference(alone, QUICK)) == []
    plain = study.of_arm("resnet18")
    assert reference_arm(plain) is None and reference(plain, QUICK).empty


def test_models_of_two_arms_stand_side_by_side(study):
    both = side_by_side(study.of_arm(), {"one": ("main", "CG"), "other": ("resnet18", "TS")})
    assert both.aggregations == ["one", "other"]
    known = study.scores.query("arm == 'resnet18'")["value"]
    assert list(both.scores.query("aggregation == 'other'")["value"]) == list(known)
    with pytest.raises(ResultsError, match="has no arm wide; it has main, resnet18"):
        side_by_side(study, {"one": ("wide", "TS")})


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("resnet18", "ResNet18"),
        ("resnext50_32x4d", "ResNeXt50 32x4d"),
        ("convnext_tiny", "ConvNeXt tiny"),
        ("vit_tiny_patch16_dinov3", "vit_tiny_patch16_dinov3"),
        ("plain", "plain"),
    ],
)
def test_networks_are_named_as_papers_do(name, title):
    assert encoder_title(name) == title
