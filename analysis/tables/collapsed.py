"""Runs that learned next to nothing of a task while others did: their table, and their mark in other tables."""

from collections.abc import Hashable, Mapping
from typing import Any

from analysis.named_frames import NamedFrames
from analysis.tables.cells import data_share, decimals, number
from analysis.tables.paper import Column, PaperTable, Row, build, plain

COLLAPSED = "‡"
"""Stands beside a score, or a gain, of which some runs learned next to nothing while others did."""


class CollapsedMarks:
    """The mark of the models of an analysis: of a score, and of a gain with the aggregation that it is about."""

    def __init__(self, analysis: NamedFrames):
        keys = ["aggregation", "fraction", "task"]
        self._shares: dict[Hashable, str] = {
            key: f"{COLLAPSED} {len(rows)}/{rows['runs'].iloc[0]:.0f}"
            for key, rows in analysis.frames["collapsed"].groupby(keys)
        }

    @property
    def note(self) -> str:
        """What the mark means, behind other sentences; empty where nothing has it."""
        said = f" {COLLAPSED} 1/5: one of five runs learned next to nothing of the task, others did."
        return said if self._shares else ""

    def of_score(self, row: Mapping[Any, Any]) -> str:
        """`‡ 1/5` for a row of the frame `scores`; empty where no run collapsed."""
        return self._shares.get((row["aggregation"], row["fraction"], row["task"]), "")

    def of_gain(self, text: str, row: Mapping[Any, Any]) -> str:
        """The text with `‡ 1/5 AU` behind it, for a row of the frame `gains`."""
        sides = [(self._shares.get((row[side], row["fraction"], row["task"]), ""), row[side]) for side in _SIDES]
        return " ".join([text, *(f"{share} {name}" for share, name in sides if share)])


_SIDES = ("base", "joint")


def collapsed_table(analysis: NamedFrames) -> PaperTable:
    """Runs that learned next to nothing of a task while others of the aggregation did."""
    raw = analysis.frames["collapsed"]
    columns = [
        *plain(str, "task", "aggregation"),
        *plain(data_share, "fraction"),
        *plain(str, "seed", "metric"),
        Column("this run", lambda row: number(row["value"], decimals(row["unit"])), "value"),
        Column("floor", lambda row: number(row["floor"], decimals(row["unit"])), "floor"),
        Column("other runs", _others, "others_low"),
        Column("how it is known", lambda row: row["reason"], "reason"),
    ]
    note = (
        "Primary metric on test. Verdicts of these tasks rest on a training that failed, which widens their intervals "
        "as noise does. Train all runs anew with another setting, such as a lower learning rate: leaving out failures "
        "of one side biases a gain."
    )
    return build("collapsed", "Runs that learned next to nothing where others did", raw, columns, note=note, raw=raw)


def _others(row: Row) -> str:
    low, high = (number(row[name], decimals(row["unit"])) for name in ("others_low", "others_high"))
    return low if low == high else f"{low} to {high}"
