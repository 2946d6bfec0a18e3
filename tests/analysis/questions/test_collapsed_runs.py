"""Runs that learned nothing where others did are named; those that a small test makes look bad are not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aggregation_lab.manifest import Manifest
from analysis.frames import frame
from analysis.questions.caveats.training import of_collapsed
from analysis.questions.collapsed_runs import FAR_BELOW, NONE_RIGHT, SAME_ANSWER, collapsed_runs
from analysis.report.checks import checks
from analysis.study import StudyTables, load_study, resample, task_scores
from analysis.tables import paper_table
from tests import ROOT
from tests.fake_analysis import fake_analysis

TYPE = {"DSC": "segmentation", "IoU": "detection", "AUC": "classification", "MRE": "regression"}
SEEDLESS = -1


def rows(name: str, metric: str, values: dict[int, float], n: int = 40) -> list[dict[str, object]]:
    about = {"task": "t", "type": TYPE.get(metric, "classification"), "group": "g", "metric": metric, "split": "test"}
    about |= {"direction": "lower" if metric == "MRE" else "higher", "fraction": 1.0, "n_train": 100, "n_cases": n}
    return [
        about | {"aggregation": name, "seed": seed, "run": f"{name}-{seed}", "value": value, "arm": "main"}
        for seed, value in values.items()
    ]


def study(metric: str, scores: list[float], floor: float | dict[int, float] | None, n: int = 40) -> StudyTables:
    """AU with a run per score, TS with all runs at the best of them, and the floor."""
    of_floor = floor if isinstance(floor, dict) else {} if floor is None else {SEEDLESS: floor}
    best = min(scores) if metric == "MRE" else max(scores)
    made = rows("AU", metric, dict(enumerate(scores)), n) + rows("floor", metric, of_floor, n)
    made += rows("TS", metric, dict.fromkeys(range(len(scores)), best), n)
    return StudyTables(Manifest("by hand", margins={"t": 0.02}), pd.DataFrame(made))


def found(tables: StudyTables) -> pd.DataFrame:
    resampled = resample(tables, 200, 0)
    return collapsed_runs(tables, resampled, task_scores(tables, resampled))


def seeds(tables: StudyTables) -> dict[int, str]:
    of = found(tables)
    return dict(zip(of["seed"], of["reason"], strict=True))


@pytest.mark.parametrize("metric", ["DSC", "IoU"])
def test_a_run_at_the_floor_far_below_the_others_is_named(metric):
    tables = study(metric, [0.80, 0.79, 0.31, 0.81, 0.78], 0.3)
    (row,) = found(tables).to_dict("records")
    assert (row["aggregation"], row["seed"], row["run"], row["runs"]) == ("AU", 2, "AU-2", 5)
    assert (row["value"], row["floor"], row["others_low"], row["others_high"]) == (0.31, 0.3, 0.78, 0.81)
    assert row["reason"] == FAR_BELOW


def test_two_runs_of_five_may_collapse_and_are_both_named():
    assert seeds(study("DSC", [0.80, 0.30, 0.31, 0.81, 0.78], 0.3)) == {1: FAR_BELOW, 2: FAR_BELOW}


def test_most_runs_may_collapse_a_little_above_the_floor():
    assert seeds(study("DSC", [0.32, 0.33, 0.34, 0.81, 0.80], 0.3)) == dict.fromkeys((0, 1, 2), FAR_BELOW)


def test_errors_in_pixels_are_told_by_the_scatter_of_the_others():
    assert seeds(study("MRE", [11.0, 11.3, 10.8, 24.0, 11.1], 23.3)) == {3: FAR_BELOW}
    assert seeds(study("MRE", [11.0, 14.0, 17.5, 24.0, 12.1], 23.3)) == {}


@pytest.mark.parametrize(
    ("scores", "n"),
    [
        ([0.84, 0.77, 0.44, 0.96, 0.84], 10),  # a test set of ten
        ([0.56, 0.58, 0.49, 0.55, 0.57], 40),  # a task that is hard for all
        ([0.80, 0.62, 0.53, 0.95, 0.70], 84),  # runs that scatter widely
        ([0.22, 1.0], 9),  # one other run
        ([0.45, 0.47, 0.41], 84),  # nothing learned by any
    ],
)
def test_noise_of_few_cases_and_of_seeds_is_no_collapse(scores, n):
    assert seeds(study("AUC", scores, 0.5, n)) == {}


def test_without_a_floor_nothing_is_said():
    assert seeds(study("DSC", [0.80, 0.79, 0.01, 0.81, 0.78], None)) == {}


def test_no_case_right_is_no_chance_with_two_runs_but_of_ranks_it_may_be():
    assert seeds(study("DSC", [0.0, 0.75], 0.45)) == {0: NONE_RIGHT}
    assert seeds(study("AUC", [0.0, 0.75], 0.5, 4)) == {}


def test_the_floor_is_that_of_the_runs_own_fold():
    scores = [0.80, 0.79, 0.50, 0.81, 0.78]
    assert seeds(study("DSC", scores, {0: 0.4, 1: 0.4, 2: 0.1, 3: 0.4, 4: 0.4})) == {}
    of_own = study("DSC", scores, {0: 0.4, 1: 0.4, 2: 0.5, 3: 0.4, 4: 0.4})
    assert found(of_own)["floor"].to_list() == [0.5]


def test_of_ranks_in_a_summary_the_other_metrics_speak():
    """AUC of 85 cases may rest on few of the rarest class; with MCC 0 and the floor's accuracy it is no surprise."""
    auc = [0.80, 0.526, 0.73, 0.78, 0.83]
    tables = study("AUC", auc, 0.5, 85)
    assert seeds(tables) == {}
    of_classes = {"MCC": (0.48, 0.0), "accuracy": (0.79, 0.694)}
    beside = [
        row
        for metric, (learned, floor) in of_classes.items()
        for name in ("AU", "TS", "floor")
        for row in rows(
            name,
            metric,
            {SEEDLESS: floor}
            if name == "floor"
            else {seed: floor if name == "AU" and seed == 1 else learned for seed in range(5)},
            85,
        )
    ]
    assert seeds(replace(tables, scores=pd.concat([tables.scores, pd.DataFrame(beside)]))) == {1: FAR_BELOW}


def test_the_same_probabilities_for_all_cases_are_seen_with_two_runs():
    random, n = np.random.default_rng(0), 24
    labels = np.arange(n) % 2
    learned = np.clip(0.5 + 0.3 * (labels - 0.5) + random.normal(0, 0.1, n), 0.01, 0.99)
    same = 0.69 + random.choice([0.0, 0.0004, 0.0013], n)

    def of(second: np.ndarray, seed: int, name: str) -> tuple[list[dict], list[dict]]:
        about = {"aggregation": name, "seed": seed, "fraction": 1.0, "task": "t", "type": TYPE["AUC"], "arm": "main"}
        cases = [
            about
            | {"case": f"c{at}", "subject": f"s{at}", "split": "test", "quantity": what, "index": index, "value": value}
            for at in range(n)
            for what, index, value in (
                ("probability", 0, 1 - second[at]),
                ("probability", 1, second[at]),
                ("label", 0, float(labels[at])),
            )
        ]
        above = second[labels == 1][:, None] - second[labels == 0][None]
        return rows(name, "AUC", {seed: float((above > 0).mean() + (above == 0).mean() / 2)}, n), cases

    made = [of(learned, 0, "AU"), of(same, 1, "AU"), of(learned, 0, "TS"), of(learned, 1, "TS")]
    scores = [row for of_run, _ in made for row in of_run] + rows("floor", "AUC", {SEEDLESS: 0.5}, n)
    cases = pd.DataFrame([row for _, of_run in made for row in of_run])
    tables = StudyTables(Manifest("by hand", margins={"t": 0.02}), pd.DataFrame(scores), cases)
    assert seeds(tables) == {1: SAME_ANSWER}
    assert seeds(replace(tables, cases=None)) == {}


# ---- where it is said -----------------------------------------------------------------------------------------------


def of_frame(**columns: object) -> dict[str, object]:
    about = {"aggregation": "AU", "fraction": 1.0, "task": "t", "type": "classification", "group": "g", "seed": 1}
    about |= {"run": "r", "runs": 5, "metric": "AUC", "unit": "1", "value": 0.526, "floor": 0.5}
    return about | {"others_low": 0.728, "others_high": 0.833, "reason": SAME_ANSWER} | columns


def test_the_caveat_names_run_floor_the_others_and_what_to_do():
    (said,) = of_collapsed(frame("collapsed", [of_frame()]))
    known = (
        "t under AU, seed 1 (AUC 0.526, floor 0.500, other runs 0.728 to 0.833; the same answer for every test case)."
    )
    assert f": {known} Verdicts there rest on a training that failed" in said
    assert "train all runs anew with another setting" in said and "would bias its gains" in said
    assert of_collapsed(frame("collapsed", [])) == []


def test_a_run_of_two_aggregations_is_one_and_of_many_the_first_are_named():
    (said,) = of_collapsed(frame("collapsed", [of_frame(aggregation=name, fraction=0.5) for name in ("TS", "CG")]))
    assert "t under TS and CG at fraction 0.5, seed 1 (" in said and said.count("AUC") == 1
    (said,) = of_collapsed(frame("collapsed", [of_frame(run="", aggregation=name) for name in ("TS", "CG")]))
    assert said.count("AUC") == 2, "tables from elsewhere name no runs"
    (said,) = of_collapsed(frame("collapsed", [of_frame(task=f"t{at}", run=f"r{at}") for at in range(7)]))
    assert said.count("AUC") == 5 and "; and 2 more." in said


def test_tables_and_the_trust_line_have_its_mark():
    whole = fake_analysis()
    task = whole.frames["collapsed"]["task"].iloc[0]
    for name, column, mark in (("scores", "AU", "‡ 1/3"), ("gains", "gain [adjusted interval]", "‡ 1/3 AU")):
        table = paper_table(whole, name)
        marked = table.frame[table.frame[column].str.contains("‡")]
        assert (
            set(marked["task"]) == {task} and marked[column].str.endswith(mark).all() and "‡ 1/5: one of" in table.note
        )
    (check,) = [check for check in checks(whole) if "‡" in check.text]
    assert check.text == "a run learned next to nothing where others did in 1 task ‡" and check.state == "caution"
    none = replace(whole, frames=dict(whole.frames) | {"collapsed": frame("collapsed", [])})
    assert "‡" not in paper_table(none, "scores").to_markdown() + paper_table(none, "gains").to_markdown()
    assert not any("‡" in check.text for check in checks(none))


def test_the_shipped_study_has_one_such_run():
    tables = load_study(ROOT / "analysis/examples/us_mini")
    kept = [
        rows[rows["task"].isin(["gallbladder_ba_2cls", "hip_plane_2cls"])] for rows in (tables.scores, tables.cases)
    ]
    (row,) = found(replace(tables, scores=kept[0], cases=kept[1])).to_dict("records")
    assert (row["aggregation"], row["task"], row["seed"], row["reason"]) == (
        "AU",
        "gallbladder_ba_2cls",
        1,
        SAME_ANSWER,
    )
    assert row["value"] == pytest.approx(0.526, rel=0, abs=5e-4)
