"""A partition whose runs are those of another one is no second piece of evidence, and what a report says of `found`."""

from dataclasses import replace

import pandas as pd
import pytest

from analysis.context import prepare
from analysis.contrasts import contrasts
from analysis.pipeline import STEPS
from analysis.questions.caveats.design import of_design
from analysis.report.found import fair, found, sentence
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.shared_runs import copies, without_copies
from analysis.study import StudyTables
from tests.fake_groups import group_tables

TABLES = ("scores", "runs", "curves")
QUICK = Settings(draws=200)


def named(study: StudyTables, name: str, of: str, tasks: set[str] | None = None) -> StudyTables:
    """The study with the runs of an aggregation, or some of its tasks, under a second name."""
    frames = {table: getattr(study, table) for table in TABLES}
    parts = {table: rows[rows["aggregation"] == of].assign(aggregation=name) for table, rows in frames.items()}
    if tasks is not None:
        parts = {table: rows[rows["task"].isin(tasks)] if "task" in rows else rows for table, rows in parts.items()}
    return replace(study, **{table: pd.concat([frames[table], parts[table]], ignore_index=True) for table in TABLES})


def retrained(study: StudyTables, name: str, tasks: set[str], by: float) -> StudyTables:
    """The study with other runs, and scores, of some tasks under a name."""
    scores = study.scores
    chosen = (scores["aggregation"] == name) & scores["task"].isin(tasks)
    run = scores["run"].where(~chosen, scores["run"] + " again")
    return replace(study, scores=scores.assign(run=run, value=scores["value"] + by * chosen))


@pytest.fixture(scope="module")
def study() -> StudyTables:
    return group_tables()


def about(study: StudyTables, **changes) -> dict:
    return {
        "units": {"unit_1": ["task00", "task01"], "unit_2": ["task02"]},
        "options": {"units": 3, "within": None},
        "tables": {"curves": "ab" * 32},
        "seeds": [0, 1],
        "why": ["3 units, 1 of several tasks: predicted mean gain over TS -0.010"],
        "about": {"same_as": None},
        "outdated": "",
    } | changes


def with_found(study: StudyTables, **changes) -> StudyTables:
    return replace(study, manifest=replace(study.manifest, found=about(study, **changes)))


def told_of(study: StudyTables) -> Analysis:
    """As much of an analysis as these words need."""
    context = prepare(study, QUICK)
    made = {
        name: step.make(context)[0] for step in STEPS for name in step.frames if name in ("seed_gains", "found_means")
    }
    return Analysis(context.study, QUICK, context.frames | made, (), None)


def test_the_partition_of_another_aggregation_is_left_out_and_said(study):
    both = named(study, "found", "CG")
    assert copies(both) == {"found": "CG"}
    context = prepare(both, QUICK)
    assert [contrast.name for contrast in context.contrasts] == ["CG-TS", "AU-TS", "AU-CG"]
    (note,) = context.study.notes
    assert note.startswith("found is the same partition as CG: both have the same runs, so found is left out of every")
    (row,) = context.study.excluded.to_dict("records")
    assert row["reason"] == "found has the runs of CG, which stand for both"
    assert row["rows"] == (study.scores["aggregation"] == "CG").sum()
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(context.study, table), getattr(study, table), check_exact=True)


def test_what_shares_some_runs_alone_stays_and_so_do_ts_cg_and_au(study):
    part = {"task00", "task01"}
    assert copies(retrained(named(study, "found", "CG"), "found", part, 0.0)) == {}
    assert copies(named(study, "found", "CG", part)) == {}, "an unfinished one may become another"
    single = replace(study, scores=study.scores[study.scores["aggregation"] != "AU"])
    assert copies(named(single, "AU", "CG")) == {}


def test_without_anything_else_to_compare_it_stays(study):
    alone = replace(study, scores=study.scores[study.scores["aggregation"] == "TS"])
    both = named(alone, "found", "TS")
    assert copies(both) == {"found": "TS"} and without_copies(both) is both


def test_found_is_compared_with_au_and_cg_too():
    names = [contrast.name for contrast in contrasts(["TS", "CG", "AU", "found", "mine"])]
    assert names == ["CG-TS", "AU-TS", "found-TS", "mine-TS", "AU-CG", "found-AU", "found-CG"]
    assert [contrast.name for contrast in contrasts(["found", "TS", "AU"])] == ["TS-found", "AU-found"]


def test_a_report_says_what_of_the_comparison_is_blind(study):
    tasks = {"task00", "task01"}
    mixed = with_found(retrained(named(study, "found", "CG"), "found", tasks, 0.1))
    result = told_of(mixed)
    told = found(result)
    assert told is not None and told.units == ("unit_1: task00, task01.", "unit_2: task02.")
    assert "(units 3) from the validation scores of its finished runs with seeds 0 and 1" in told.intro
    assert "curves abababababababab" in told.intro and told.why[0].endswith("\u22120.010")
    text = " ".join(told.fair)
    assert (
        "No test case had a part in the choice" in text and "4 have a model that another aggregation has, too" in text
    )
    assert "task00" not in text and "Seeds that were added after the choice are free of that." in text
    gains = result.frames["seed_gains"]
    own = gains[gains["contrast"] == "found-AU"].groupby("seed")["gain"].mean()
    (chosen,), (later,) = (
        rows.to_dict("records")
        for _, rows in result.found_means[result.found_means["contrast"] == "found-AU"].groupby("which", sort=False)
    )
    reach = 12.706 * own[:2].std(ddof=1) / 2**0.5  # Student's quantile of one degree of freedom
    assert (chosen["which"], chosen["seeds"], later["which"], later["seeds"]) == ("of the choice", 2, "later", 1)
    assert chosen["gain"] == pytest.approx(own[:2].mean(), rel=1e-9, abs=1e-12)
    assert chosen["high"] - chosen["gain"] == pytest.approx(reach, rel=1e-4, abs=0)
    assert later["gain"] == pytest.approx(own[2], rel=1e-9, abs=1e-12) and pd.isna(later["low"])
    numbers = f"{own[:2].mean():+.3f} [{chosen['low']:+.3f}, {chosen['high']:+.3f}]"
    expected = f"found-AU {numbers} (2 seeds) with the seeds of the choice".replace("-0.", "\u22120.")
    assert expected in text and f"{own[2]:+.3f} (1 seed) with later ones" in text
    assert "with Student's 95 % interval over seeds, for these tasks and test cases" in text
    assert sentence(result).startswith(
        "The partition found was chosen by predicted gains on the validation cases, no test"
    )


def test_a_report_does_not_claim_more_than_there_is(study):
    mixed = retrained(named(study, "found", "CG"), "found", {"task00"}, 0.1)
    folded = replace(mixed, manifest=replace(mixed.manifest, settings={"data": {"folds": 3}}))
    result = told_of(with_found(folded, seeds=[0, 1, 2], outdated="found.units: 3 -> 2"))
    text = " ".join(fair(result, result.study.manifest.found))
    assert "not blind to the test images" in text and "No test case" not in text
    assert "There are none in this study: raise `seeds`" in text and "has changed since: found.units: 3 -> 2." in text
    same = told_of(with_found(named(study, "found", "AU"), about={"same_as": "AU"}))
    (line,) = fair(same, same.study.manifest.found)
    assert line.startswith(
        "It is the partition AU: both have the same runs, so there is nothing to compare, and no verdict"
    )
    assert found(told_of(study)) is None and sentence(result) != ""


def test_groups_that_are_not_known_yet_are_a_caveat(study):
    sought = replace(study, manifest=replace(study.manifest, settings={"aggregations": {"TS": None, "found": None}}))
    said = "The groups of found are not known yet: the runs that they are found from are not all finished."
    assert said in of_design(sought) and said not in of_design(with_found(sought))


def test_seeds_that_a_task_lacks_are_in_no_mean_of_the_partition(study):
    """Else the later seeds would be compared with those of the choice on other tasks."""
    mixed = with_found(retrained(named(study, "found", "CG"), "found", {"task00", "task01"}, 0.1))
    rows = mixed.scores
    lost = (rows["aggregation"] == "found") & (rows["task"] == "task00") & (rows["seed"] == 2)
    means = told_of(replace(mixed, scores=rows[~lost])).found_means
    whole = told_of(mixed).found_means
    of_choice = whole[whole["which"] == "of the choice"].reset_index(drop=True)
    pd.testing.assert_frame_equal(means, of_choice, rtol=1e-9, atol=1e-12)
    assert set(whole["which"]) == {"of the choice", "later"} and len(means)
