"""The pages on shipped studies show what their score tables give now; a failure shows the rows as they should be."""

from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace

import pandas as pd
import pytest

from analysis.context import Context, prepare
from analysis.questions import study_quality
from analysis.questions.collapsed_runs import collapsed_runs
from analysis.questions.task_gains import task_gains
from analysis.settings import Settings
from analysis.study import load_study
from analysis.tables.cells import count, decimals, flagged, limits, number
from analysis.tables.collapsed import CollapsedMarks
from tests import ROOT

IMPROVING = ("still_improving", "rising", "curves")

pytestmark = pytest.mark.slow


@cache
def made(name: str) -> tuple[Context, pd.DataFrame]:
    """A shipped study and its gains at full data."""
    context = prepare(load_study(ROOT / "analysis/examples" / name), Settings())
    gains = task_gains(context.study, context.resampled, context.pairs, context.settings)
    return context, gains[gains["fraction"] == 1]


def collapsed_marks(context: Context) -> CollapsedMarks:
    """Those of the study's collapsed runs, without the rest of an analysis."""
    found = collapsed_runs(context.study, context.resampled, context.scores)
    return CollapsedMarks(SimpleNamespace(frames={"collapsed": found}))


def cells(name: str) -> Iterator[tuple[pd.Series, dict[str, str], dict[str, str]]]:
    """Of every task: what is known of it, its scores by aggregation, and its gains by contrast."""
    context, gains = made(name)
    scores = study_quality.scores(context.study, gains)
    scores = scores[(scores["fraction"] == 1) & (scores["aggregation"] != "floor")]
    data, marks = study_quality.data(context.study), collapsed_marks(context)
    for _, about in data[data["fraction"] == 1].sort_values(["group", "task"]).iterrows():
        own = scores[scores["task"] == about["task"]].set_index("aggregation")
        shown = {
            str(each): " ".join(filter(None, [score(row), marks.of_score(row.to_dict() | {"aggregation": each})]))
            for each, row in own.iterrows()
        }
        shown["floor"] = number(own["floor"].iloc[0], decimals(own["unit"].iloc[0]))
        of_task = gains[gains["task"] == about["task"]].set_index("contrast")
        gained = {str(name): marks.of_gain(gain(row), row) for name, row in of_task.iterrows()}
        yield about, shown, gained | {"notice": notice(of_task)}


def score(row: pd.Series) -> str:
    return flagged(number(row["mean"], decimals(row["unit"])), *row[[*IMPROVING]])


def gain(row: pd.Series) -> str:
    if row["verdict"] == "same model":
        return "same model"
    nothing = " (learned nothing)" if row["learned_nothing"] else ""
    interval = limits(row.to_dict(), "gain", "low_adjusted", "high_adjusted")
    return f"{'+' * (row['gain'] > 0)}{interval} {row['verdict']}{nothing}".replace("−", "-")


def notice(rows: pd.DataFrame) -> str:
    known = rows.loc[["CG-TS", "AU-TS"], "detectable"].dropna()
    return "; ".join(f"{name}: ±{number(value)}" for name, value in known.items())


def scores_rows() -> list[str]:
    return [
        f"| {about['group']} | {about['task']} | {about['metric']}{' px' * (about['metric'] == 'MRE')} "
        f"| {count(about['n_train'])} | {count(about['n_test'])} "
        f"| {shown['TS']} | {shown['CG']} | {shown['AU']} | {shown['floor']} |"
        for about, shown, _ in cells("us_mini")
    ]


def gains_rows() -> list[str]:
    return [
        f"| {about['task']} | {said['CG-TS']} | {said['AU-TS']} | {said['notice']} |".replace("|  |", "| |")
        for about, _, said in cells("us_mini")
    ]


def scale_rows() -> list[str]:
    return [
        f"| {about['task']}{', px' * (about['metric'] == 'MRE')} | {count(about['n_train'])} | {shown['TS']} "
        f"| {shown['CG']} | {shown['AU']} | {said['CG-TS']} | {said['AU-TS']} |"
        for about, shown, said in cells("us_mini_scale")
    ]


def arms_rows() -> list[str]:
    return [joint_rows(about, said, "(AU>TS)-(TS>TS)", "(AU>TS)-TS") for about, _, said in cells("us_mini_arms")]


def found_rows() -> list[str]:
    return [joint_rows(about, said, "found-TS", "found-AU") for about, _, said in cells("us_mini_found")]


def joint_rows(about: pd.Series, said: dict[str, str], *contrasts: str) -> str:
    return " | ".join([f"| {about['task']}", *(said[name] for name in ("CG-TS", "AU-TS", *contrasts))]) + " |"


@pytest.mark.parametrize(
    ("page", "rows"),
    [
        ("us_mini", scores_rows),
        ("us_mini", gains_rows),
        ("us_mini", scale_rows),
        ("arms", arms_rows),
        ("grouping", found_rows),
    ],
)
def test_every_row_of_the_table_stands_in_the_page(page, rows):
    text, wanted = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8"), rows()
    missing = [row for row in wanted if row not in text]
    assert len(wanted) == 10 and not missing, "\n".join(["write:", *missing])
