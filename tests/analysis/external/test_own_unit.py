"""Tasks whose metric has a unit, such as mm: their gains have no margin, and tables say which way is better."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.context import prepare
from analysis.external import read_scores
from analysis.frames import frame
from analysis.questions import study_quality
from analysis.questions.caveats.every import caveats
from analysis.questions.task_gains import task_gains
from analysis.result import Analysis
from analysis.settings import Scale, Settings
from analysis.tables.tasks import gains_table, scores_table

TASKS = {"reg0": "MRE_mm", "reg1": "MRE_mm", "seg": "DSC"}


def analysed(folder: Path, scale: Scale = "absolute") -> Analysis:
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
    context = prepare(read_scores(folder / "own.csv"), settings)
    gains = task_gains(context.study, context.resampled, context.pairs, settings)
    frames = {
        "gains": gains,
        "data": study_quality.data(context.study),
        "scores": study_quality.scores(context.study, gains),
        "ledger": study_quality.ledger(context.study),
        "reference": frame("reference", []),
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


def test_without_a_margin_none_is_supported(tmp_path):
    analysis = analysed(tmp_path)
    supported = analysis.frames["gains"].set_index("task")["supported_margin"]
    assert supported[["reg0", "reg1"]].isna().all() and supported["seg"] >= 0
    shown = gains_table(analysis).frame.set_index("task")["supports"]
    assert shown.to_dict() == {"reg0": "–", "reg1": "–", "seg": "0.000"}


def test_the_direction_that_is_better_is_that_of_the_table(tmp_path):
    assert set(scores_table(analysed(tmp_path)).frame["metric"]) == {"MRE_mm ↓", "DSC ↑"}
