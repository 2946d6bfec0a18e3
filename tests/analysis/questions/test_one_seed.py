"""One seed decides nothing, wherever a reader may look; an unfinished grid says so before any verdict."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.pipeline import analyse
from analysis.report import write_report
from analysis.report.checks import alerts
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.statistics.uncertainty import CASES
from analysis.study import StudyTables
from analysis.validation.simulate import Design, simulate

DECIDING = {"benefit", "harm", "no meaningful loss", "supported", "contradicted"}


def study(seeds: int) -> StudyTables:
    """Large gains and losses, and many subjects: whatever may be decided is."""
    design = Design(tasks=9, groups=3, subjects=60, seeds=seeds, levels={"CG": -0.1, "AU": 0.1}, fractions=(0.5, 1.0))
    return simulate(design, 0).tables()


@pytest.fixture(scope="module")
def one_seed() -> Analysis:
    return analyse(study(1), Settings(draws=200))


@pytest.fixture(scope="module")
def written(one_seed, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("one") / "report"
    write_report(one_seed, folder)
    return folder


def test_the_same_tasks_are_decided_with_three_seeds():
    verdicts = analyse(study(3), Settings(draws=200)).frames["gains"]["verdict"]
    assert set(verdicts) & DECIDING


def test_gains_have_intervals_of_cases_and_no_verdict(one_seed):
    gains = one_seed.frames["gains"]
    assert set(gains["basis"]) == {CASES} and set(gains["verdict"]) == {"undecided"}
    assert gains["low"].notna().all() and gains[["p", "p_loss", "low_adjusted"]].isna().all(axis=None)


def test_no_frame_decides_anything(one_seed):
    frames = one_seed.frames
    assert not set(frames["findings"]["verdict"]) & DECIDING
    assert frames["across"]["n_star"].isna().all()
    assert frames["guidelines"].empty or set(frames["guidelines"]["advice"]) == {"undecided"}
    for name in ("pooled", "sensitivity", "type_test", "within", "across"):
        tests = [column for column in frames[name] if column == "p" or column.startswith("p_")]
        assert frames[name][tests].isna().all(axis=None), name


@pytest.mark.slow
def test_nothing_that_is_written_decides_anything(written):
    claims = json.loads((written / "claims.json").read_text(encoding="utf-8"))
    assert {row["verdict"] for row in claims["verdicts"] + claims["findings"]} <= {"undecided", "not testable"}
    for path in sorted(written.glob("**/*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                assert row.get("verdict") not in DECIDING, path.name
                assert row.get("advice") in (None, "", "undecided"), path.name


@pytest.mark.slow
def test_the_page_opens_with_it(written, one_seed):
    page = (written / "index.html").read_text(encoding="utf-8")
    (alert,) = alerts(one_seed)
    assert "one seed" in alert
    assert page.index(alert) < page.index('id="answers"')
    assert "cases only" in (written / "tables" / "gains.md").read_text(encoding="utf-8")


def test_an_unfinished_grid_says_so_before_any_verdict():
    whole = analyse(study(2), Settings(draws=200))
    assert alerts(whole) == []
    manifest = replace(whole.study.manifest, planned=12, finished=9)
    (alert,) = alerts(replace(whole, study=replace(whole.study, manifest=manifest)))
    assert "not finished: 9 of 12 runs" in alert


def test_a_task_alone_is_not_said_to_lack_seeds():
    """AU of one task is its TS: the same runs under two names."""
    whole = study(2)

    def alone(table: pd.DataFrame) -> pd.DataFrame:
        rows = table[(table["task"] == "task00") & (table["aggregation"] == "TS")]
        return pd.concat([rows, rows.assign(aggregation="AU")], ignore_index=True)

    one = replace(whole, scores=alone(whole.scores), cases=alone(whole.cases))
    (alert,) = alerts(analyse(one, Settings(draws=50)))
    assert "nothing to compare" in alert and "seed" not in alert


def test_tasks_that_lack_runs_are_named():
    whole = study(3)
    scores = whole.scores
    none = (scores["task"] == "task02") & (scores["aggregation"] == "CG")
    fewer = (scores["task"] == "task01") & (scores["aggregation"] == "AU") & (scores["seed"] == 2)
    warnings = analyse(replace(whole, scores=scores[~none & ~fewer]), Settings(draws=200)).warnings
    assert sum("CG-TS: no seed under both aggregations in 1 of 9 tasks (task02)" in each for each in warnings) == 1
    assert (
        sum(
            "AU-TS: some seeds have a score under one of both aggregations alone in 1 of 9 tasks (task01)" in each
            for each in warnings
        )
        == 1
    )
