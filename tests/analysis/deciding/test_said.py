"""What a report says of seeds and margins that were not fixed, and that its intervals are those for all looks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.deciding.said import replicates_by_looks
from analysis.pipeline import analyse
from analysis.questions.means import tasks_of_this_kind, these_tasks
from analysis.report.checks import alerts
from analysis.report.citation import cited
from analysis.report.statistics import statistics
from analysis.settings import Settings
from analysis.statistics.looks import Looks
from analysis.study import StudyTables
from analysis.validation.design import Design
from analysis.validation.simulate import simulate
from tests.analysis.questions.test_power import paired

DESIGN = Design(tasks=6, groups=6, seeds=5, subjects=20, levels={"AU": 0.03}, seed_sd=0.01)


def by_looks(study: StudyTables, *made: int, closed=()) -> StudyTables:
    plan = {"seeds": [0, 1, 2, 3, 4], "planned": [2, 3, 4, 5], "made": list(made), "closed": closed}
    return replace(study, manifest=replace(study.manifest, looks={**plan, "finished": len(made) == 4}))


@pytest.fixture(scope="module")
def tables() -> StudyTables:
    """A simulated study of five seeds."""
    return simulate(DESIGN, 0).tables()


@pytest.fixture(scope="module")
def analyses(tables):
    """The study as a fixed design of three seeds, and as one that has made two looks, after two and three."""
    kept = {name: rows[rows["seed"] < 3].reset_index(drop=True)
            for name in ("scores", "cases") for rows in [getattr(tables, name)]}  # fmt: skip
    fixed, looked = (
        replace(tables, **kept),
        by_looks(tables, 2, 3, closed=[[], [["AU", "TS", 1.0, "a", "no prospect"]]]),
    )
    return analyse(fixed, Settings(draws=100)), analyse(looked, Settings(draws=100))


def test_gains_are_those_of_the_last_look_and_their_intervals_those_of_all(analyses):
    fixed, looked = (analysis.gains.set_index("task") for analysis in analyses)
    pd.testing.assert_series_equal(fixed["gain"], looked["gain"], rtol=1e-12, atol=0)
    pd.testing.assert_series_equal(fixed["seeds"], looked["seeds"], check_exact=True)
    assert ((looked["high"] - looked["low"]) > 1.2 * (fixed["high"] - fixed["low"])).all()
    assert (looked["p"] > fixed["p"]).all() and (looked["power"] < fixed["power"]).all()


def test_a_margin_is_said_to_be_chosen_only_where_it_was_named(analyses):
    fixed, _ = analyses
    tasks = sorted(fixed.gains["task"])
    margins = dict.fromkeys(tasks, 0.02)

    def said(**about: object) -> str:
        manifest = replace(fixed.study.manifest, **about)
        return " ".join(statistics(replace(fixed, study=replace(fixed.study, manifest=manifest))))

    default = "a default, not chosen for these tasks"
    assert f"the margin (0.02; {default})" in said()
    assert f"the margin (0.02; {default})" in said(margins=margins, margins_named=())
    assert "the margin (0.02; named in the study file)" in said(margins=margins, margins_named=tuple(tasks))
    assert f"named in the study file for 1 of 6 tasks; for the others {default})" in said(
        margins=margins, margins_named=tuple(tasks[:1])
    )
    assert "named in the study file, changed in 6 tasks after verdicts had been read)" in said(
        margins=margins, margins_named=tuple(tasks), margins_seen=dict.fromkeys(tasks, 0.1)
    )
    assert "before the runs" not in said(margins=margins)


def test_means_over_tasks_are_for_all_looks_too(analyses):
    fixed, looked = (analysis.pooled.iloc[0] for analysis in analyses)
    assert looked["gain"] == pytest.approx(fixed["gain"], rel=1e-12, abs=0) and looked["p"] > fixed["p"]
    assert looked["high"] - looked["low"] > fixed["high"] - fixed["low"]
    assert looked["high_new"] - looked["low_new"] > fixed["high_new"] - fixed["low_new"]


def test_the_report_says_so_and_cites_it(analyses):
    fixed, looked = analyses
    said = " ".join(looked.warnings)
    assert "verdicts were looked at after 2 and 3 of at most 5" in said and "1 of 1 comparisons that stopped" in said
    assert "Looks after 4 and 5 seeds are still to come" in said
    assert "2 of 4 looks are made" in " ".join(alerts(looked)) and not alerts(fixed)
    text = " ".join(statistics(looked))
    assert "with looks planned after 2, 3, 4, 5 of them" in text
    named = {source.name for source in cited(text)}
    assert {"Lan and DeMets 1983", "Lan and DeMets 1989", "Liu and Anderson 2008"} <= named
    assert "Jennison and Turnbull 1989" in named
    assert "looks" not in " ".join(statistics(fixed)) + " ".join(fixed.warnings)


def test_before_the_first_look_nothing_is_claimed(tables):
    study = by_looks(tables)
    assert replicates_by_looks(study) == [
        "No look is made yet, the first is due after 2 of 5 seeds: no verdict is given."
    ]
    pairs = [replace(paired(np.array([0.1, 0.2, 0.3]), task=f"t{k}"), looks=study.looks) for k in range(6)]
    assert np.isnan(these_tasks(pairs)[1:]).all() and np.isnan(tasks_of_this_kind(pairs).low)


def test_one_look_at_all_seeds_changes_no_interval():
    assert Looks((0, 1, 2), (3,), (3,)).level() == pytest.approx(0.95, abs=1e-4)
    assert Looks((0, 1, 2), (3,), (3,)).corrected(0.03) == pytest.approx(0.03, rel=1e-3, abs=0)
    assert Looks((0, 1, 2), (2, 3), (2,)).level() > 0.98 and np.isnan(Looks((0, 1, 2), (2, 3)).level())


def test_seeds_that_were_added_after_verdicts_had_been_read_are_said(tables):
    for seen in ((3, 5), ((0, 1, 2), (0, 1, 2, 3, 4))):
        (said,) = replicates_by_looks(replace(tables, manifest=replace(tables.manifest, verdicts_seen=seen)))
        assert said.startswith("Verdicts were read at 3 seeds, too, of the 5 here: where seeds were added because of")
    assert replicates_by_looks(tables) == []


def test_seeds_that_were_left_out_or_exchanged_after_verdicts_had_been_read_are_said(tables):
    for seen, named in (((6,), "6 seeds"), (((0, 1, 2, 3, 4, 5),), "seeds 0-5"), (((2, 7, 8, 9),), "seeds 2, 7-9")):
        (said,) = replicates_by_looks(replace(tables, manifest=replace(tables.manifest, verdicts_seen=seen)))
        assert f"Verdicts were also read with {named}, not all of which are among the seeds here, 0-4: where" in said
    both = replace(tables.manifest, verdicts_seen=((0, 1), (7, 8), (0, 1, 2, 3, 4)))
    assert len(replicates_by_looks(replace(tables, manifest=both))) == 2
