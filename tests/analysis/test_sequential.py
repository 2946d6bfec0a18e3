"""Sequential aggregations in an analysis: what their gains are over, how they are named, and what they have cost."""

import numpy as np
import pandas as pd
import pytest

from aggregation_lab.manifest import Manifest
from analysis.contrasts import contrasts, default_base
from analysis.questions.caveats.design import trained_more
from analysis.questions.study_quality import ledger, task_compute
from analysis.report import words
from analysis.study import StudyTables, aggregation_order
from analysis.tables.order import against_base

NAMES = ["TS", "CG", "AU", "mine", "TS>TS", "AU>TS", "CG>TS"]


def test_gains_are_over_the_base_that_was_trained_as_long_and_over_the_base_besides():
    assert [contrast.name for contrast in contrasts(NAMES)] == [
        *("CG-TS", "AU-TS", "mine-TS", "(TS>TS)-TS", "(AU>TS)-(TS>TS)", "(CG>TS)-(TS>TS)"),
        *("(AU>TS)-TS", "(CG>TS)-TS", "AU-CG"),
    ]


def test_without_it_they_are_over_the_base_alone():
    assert [contrast.name for contrast in contrasts(["TS", "AU", "AU>TS"])] == ["AU-TS", "(AU>TS)-TS"]
    assert default_base("AU>TS", "TS", ["TS", "AU", "AU>TS"]) == "TS"


def test_another_base_has_its_own_second_stage():
    compared = contrasts(["CG", "TS", "AU", "CG>CG", "AU>CG"])
    assert ("AU>CG", "CG>CG") in {(contrast.joint, contrast.base) for contrast in compared}


def test_aggregations_stand_in_the_order_of_their_stages():
    assert aggregation_order(set(NAMES)) == ["TS", "CG", "AU", "mine", "TS>TS", "AU>TS", "CG>TS"]


def test_figures_show_each_aggregation_over_its_default_base():
    rows = pd.DataFrame([contrast.columns for contrast in contrasts(NAMES)])
    shown = ["CG-TS", "AU-TS", "mine-TS", "(TS>TS)-TS", "(AU>TS)-(TS>TS)", "(CG>TS)-(TS>TS)"]
    assert against_base(rows) == shown
    assert against_base(rows[rows["base"] == "TS"]) == [
        *("CG-TS", "AU-TS", "mine-TS", "(TS>TS)-TS", "(AU>TS)-TS", "(CG>TS)-TS")
    ]


def test_a_missing_matched_base_is_one_sentence_with_the_remedy():
    said = trained_more(["TS", "AU", "AU>TS"])
    assert said.startswith("AU>TS has had two stages of training, TS one") and "TS>TS" in said and "add it" in said
    assert trained_more(NAMES) == trained_more(["TS", "CG", "AU"]) == trained_more(["TS>TS", "AU>TS", "TS"]) == ""


def test_what_a_sequence_is_in_words():
    assert words.aggregation("AU>TS") == "one model per task, started from the models of AU"
    assert words.aggregation("TS>TS") == "one model per task, trained twice"
    assert words.aggregation("mine>other") == "one model per unit of other, started from the models of mine"


def study() -> StudyTables:
    """Two tasks of 10 images. TS: 2 passes, 40 operations a task. AU: 2 passes, 80. Second stages: 1 pass, 20 each."""
    both = {"fraction": 1.0, "seed": 0}
    runs, scores = [], []
    for name, unit, tasks, start, passes, flops, passes_before, flops_before in (
        *(("TS", task, [task], "", 2.0, 40.0, 0.0, 0.0) for task in "ab"),
        ("AU", "all", ["a", "b"], "", 2.0, 80.0, 0.0, 0.0),
        *(("AU>TS", task, [task], "AU-all", 1.0, 20.0, 2.0, 40.0) for task in "ab"),
        *(("TS>TS", task, [task], f"TS-{task}", 1.0, 20.0, 2.0, 40.0) for task in "ab"),
    ):
        run = f"{name}-{unit}"
        about = {"run": run, "aggregation": name, "unit": unit, "tasks": "+".join(tasks), **both}
        cost = {"passes": passes, "flops": flops, "images_seen": int(10 * len(tasks) * passes), "steps": 5}
        before = {"start": start, "passes_before": passes_before, "flops_before": flops_before}
        runs.append(about | cost | before | {"seconds": 3600.0, "device": "cpu"})
        for task in tasks:
            score = {"task": task, "type": "classification", "group": "g", "n_train": 10, "n_cases": 9, "value": 0.8}
            metric = {"metric": "AUC", "direction": "higher", "split": "test", "n_undefined": 0}
            scores.append({"run": run, "aggregation": name, "unit": unit, **both} | score | metric)
    return StudyTables(Manifest("staged"), pd.DataFrame(scores), runs=pd.DataFrame(runs))


def test_both_stages_count_as_compute():
    spent = task_compute(study())
    assert spent["TS", 1.0, "a"] == spent["AU", 1.0, "a"] == (2.0, 4.0)
    assert spent["AU>TS", 1.0, "a"] == spent["TS>TS", 1.0, "b"] == (3.0, 6.0)
    rows = ledger(study()).set_index("aggregation")
    assert rows.loc["AU>TS", ["flops", "flops_before"]].to_list() == [40.0, 80.0]
    assert rows.loc["AU>TS", "flops_ratio"] == pytest.approx(1.5, rel=1e-9, abs=0)
    assert rows.loc["AU", "flops_ratio"] == pytest.approx(1.0, rel=1e-9, abs=0)


def test_a_first_stage_without_a_result_leaves_the_compute_unknown():
    tables = study()
    assert tables.runs is not None
    started = tables.runs["start"] == "AU-all"
    tables.runs.loc[started, ["passes_before", "flops_before"]] = np.nan
    assert np.isnan(task_compute(tables)["AU>TS", 1.0, "a"]).all()
    assert np.isnan(ledger(tables).set_index("aggregation").loc["AU>TS", "flops_ratio"])
