"""Arms that were not tested on the same cases: what they share is compared, the rest is counted, and an arm by itself
is analysed as ever."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.arms.across import NAMES, across_arms
from analysis.arms.together import APART
from analysis.external import read_scores
from analysis.pipeline import analyse
from analysis.report.page import page
from analysis.report.reasons import why_empty
from analysis.settings import Settings
from analysis.study import StudyTables

QUICK = Settings(draws=30)
TASKS = ("t0", "t1", "t2")
PARTLY = {task: {"a": range(12), "b": range(4, 16)} for task in TASKS}
APART_IN_ALL = {task: {"a": range(12), "b": range(12, 24)} for task in TASKS}


def study(folder: Path, cases: Mapping[str, Mapping[str, range]]) -> StudyTables:
    """The arms of each task with cases of these numbers, on which a score depends."""
    rows = [
        {"task": task, "arm": arm, "aggregation": name, "seed": seed, "case": f"c{case:02d}", "metric": "DSC"}
        | {"value": 0.6 + 0.01 * case * (name == "AU") + 0.02 * np.sin(7 * case + seed + 3 * int(task[1]))}
        for task, of_arm in cases.items()
        for arm, numbers in of_arm.items()
        for name in ("TS", "AU")
        for seed in range(3)
        for case in numbers
    ]
    pd.DataFrame(rows).assign(type="segmentation").to_csv(folder / "scores.csv", index=False)
    return read_scores(folder / "scores.csv")


def frames_of(tables: StudyTables) -> dict[str, pd.DataFrame]:
    return dict(zip(NAMES, across_arms(tables.of_arm(), QUICK), strict=True))


def test_arms_are_compared_on_the_cases_that_both_have_and_it_is_said(tmp_path):
    tables = study(tmp_path, PARTLY)
    (said,) = [note for note in tables.notes if "arms" in note]
    assert said == (
        "Cases that not all arms have are left out of comparisons of arms, whose gains so differ from those of one arm "
        "by itself: 8 of 16 of t0, 8 of 16 of t1, 8 of 16 of t2 (first 'c00', not in arm b)."
    )
    found = frames_of(tables)
    shared = frames_of(study(tmp_path, {task: {"a": range(4, 12), "b": range(4, 12)} for task in TASKS}))
    pd.testing.assert_frame_equal(found["arm_gains"], shared["arm_gains"], rtol=1e-6, atol=1e-9)
    assert found["excluded"].to_dict("records") == [
        {
            "table": "cases",
            "rows": 24,
            "reason": "test cases that some run of some arm has not scored, in no comparison of arms: t0, t1, t2",
        }
    ]
    assert shared["excluded"].empty


def test_arms_without_a_case_in_common_leave_the_analysis_of_one_arm_as_it_is(tmp_path):
    tables = study(tmp_path, APART_IN_ALL)
    assert "No case is in all arms in t0, t1, t2: arms are not compared there." in tables.notes
    found = analyse(tables, QUICK)
    assert found.study.arm == "a"
    alone = analyse(study(tmp_path, {task: {"a": range(12)} for task in TASKS}), QUICK)
    pd.testing.assert_frame_equal(found.gains, alone.gains, rtol=1e-9, atol=1e-12)
    assert all(found.frames[name].empty for name in NAMES if name != "excluded")
    (row,) = found.excluded[found.excluded["table"] == "cases"].to_dict("records")
    assert (row["rows"], row["reason"]) == (3 * 24, f"{APART}: t0, t1, t2")
    assert why_empty(found, "arm_gains") == "No test case has a score in every arm, so arms are not compared."
    assert why_empty(alone, "arm_gains") == "The study has one arm."
    shown = page(found, {}, [])
    assert (shown["arms"], shown["arms_why"]) == ("", why_empty(found, "arm_gains"))
    assert page(alone, {}, [])["arms_why"] == ""


def test_a_task_without_a_case_in_common_is_missing_from_the_comparison_alone(tmp_path):
    tables = study(tmp_path, {**PARTLY, "t1": APART_IN_ALL["t1"]})
    assert "No case is in all arms in t1: arms are not compared there." in tables.notes
    found = frames_of(tables)
    assert set(found["arm_gains"]["task"]) == set(found["arm_changes"]["task"]) == {"t0", "t2"}
    counted = dict(zip(found["excluded"]["reason"], found["excluded"]["rows"], strict=True))
    assert counted[f"{APART}: t1"] == 24 and sum(counted.values()) == 24 + 2 * 8
