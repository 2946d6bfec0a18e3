"""Contrasts: which aggregation is held against which, and what that is called."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from aggregation_lab.aggregation import ARROW, FOUND


def contrast_name(joint: str, base: str) -> str:
    """`AU-TS`: the joint aggregation minus the base. A name that holds a hyphen or an arrow stands in brackets:
    `(AU>TS)-(TS>TS)`.

    Two pairs never have one label: `(a-b)-c` is a-b against c, `a-(b-c)` is a against b-c. Brackets inside a bracketed
    name are doubled, so that the first odd run of closing ones ends it.
    """
    return f"{_whole(joint)}-{_whole(base)}"


def _whole(name: str) -> str:
    if "-" not in name and ARROW not in name and not name.startswith("("):
        return name
    return f"({name.replace('(', '((').replace(')', '))')})"


@dataclass(frozen=True)
class Contrast:
    """A joint aggregation against a base."""

    joint: str
    base: str

    @property
    def name(self) -> str:
        """`AU-TS`: the joint aggregation minus the base; no other contrast is called so."""
        return contrast_name(self.joint, self.base)

    @property
    def columns(self) -> dict[str, str]:
        """What a row of a frame says of its contrast."""
        return {"contrast": self.name, "joint": self.joint, "base": self.base}

    def at(self, fraction: float) -> dict[str, str | float]:
        """The same of the contrast at one fraction."""
        return {**self.columns, "fraction": fraction}


def trained_twice(base: str) -> str:
    """TS>TS: the base, and the same again from its own weights; the base of sequential aggregations that has had as
    much training as they."""
    return f"{base}{ARROW}{base}"


def default_base(joint: str, base: str, aggregations: Collection[str]) -> str:
    """What the gains of an aggregation are over where nothing else is asked for: `base`, but for sequential ones the
    base that was trained twice, where the study has it."""
    twice = trained_twice(base)
    return twice if ARROW in joint and joint != twice and twice in aggregations else base


def default_sides(rows: pd.DataFrame, base: str) -> dict[str, str]:
    """The joint aggregation of every contrast of the rows whose base is its `default_base`."""
    sides = list(rows[["contrast", "joint", "base"]].drop_duplicates().itertuples(index=False, name=None))
    bases = {side for _, _, side in sides}
    return {name: joint for name, joint, side in sides if side == default_base(joint, base, bases)}


def contrasts(aggregations: Sequence[str]) -> list[Contrast]:
    """Every aggregation against its `default_base` and against the first, TS if there is one; AU against CG; the
    partition that a grid has found against both."""
    base = aggregations[0]
    joint = [name for name in aggregations if name != base]
    default = [Contrast(name, default_base(name, base, aggregations)) for name in joint]
    pairs = list(dict.fromkeys([*default, *(Contrast(name, base) for name in joint)]))
    between = [("AU", "CG"), (FOUND, "AU"), (FOUND, "CG")]
    pairs += [Contrast(*pair) for pair in between if set(pair) <= set(joint)]
    return pairs
