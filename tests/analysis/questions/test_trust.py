"""Trust frames against numbers worked out by hand on a study of three tasks, two fractions and two seeds."""

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from aggregation_lab.manifest import Manifest
from analysis.contrasts import contrasts
from analysis.frames import FRAMES, frame
from analysis.pipeline import analyse
from analysis.questions import study_quality
from analysis.questions.caveats.every import caveats
from analysis.questions.power import plan_sentence
from analysis.settings import Settings
from analysis.study import StudyTables
from analysis.validation.simulate import Design, simulate
from tests.fake_analysis import some_columns

TYPES = {"head": "segmentation", "kind": "classification", "axis": "regression"}
METRIC = {"head": ("DSC", "higher"), "kind": ("AUC", "higher"), "axis": ("MRE", "lower")}
LEVEL = {"head": 0.8, "kind": 0.4, "axis": 12.0}
FLOOR = {"head": 0.5, "kind": 0.5, "axis": 15.0}
NO_GAINS = frame("gains", [])


def about(task: str, name: str, fraction: float, seed: int) -> dict[str, object]:
    unit = task if name == "TS" else "all"
    labels = {"run": f"{unit}-{fraction:g}-{seed}", "aggregation": name, "unit": unit, "fraction": fraction}
    return labels | {"task": task, "type": TYPES[task], "group": "g", "seed": seed, "split": "test"}


def score_rows() -> pd.DataFrame:
    """Primary metric = level + seed / 100, the unit-free score 0.9 of every model and 0.6 of the floor."""
    rows = []
    for task, name, fraction, seed in product(TYPES, ("TS", "AU", "floor"), (0.5, 1.0), (0, 1)):
        if name == "floor" and seed:
            continue
        labels = about(task, name, fraction, -1 if name == "floor" else seed)
        counts = {"n_train": int(200 * fraction), "n_cases": 30, "n_undefined": 0}
        metric, direction = METRIC[task]
        value = FLOOR[task] if name == "floor" else LEVEL[task] + seed / 100
        rows.append(labels | counts | {"metric": metric, "direction": direction, "value": value})
        score = 0.6 if name == "floor" else 0.9
        rows.append(labels | counts | {"metric": "score", "direction": "higher", "value": score})
    return pd.DataFrame(rows)


def case_rows(subjects: int = 25) -> pd.DataFrame:
    columns = {"case": [f"c{n}" for n in range(30)], "subject": [f"s{n % subjects}" for n in range(30)]}
    parts = [pd.DataFrame(columns).assign(task=task, aggregation="TS", value=1.0) for task in TYPES]
    return pd.concat(parts, ignore_index=True)


def run_rows() -> pd.DataFrame:
    """TS: a run per task, 10 operations each; AU: one run of 36 operations, 1.2 times as many."""
    rows = []
    for fraction, seed in product((0.5, 1.0), (0, 1)):
        for task in TYPES:
            rows.append(about(task, "TS", fraction, seed) | {"tasks": task, "flops": 10.0, "steps": 5, "passes": 8.0})
        joint = about("head", "AU", fraction, seed) | {"tasks": "axis+head+kind", "flops": 36.0, "steps": 14}
        rows.append(joint | {"passes": 9.0})
    same = {"images_seen": 80, "seconds": 1800.0, "device": "cpu", "precision": "fp32", "versions": "1"}
    same |= {"start": "", "passes_before": 0.0, "flops_before": 0.0}
    return pd.DataFrame(rows).assign(**same).drop(columns=["task", "type", "group", "split"])


def curve_rows() -> pd.DataFrame:
    """Three validations of every model; TS of `kind` at full data still rises with seed 1."""
    rows = []
    for task, name, fraction, seed, step in product(TYPES, ("TS", "AU"), (0.5, 1.0), (0, 1), (10, 20, 40)):
        rising = (task, name, fraction, seed) == ("kind", "TS", 1.0, 1)
        rows.append(about(task, name, fraction, seed) | {"step": step, "score": step / 100, "still_improving": rising})
    return pd.DataFrame(rows)


@pytest.fixture
def study() -> StudyTables:
    manifest = Manifest(
        "by hand",
        margins=dict.fromkeys(TYPES, 0.03),
        leakage={"crossing_components": 0},
        planned=12,
        finished=12,
    )
    return StudyTables(manifest, score_rows(), case_rows(), run_rows(), curve_rows())


def gain_rows(study: StudyTables, **columns: object) -> pd.DataFrame:
    """Sure gains of every task and contrast at full data, but for what `columns` say."""
    sure = {"fraction": 1.0, "basis": "seeds and cases", "se": 0.01, "power": 0.9, "verdict": "benefit"} | columns
    tasks = sorted(set(study.scores["task"]))
    rows = [sure | each.columns | {"task": task} for each in contrasts(study.aggregations) for task in tasks]
    return some_columns("gains", rows)


def power_rows(study: StudyTables, *limits: str) -> pd.DataFrame:
    """What stands in the way of a verdict on each task, in every contrast."""
    rows = [{"contrast": each.name, "limit": limit} for each in contrasts(study.aggregations) for limit in limits]
    return some_columns("power", [row | {"detectable": 0.02} for row in rows])


def warnings_of(study: StudyTables, limit: str = "", **columns: object) -> list[str]:
    frames = {
        "data": study_quality.data(study),
        "scores": study_quality.scores(study, NO_GAINS),
        "ledger": study_quality.ledger(study),
        "collapsed": frame("collapsed", []),
    }
    power = power_rows(study, *[limit] * 3)
    return caveats(study, frames | {"gains": gain_rows(study, **columns), "power": power})


def test_data(study: StudyTables):
    found = study_quality.data(study)
    assert list(found.columns) == list(FRAMES["data"]) and len(found) == 6
    row = found[(found["task"] == "axis") & (found["fraction"] == 0.5)].iloc[0]
    assert (row["metric"], row["n_train"], row["n_test"], row["subjects"], row["margin"]) == ("MRE", 100, 30, 25, 0.03)
    pixels = replace(study, scores=study.scores[study.scores["metric"] != "score"])
    margins = study_quality.data(pixels).set_index("task")["margin"]
    assert np.isnan(margins["axis"]).all() and (margins[["head", "kind"]] == 0.03).all()


def test_a_margin_is_shown_in_pixels_and_as_a_share_of_what_was_learned(study: StudyTables):
    """Scores 0.9 and 0.6 at the floor; an error of 12.005 px is 0.1 of a diagonal of 120.05 px."""
    rows = study_quality.data(study)
    full = rows[rows["fraction"] == 1.0].set_index("task")
    np.testing.assert_allclose(full["margin_share"], 0.1, rtol=1e-6, atol=0)
    assert full.at["axis", "margin_raw"] == pytest.approx(0.03 * 120.05, rel=1e-6, abs=0)
    assert full.at["head", "margin_raw"] == 0.03
    below = study.scores["value"].where(
        (study.scores["metric"] != "score") | (study.scores["aggregation"] != "TS"), 0.5
    )
    assert study_quality.data(replace(study, scores=study.scores.assign(value=below)))["margin_share"].isna().all()


def test_a_margin_that_is_a_large_part_of_what_was_learned_is_named(study: StudyTables):
    assert not any("has learned over the floor" in line for line in warnings_of(study))
    close = (study.scores["metric"] == "score") & (study.scores["aggregation"] == "floor")
    close &= study.scores["task"] == "axis"
    scores = study.scores.assign(value=study.scores["value"].where(~close, 0.85))
    (said,) = [line for line in warnings_of(replace(study, scores=scores)) if "has learned over the floor" in line]
    assert said == (
        "axis: the margin 0.03 (3.6 px) is 60 % of what TS has learned over the floor, so no meaningful loss says "
        "little; give the task a smaller margin of its own under `margins:` of the study file before the next "
        "runs."
    )


def test_scores_are_means_over_seeds_beside_the_floor(study: StudyTables):
    found = study_quality.scores(study, NO_GAINS)
    assert list(found.columns) == list(FRAMES["scores"])
    assert list(found["aggregation"].drop_duplicates()) == ["TS", "AU", "floor"]
    one = found[(found["aggregation"] == "AU") & (found["fraction"] == 1.0)].set_index("task")
    np.testing.assert_allclose(one.loc[["head", "kind", "axis"], "mean"], [0.805, 0.405, 12.005], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(one["sd"], 0.01 / np.sqrt(2), rtol=1e-6, atol=1e-9)
    assert one["unit"].to_dict() == {"head": "1", "kind": "1", "axis": "px"}
    assert one["beats_floor"].to_dict() == {"head": True, "kind": False, "axis": True}
    assert (one["seeds"] == 2).all() and (one["score"] == 0.9).all()
    floor = found[found["aggregation"] == "floor"]
    assert len(floor) == 6 and not floor["beats_floor"].any() and (floor["seeds"] == 0).all()
    np.testing.assert_allclose(floor["floor"], floor["mean"], rtol=1e-9, atol=1e-12)


def test_verdicts_come_from_the_same_fraction_against_ts(study: StudyTables):
    rows = [("TS", 1.0, "head", "harm"), ("TS", 0.5, "head", "benefit"), ("CG", 1.0, "kind", "harm")]
    gains = pd.DataFrame(rows, columns=["base", "fraction", "task", "verdict"]).assign(joint="AU")
    found = study_quality.scores(study, gains).set_index(["aggregation", "fraction", "task"])["verdict"]
    assert found["AU", 1.0, "head"] == "harm" and found["AU", 0.5, "head"] == "benefit"
    assert (found.drop([("AU", 1.0, "head"), ("AU", 0.5, "head")]) == "").all()


def test_still_improving_in_any_seed_counts(study: StudyTables):
    found = study_quality.scores(study, NO_GAINS)
    rising = found[found["still_improving"]]
    assert rising[["aggregation", "fraction", "task"]].to_numpy().tolist() == [["TS", 1.0, "kind"]]
    state = study.improving()
    assert state["improving"].sum() == 1 and state["improving"].dtype == bool and len(state) == 12


def test_ledger_sums_the_runs_of_a_seed(study: StudyTables):
    found = study_quality.ledger(study)
    assert list(found.columns) == list(FRAMES["ledger"])
    rows = found.set_index(["aggregation", "fraction"])
    ts, au = rows.loc[("TS", 1.0)], rows.loc[("AU", 1.0)]
    assert (ts["runs"], ts["flops"], ts["steps"], ts["images_seen"], ts["hours"]) == (6, 30, 15, 240, 1.5)
    assert (au["runs"], au["flops"], au["hours"], au["passes_low"], au["passes_high"]) == (2, 36, 0.5, 9, 9)
    assert ts["flops_ratio"] == 1.0 and au["flops_ratio"] == pytest.approx(1.2, rel=1e-6, abs=0)
    assert ts["still_improving"] == pytest.approx(1 / 6, rel=1e-6, abs=0) and au["still_improving"] == 0.0
    assert ts["beats_floor"] == pytest.approx(2 / 3, rel=1e-6, abs=0)
    assert "floor" not in set(found["aggregation"])


def test_a_run_that_counts_in_two_aggregations_counts_in_each(study: StudyTables):
    shared = study.runs[study.runs["aggregation"] == "TS"].assign(aggregation="AU")
    both = pd.concat([study.runs[study.runs["aggregation"] == "TS"], shared], ignore_index=True)
    rows = study_quality.ledger(replace(study, runs=both)).set_index(["aggregation", "fraction"])
    assert rows.loc[("AU", 1.0), "flops"] == rows.loc[("TS", 1.0), "flops"] == 30
    assert rows.loc[("AU", 1.0), "flops_ratio"] == 1.0


def test_unfinished_seeds_do_not_bend_the_ratio(study: StudyTables):
    lost = (study.runs["run"] == "head-1-1") | (study.runs["run"] == "all-0.5-0")
    rows = study_quality.ledger(replace(study, runs=study.runs[~lost])).set_index(["aggregation", "fraction"])
    assert rows.loc[("AU", 1.0), "flops_ratio"] == pytest.approx(1.2, rel=1e-6, abs=0)
    assert rows.loc[("AU", 0.5), "flops_ratio"] == pytest.approx(1.2, rel=1e-6, abs=0)


def test_learning_curves_run_to_the_end_of_the_budget(study: StudyTables):
    found = study_quality.learning_curves(study)
    assert list(found.columns) == list(FRAMES["learning_curves"])
    assert len(found) == 3 * 2 * 2 * 3
    assert list(found["share"][:3]) == [0.25, 0.5, 1.0]


def test_a_sound_study_has_few_warnings(study: StudyTables):
    sound = replace(
        study,
        runs=study.runs.assign(flops=np.where(study.runs["aggregation"] == "TS", 10.0, 30.0)),
        curves=study.curves.assign(still_improving=False),
        scores=study.scores.assign(value=study.scores["value"].where(study.scores["value"] != 0.5, 0.2)),
    )
    assert warnings_of(sound) == [
        "2 seeds only: signs of gains alone cannot give p below 0.5, so verdicts lean on normal scatter over seeds and "
        "on test cases.",
        "3 tasks only: means over tasks say little.",
    ]


def test_runs_to_their_own_end_are_not_said_to_be_matched(study: StudyTables):
    """TS: eight passes of every task; AU: nine, but twelve at half the data. One AU run was ended by its cap."""
    settings = {"training": {"until": "converged", "passes": 5.0, "most_passes": 12.0}}
    half = (study.runs["aggregation"] == "AU") & (study.runs["fraction"] == 0.5)
    runs = study.runs.assign(passes=study.runs["passes"].where(~half, 12.0), converged=study.runs["run"] != "all-1-1")
    found = warnings_of(replace(study, manifest=replace(study.manifest, settings=settings), runs=runs))
    for said in (
        "1 of 16 runs had not converged when they ended: a task of theirs was still rising, or has no "
        "validation score; a larger `training.most_passes` trains on those that the cap ended, and keeps what is "
        "trained.",
        "Compute is not matched: every unit was trained until it had converged, so gains compare ends of training; "
        "passes over a task's images over those of TS, median and range: AU 1.31 (1.12 to 1.50).",
    ):
        assert said in found
    assert not any("operations" in said or "budget" in said for said in found)
    renamed = {"head": "he+ad"}
    awkward = replace(
        study,
        manifest=replace(study.manifest, settings=settings),
        runs=runs.assign(tasks=runs["tasks"].str.replace("head", "he+ad")),
        **{name: rows.assign(task=rows["task"].replace(renamed))
           for name in ("scores", "cases", "curves") for rows in [getattr(study, name)]},
    )  # fmt: skip
    assert found[-1:] + [said for said in found if "passes over" in said] == warnings_of(awkward)[-1:] + [
        said for said in warnings_of(awkward) if "passes over" in said
    ]
    assert "TS models were still improving when their training ended in 1 of 3 tasks (kind in 1/4 runs)" in " ".join(
        found
    )


def test_every_doubt_is_one_sentence(study: StudyTables):
    doubtful = replace(
        study,
        manifest=Manifest("doubtful", leakage={"crossing_components": 4}, planned=12, finished=9),
        cases=case_rows(subjects=10),
        runs=study.runs.assign(precision=np.where(study.runs["aggregation"] == "TS", "fp32", "bf16")),
        scores=study.scores[study.scores["seed"] < 1],
    )
    found = warnings_of(doubtful)
    for part in (
        "4 components of related images stand in two parts",
        "3 of 12 planned runs are not finished",
        "No margin was named for 3 of 3 tasks (axis, head, kind): 0.02 stands in",
        "One seed only",
        "TS models were still improving when their training ended in 1 of 3 tasks (kind in 1/4 runs): gains over them "
        "are flattered",
        "Neither model of a comparison has a mean above that of the trivial predictor in 1 of 3 tasks (kind)",
        "operations over those of TS: AU 1.20 at fraction 0.5, AU 1.20 at fraction 1.",
        "Runs differ in precision",
        "Fewer than 20 test subjects in 3 of 3 tasks",
    ):
        assert sum(part in each for each in found) == 1, part
    assert all(each.endswith(".") and each.count(". ") == 0 for each in found)


def test_margins_that_are_defaults_or_were_changed_after_reading_are_said(study: StudyTables):
    margins = {"axis": 0.02, "head": 0.3, "kind": 0.02}
    about = replace(study.manifest, margins=margins, margins_named=("head",), margins_seen=margins | {"head": 0.02})
    found = " ".join(warnings_of(replace(study, manifest=about)))
    assert "No margin was named for 2 of 3 tasks (axis, kind): 0.02 stands in, a default that was not chosen" in found
    assert "Margins were changed after verdicts had been read, in 1 of 3 tasks, head (0.02 to 0.3): where" in found
    named = replace(about, margins_named=("axis", "head", "kind"), margins_seen=margins)
    said = " ".join(warnings_of(replace(study, manifest=named)))
    assert "No margin was named" not in said and "Margins were changed" not in said


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"limit": "seeds", "verdict": "undecided"},
            "AU-TS: the seeds at hand tell the margin from no difference with 80 % power, corrected for the number of",
        ),
        (
            {"limit": "test cases", "verdict": "undecided"},
            "corrected for the number of tasks, in 0 of 3 tasks only: undecided means too little data.",
        ),
        ({"basis": "seeds only"}, "Test cases cannot be resampled in 3 of 3 tasks (axis, head, kind)"),
        (
            {"basis": "none"},
            "One pair of seeds, or gains that do not vary, in 3 of 3 tasks (axis, head, kind), and no task",
        ),
        (
            {"basis": "borrowed seeds"},
            "3 of 3 tasks (axis, head, kind): the scatter over seeds is that of tasks of the",
        ),
        (
            {"own_scatter": True},
            "Seeds scatter more in 3 of 3 tasks (axis, head, kind) than in the other tasks of the type: each has an",
        ),
        ({"fraction": 0.5}, "AU-TS cannot be compared at fraction 1: no task has a seed under both aggregations."),
    ],
)
def test_what_the_data_cannot_decide_is_said(study: StudyTables, columns: dict[str, object], said: str):
    assert sum(said in each for each in warnings_of(study, **columns)) == 1
    assert not any(said in each for each in warnings_of(study))


def test_power_that_is_enough_in_half_of_the_tasks_or_needed_nowhere_is_no_warning(study: StudyTables):
    frames = {
        "data": study_quality.data(study),
        "scores": study_quality.scores(study, NO_GAINS),
        "ledger": study_quality.ledger(study),
        "collapsed": frame("collapsed", []),
    }
    for verdict, limits in (("undecided", ("", "", "seeds")), ("benefit", ("seeds", "seeds", "test cases"))):
        made = {"gains": gain_rows(study, verdict=verdict), "power": power_rows(study, *limits)}
        assert not any("power" in each for each in caveats(study, frames | made))


def test_statements_on_power_agree_with_each_other():
    """The warning counts what the section on power counts, and a task has 80 % power where its margin is detectable."""
    design = Design(tasks=10, groups=4, seeds=3, subjects=600, seed_sd=0.03, seed_sd_of={"segmentation": 0.001})
    found = analyse(simulate(design.with_(levels={"AU": 0.0}), 1).tables(), Settings(draws=100))
    (said,) = (each for each in found.warnings if each.startswith("AU-TS: the seeds at hand"))
    able, total = re.search(r"in (\d+) of (\d+) tasks only", said).groups()
    assert f"the seeds at hand will do for {able} of {total} tasks" in plan_sentence(found.power)
    detectable = found.power.set_index(["contrast", "task"])["detectable"]
    rows = found.gains.set_index(["contrast", "task"])
    enough = rows["power"] >= 0.8
    assert enough.any() and not enough.all()
    assert enough.tolist() == (detectable[rows.index] <= rows["margin"]).tolist()


def test_a_baseline_below_the_floor_is_named(study: StudyTables):
    better = (study.scores["aggregation"] == "AU") & (study.scores["metric"] == "AUC")
    scores = study.scores.assign(value=study.scores["value"].where(~better, 0.8))
    assert "The mean of TS is not above that of the trivial predictor in 1 of 3 tasks (kind)" in " ".join(
        warnings_of(replace(study, scores=scores))
    )


def test_unlike_training_sets_are_named(study: StudyTables):
    other = (study.scores["aggregation"] == "AU") & (study.scores["task"] == "axis")
    scores = study.scores.assign(n_train=study.scores["n_train"].where(~other, 7))
    assert "different numbers of training cases in 1 of 3 tasks (axis)." in " ".join(
        warnings_of(replace(study, scores=scores))
    )


def test_many_names_are_cut_short():
    study = simulate(Design(tasks=9, groups=3, seeds=3, subjects=25), 0).tables()
    margin = next(each for each in warnings_of(study) if "margin" in each)
    assert "9 of 9 tasks (task00, task01, task02, task03, task04 and 4 more)" in margin


def test_bare_scores_leave_gaps_and_say_so():
    study = replace(simulate(Design(tasks=2, groups=1, seeds=1, subjects=10), 0).tables(), cases=None)
    found = study_quality.scores(study, NO_GAINS)
    assert found["beats_floor"].isna().all() and found["still_improving"].isna().all()
    assert found["floor"].isna().all() and found["sd"].isna().all() and found["score"].notna().all()
    ledger = study_quality.ledger(study)
    assert len(ledger) == 3 and ledger.drop(columns=["aggregation", "fraction"]).isna().all(axis=None)
    assert study.improving().empty and study_quality.learning_curves(study).empty
    assert (study_quality.data(study)["subjects"] == 0).all()
    said = " ".join(warnings_of(study))
    for part in (
        "leak",
        "One seed and no cases: gains have no interval",
        "validation curves",
        "trivial predictor",
        "ledger",
        "2 tasks only",
    ):
        assert part in said


def test_a_table_without_unit_free_scores_uses_its_primary_metric_where_it_can(study: StudyTables):
    bare = replace(study, scores=study.scores[study.scores["metric"] != "score"])
    found = study_quality.scores(bare, NO_GAINS).set_index(["aggregation", "fraction", "task"])["score"]
    assert found["AU", 1.0, "head"] == pytest.approx(0.805, rel=1e-6, abs=0) and np.isnan(found["AU", 1.0, "axis"])


def test_undefined_scores_are_left_out_of_the_mean(study: StudyTables):
    lost = (study.scores["task"] == "kind") & (study.scores["seed"] == 1)
    found = study_quality.scores(
        replace(study, scores=study.scores.assign(value=study.scores["value"].where(~lost))), NO_GAINS
    )
    row = found[(found["task"] == "kind") & (found["aggregation"] == "TS")].iloc[0]
    assert (row["mean"], row["seeds"]) == (0.4, 1) and np.isnan(row["sd"])
