"""What is said of the base is said of it under every name, not of one called TS."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aggregation_lab.manifest import Manifest
from analysis.frames import FRAMES, frame
from analysis.questions import study_quality
from analysis.questions.caveats.sentences import if_any
from analysis.report.checks import checks
from analysis.report.reasons import why_empty
from analysis.report.statistics import statistics
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.study import StudyTables
from analysis.tables import TABLES, paper_table
from tests.analysis.questions.test_trust import (
    NO_GAINS,
    TYPES,
    case_rows,
    curve_rows,
    gain_rows,
    run_rows,
    score_rows,
    warnings_of,
)
from tests.fake_analysis import fake_analysis

OF_TS = {"reference", "findings", "prediction_errors", "predicted_gains", "partitions", "found_groups"}
"""Tables of one model per task by definition, whatever the base is."""


def other(text: object) -> object:
    """The same of a base of another name."""
    return re.sub(r"\bTS\b", "single", text) if isinstance(text, str) else text


def rebased(own: StudyTables) -> StudyTables:
    """The study with its TS called single, and that named as the base."""
    tables = {
        name: rows.assign(aggregation=rows["aggregation"].map(other))
        for name in ("scores", "cases", "runs", "curves")
        if (rows := getattr(own, name)) is not None
    }
    return replace(own, base="single", **tables)


@pytest.fixture
def doubtful() -> StudyTables:
    """TS is below the floor, and still improving, in a task in which AU is above it; AU has 1.2 times the compute."""
    scores, runs = score_rows(), run_rows().assign(converged=True)
    better = (scores["aggregation"] == "AU") & (scores["metric"] == "AUC")
    scores = scores.assign(value=scores["value"].where(~better, 0.8))
    return StudyTables(Manifest("by hand", dict.fromkeys(TYPES, 0.03)), scores, case_rows(), runs, curve_rows())


@pytest.mark.parametrize("until", ["budget", "converged"])
def test_warnings_on_the_base(doubtful: StudyTables, until: str):
    doubtful = replace(doubtful, manifest=replace(doubtful.manifest, settings={"training": {"until": until}}))
    said = warnings_of(doubtful)
    about = " ".join(said)
    assert "The mean of TS is not above that of the trivial predictor in 1 of 3 tasks (kind)" in about
    assert "gains over them are flattered" in about and "over those of TS" in about
    about = (
        "Gains are over single, which was named as their base; what the findings say of gains over TS is not tested."
    )
    found = warnings_of(rebased(doubtful))
    assert about in found
    assert [each for each in found if each != about] == [other(each) for each in said]


def test_the_trust_line(doubtful: StudyTables):
    def line(own: StudyTables) -> list[tuple[str, str]]:
        scores, ledger = study_quality.scores(own, NO_GAINS), study_quality.ledger(own)
        frames = {name: frame(name, []) for name in FRAMES} | {"scores": scores, "ledger": ledger}
        found = Analysis(own, Settings(), frames | {"gains": gain_rows(own)})
        return [(check.state, check.text) for check in checks(found)]

    said = line(doubtful)
    assert ("caution", "mean of TS above the floor in 2 of 3 tasks") in said
    assert ("caution", "1 of 3 TS baselines still improving in a seed at least ↗") in said
    assert line(rebased(doubtful)) == [(state, other(text)) for state, text in said]


def test_what_tables_and_methods_say():
    whole = fake_analysis(4)
    frames = {name: rows.map(other) for name, rows in whole.frames.items()}
    named = replace(whole, study=rebased(whole.study), frames=frames)
    for name in TABLES.keys() - OF_TS:
        table, again = paper_table(whole, name), paper_table(named, name)
        if table is None or again is None:
            assert table is again
            continue
        assert other(table.note) == again.note
        plain = [title for title in table.frame.columns if not title.startswith("ResNet18")]
        assert [other(title) for title in plain] == [
            title for title in again.frame.columns if not title.startswith("ResNet18")
        ]
    assert statistics(named) == [other(text) for text in statistics(whole)]
    assert "TS" not in why_empty(named, "guidelines")


def test_a_name_with_braces_stands_in_a_caveat_as_it_is():
    said = if_any(["plane", "axis"], 3, "The mean of A{0} is low in {}.")
    assert said == ["The mean of A{0} is low in 2 of 3 tasks (axis, plane)."]


def test_operations_over_a_base_of_several_tasks(doubtful: StudyTables):
    """AU spends 36 operations on 50 + 50 + 100 cases, of which 18 are those of axis; TS spends 10 on each task."""
    scores = doubtful.scores.assign(n_train=np.where(doubtful.scores["task"] == "axis", 100, 50))
    over_au = replace(doubtful, base="AU", scores=scores)
    found = study_quality.ledger(over_au).set_index("aggregation")["flops_ratio"]
    assert found["AU"].to_numpy() == pytest.approx([1, 1], rel=1e-9, abs=0)
    assert found["TS"].to_numpy() == pytest.approx([30 / 36, 30 / 36], rel=1e-9, abs=0)
    alone = doubtful.runs[(doubtful.runs["aggregation"] == "AU") | (doubtful.runs["tasks"] == "axis")]
    found = study_quality.ledger(replace(over_au, runs=alone)).set_index("aggregation")["flops_ratio"]
    assert found["TS"].to_numpy() == pytest.approx([10 / 18, 10 / 18], rel=1e-9, abs=0)
    unknown = replace(over_au, scores=scores.assign(n_train=0))
    assert pd.isna(study_quality.ledger(unknown)["flops_ratio"]).all()
