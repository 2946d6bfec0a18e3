"""Tasks whose metric has a unit, such as mm: their gains have no margin but one that is named in it, and tables say
which way is better."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aggregation_lab.errors import ResultsError, StudyError
from analysis.context import prepare
from analysis.external import read_scores
from analysis.frames import FRAMES, frame
from analysis.questions import study_quality
from analysis.questions.caveats.every import caveats
from analysis.questions.task_gains import task_gains
from analysis.report.statistics import statistics
from analysis.result import Analysis
from analysis.settings import Scale, Settings
from analysis.tables.tasks import data_table, gains_table, scores_table
from runners.commands.opened_scores import reading

TASKS = {"reg0": "MRE_mm", "reg1": "MRE_mm", "seg": "DSC"}


def analysed(folder: Path, scale: Scale = "absolute", **margins: float) -> Analysis:
    """AU errs by 0.3 mm less in reg0 and more in reg1, and overlaps by 0.03 more."""
    random, change = np.random.default_rng(0), {"reg0": -0.3, "reg1": 0.3, "seg": 0.03}
    rows = [
        {"task": task, "aggregation": name, "seed": seed, "metric": metric}
        | {"direction": "lower" if metric == "MRE_mm" else "higher"}
        | {"value": (4.0 if metric == "MRE_mm" else 0.8) + change[task] * (name == "AU") + random.normal(0, 0.005)}
        for task, metric in TASKS.items()
        for name in ("TS", "AU")
        for seed in range(4)
    ]
    pd.DataFrame(rows).to_csv(folder / "own.csv", index=False)
    settings = Settings(scale=scale, draws=20)
    context = prepare(read_scores(folder / "own.csv", margins=margins), settings)
    gains = task_gains(context.study, context.resampled, context.pairs, settings)
    frames = {name: frame(name, []) for name in FRAMES} | {
        "gains": gains,
        "data": study_quality.data(context.study),
        "scores": study_quality.scores(context.study, gains),
        "ledger": study_quality.ledger(context.study),
    }
    return Analysis(context.study, settings, frames, tuple(caveats(context.study, frames)))


def about_margins(analysis: Analysis) -> list[str]:
    return [each for each in analysis.warnings if "margin" in each]


def test_a_gain_in_a_unit_has_no_margin_and_that_is_said_with_a_remedy(tmp_path):
    analysis = analysed(tmp_path)
    verdicts = analysis.frames["gains"].set_index("task")["verdict"].to_dict()
    assert verdicts == {"reg0": "benefit", "reg1": "harm", "seg": "benefit"}
    default, none = about_margins(analysis)
    assert default.startswith("No margin was named for 1 of 3 tasks (seg): 0.02")
    assert none.startswith("Gains of 2 of 3 tasks (reg0, reg1) are in the unit of the metric")
    assert "--scale relative" in none and "unit-free metric" in none


def test_relative_gains_have_a_margin(tmp_path):
    (default,) = about_margins(analysed(tmp_path, "relative"))
    assert default.startswith("No margin was named for 3 of 3 tasks")


def test_a_margin_in_the_unit_shows_no_meaningful_loss(tmp_path):
    analysis = analysed(tmp_path, MRE_mm=0.5, reg0=0.6, default=0.01)
    rows = analysis.frames["gains"].set_index("task")
    assert rows["margin"].to_dict() == {"reg0": 0.6, "reg1": 0.5, "seg": 0.01}
    assert rows.loc["reg1", "verdict"] == "no meaningful loss" and about_margins(analysis) == []
    assert 0.3 < rows.loc["reg1", "supported_margin"] < 0.32
    shown = data_table(analysis).frame.set_index("task")
    assert shown.loc["reg1", ["margin", "in the metric"]].tolist() == ["–", "0.500 (–)"]
    assert gains_table(analysis).frame.set_index("task").loc["reg1", "margin"] == "0.5"
    assert "margin (0.01 to 0.6; named by the reader of the scores)" in " ".join(statistics(analysis))


def test_a_margin_in_the_unit_is_a_share_of_the_base_for_relative_gains(tmp_path):
    rows = analysed(tmp_path, "relative", MRE_mm=0.5).frames["gains"].set_index("task")
    np.testing.assert_allclose(rows.loc[["reg0", "reg1"], "margin"], 0.5 / 4.0, rtol=0.01, atol=0)
    assert rows.loc["seg", "margin"] == pytest.approx(0.02 / 0.8, rel=0.01, abs=0)


@pytest.mark.parametrize(
    ("margins", "said"),
    [
        ({"reg2": 0.5}, "--margin 'reg2': no task, metric of gains or type is called so; did you mean reg"),
        ({"seg": 2.0}, "--margin 'seg' 2: takes a loss of at least 0, below 1 for unit-free scores"),
        ({"reg0": -1.0}, "--margin 'reg0' -1: takes a loss of at least 0"),
        ({"reg0": float("inf")}, "--margin 'reg0' inf: takes a loss of at least 0"),
        ({"seg": 0.01, "default": 0.02}, "--margin: no task without a margin of its own has a unit-free score"),
        ({"unknown": 0.02}, "--margin 'unknown': its tasks have gains in several units (1, MRE_mm); name tasks"),
        ({"seg": 0.01, "DSC": 0.02}, "--margin 'DSC': all of its tasks have a margin of their own; take it out"),
    ],
)
def test_a_margin_that_cannot_hold_is_refused_in_one_line(tmp_path, margins, said):
    with pytest.raises(ResultsError) as caught:
        analysed(tmp_path, **margins)
    assert said in str(caught.value)


def test_margins_are_typed_with_a_name_or_without():
    assert reading(None, (), None, ["0.03", " lesion = 0.05", "a=b=0.1"]).margins == {
        "default": 0.03,
        "lesion": 0.05,
        "a=b": 0.1,
    }
    for wrong in ("much", "lesion=", "=0.1", "lesion"):
        with pytest.raises(StudyError, match="write LOSS or NAME=LOSS"):
            reading(None, (), None, [wrong])
    with pytest.raises(StudyError, match="is a second margin of that; keep one"):
        reading(None, (), None, ["0.03", "0.04"])


def test_without_a_margin_none_is_supported(tmp_path):
    analysis = analysed(tmp_path)
    supported = analysis.frames["gains"].set_index("task")["supported_margin"]
    assert supported[["reg0", "reg1"]].isna().all() and supported["seg"] >= 0
    shown = gains_table(analysis).frame.set_index("task")["supports"]
    assert shown.to_dict() == {"reg0": "–", "reg1": "–", "seg": "0.000"}


def test_the_direction_that_is_better_is_that_of_the_table(tmp_path):
    assert set(scores_table(analysed(tmp_path)).frame["metric"]) == {"MRE_mm ↓", "DSC ↑"}
