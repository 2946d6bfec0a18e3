"""Models that learned nothing get no verdict, and everything that counts, plans, advises or tests says so.

Two tasks gain and are harmed far beyond the margin with both means below their floor, five others with both above it.
"""

from dataclasses import replace

import pandas as pd
import pytest

from aggregation_lab.errors import ResultsError
from aggregation_lab.manifest import Manifest
from analysis.context import prepare
from analysis.contrasts import Contrast
from analysis.deciding.open_verdicts import open_verdicts
from analysis.deciding.stopping import NO_PROSPECT, comparisons
from analysis.pipeline import analyse
from analysis.questions.finding_parts import NOT_TESTABLE
from analysis.questions.power import LEARNED_NOTHING, plan_sentence
from analysis.questions.task_gains import task_gains
from analysis.report.answers import answers
from analysis.report.checks import checks
from analysis.report.statistics import statistics
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.statistics.looks import Looks
from analysis.statistics.verdicts import BENEFIT, HARM, NO_LOSS, UNDECIDED
from analysis.study import StudyTables
from analysis.tables import paper_table

AU_TS = Contrast("AU", "TS")
SETTINGS = Settings(draws=20)
SCATTER = (-0.002, 0.001, 0.003, -0.002)
"""By which a seed's gain differs from the mean."""

GAINS = {"rises": 0.1, "falls": -0.1, "much": 0.1, "little": 0.01, "sheds": -0.01, "loses": -0.1, "gains": 0.05}
FLOOR = dict.fromkeys(GAINS, 0.2) | {"rises": 0.9, "falls": 0.9}


def score(task: str, name: str, seed: int, value: float) -> dict[str, object]:
    about = {"type": "segmentation", "group": f"g{list(GAINS).index(task) % 2}", "metric": "DSC", "direction": "higher"}
    sizes = {"n_train": 100 + 50 * list(GAINS).index(task), "n_cases": 30, "fraction": 1.0, "split": "test"}
    return {"task": task, "aggregation": name, "seed": seed, "run": "", "value": value} | about | sizes


def tables(floor: dict[str, float] = FLOOR) -> StudyTables:
    """TS at DSC 0.5, AU by the planned gain above it, and the floors."""
    rows = [score(task, "floor", -1, value) for task, value in floor.items()]
    for task, gain in GAINS.items():
        for seed, off in enumerate(SCATTER):
            rows += [score(task, "TS", seed, 0.5), score(task, "AU", seed, 0.5 + gain + off)]
    return StudyTables(Manifest("by hand", margins=dict.fromkeys(GAINS, 0.02)), pd.DataFrame(rows))


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(tables(), SETTINGS)


def gains_of(study: StudyTables) -> pd.DataFrame:
    return task_gains(study, None, prepare(study, SETTINGS).pairs, SETTINGS)


def verdicts(gains: pd.DataFrame) -> dict[str, str]:
    return dict(zip(gains["task"], gains["verdict"], strict=True))


def test_without_a_mean_above_the_floor_there_is_no_verdict(analysis):
    assert verdicts(analysis.gains) == {
        "rises": UNDECIDED,
        "falls": UNDECIDED,
        "much": BENEFIT,
        "little": BENEFIT,
        "sheds": NO_LOSS,
        "loses": HARM,
        "gains": BENEFIT,
    }
    rows = analysis.gains.set_index("task")
    assert set(rows.index[rows["learned_nothing"]]) == {"rises", "falls"}
    assert rows.at["rises", "would_decide"] == "learned nothing: neither model's mean is above its floor"
    assert rows.at["rises", "p_adjusted"] < 0.05, "the tests themselves stay as they are"
    scores = analysis.scores[analysis.scores["aggregation"] == "AU"].set_index("task")
    assert scores.at["rises", "verdict"] == UNDECIDED and not scores.at["rises", "beats_floor"]


def test_one_model_above_the_floor_or_no_floor_is_enough_for_a_verdict():
    between = gains_of(tables(FLOOR | {"rises": 0.55, "falls": 0.45}))
    assert verdicts(between)["rises"] == BENEFIT and verdicts(between)["falls"] == HARM
    bare = tables()
    bare = replace(bare, scores=bare.scores[bare.scores["aggregation"] != "floor"].reset_index(drop=True))
    assert verdicts(gains_of(bare))["rises"] == BENEFIT


def test_the_headline_the_trust_line_and_the_warnings_agree(analysis):
    (answer,) = answers(analysis)
    assert answer.sentence == (
        "Of 7 tasks with all training data, 3 gain (2 shown to gain more than the margin), 1 is harmed, 1 shows no "
        "meaningful loss and 2 are undecided (2 learned nothing: neither mean is above the floor)."
    )
    assert "2 of these tasks learned nothing and count in both." in answer.mean
    shown = " ".join(check.text for check in checks(analysis))
    assert "of 5 decided verdicts" in shown and "mean of TS above the floor in 5 of 7 tasks" in shown
    (said,) = [line for line in analysis.warnings if "trivial predictor" in line]
    assert said.startswith("Neither model of a comparison has a mean above that of the trivial predictor in 2 of 7")
    assert "(falls, rises): the verdict there is undecided; means, lines" in said


def test_no_other_choice_of_analysis_gives_one_a_verdict(analysis):
    rows = analysis.multiverse.set_index("task")
    assert (rows.loc[["rises", "falls"], UNDECIDED] == 1).all() and rows.at["much", BENEFIT] == 1


def test_means_say_how_many_such_tasks_they_hold(analysis):
    row = analysis.pooled.iloc[0]
    assert (row["level"], row["tasks"], row["learned_nothing"]) == ("overall", 7, 2)
    table = paper_table(analysis, "group_means")
    assert table is not None and table.frame["tasks"].iloc[0] == "7 (2∅)"
    assert "∅ tasks in which neither model's mean is above the floor: they are in the means." in table.note


def test_nothing_is_planned_for_them(analysis):
    found = open_verdicts(tables(), SETTINGS)
    assert (found.verdicts, found.undecided, found.below_floor, len(found.planned)) == (7, 2, 2, 0)
    power = analysis.power.set_index("task")
    assert power.loc[["rises", "falls"], "limit"].eq(LEARNED_NOTHING).all()
    assert power.loc["rises", ["seeds_to_detect", "more_replicates"]].isna().all()
    assert "in 2 neither model's mean is above the floor" in plan_sentence(analysis.power)


def test_a_grid_that_stops_when_decided_stops_for_them():
    looks = Looks(tuple(range(8)), (2, 4, 6, 8), (2, 4))
    compared = prepare(tables(), SETTINGS).pairs
    pairs = {key: [replace(pair, looks=looks) for pair in of_key] for key, of_key in compared.items()}
    closed = {each.task: each.closed for each in comparisons(pairs, looks, SETTINGS)}
    assert closed["rises"] == closed["falls"] == NO_PROSPECT and closed["much"] == BENEFIT


def test_advice_and_findings_do_not_rest_on_them(analysis):
    assert analysis.rule is not None
    assert {key: seen.tasks for key, seen in analysis.rule.seen.items()} == {("AU", "segmentation"): 5}
    nothing = analyse(tables(dict.fromkeys(GAINS, 0.9)), SETTINGS)
    with pytest.raises(ResultsError, match="no rule could be fitted"):
        nothing.recommend(200, "segmentation")
    tested = nothing.findings["verdict"]
    assert tested.isin([NOT_TESTABLE, UNDECIDED]).all() and (tested == NOT_TESTABLE).any()
    parts = nothing.findings.set_index("part")["verdict"]
    assert parts["AU gains over TS, all tasks together (median)"] == NOT_TESTABLE


def test_benefits_are_told_from_zero_and_losses_from_the_margin_and_methods_say_so(analysis):
    larger = analysis.gains.set_index("task")["exceeds_margin"]
    assert {task for task, flag in larger.items() if flag} == {"much", "gains"}
    text = " ".join(statistics(analysis))
    assert "Benefit and harm are not treated alike: a gain is told from 0, however small it is" in text
