"""The result frames of an analysis and what their columns mean.

Statistics return these frames, tables and figures read them, the report shows the meanings as hints. A contrast
`AU-TS` compares the joint aggregation AU with the base TS; a gain is oriented, so that positive favours the joint one.
`contrast` is a label to show: which aggregations it compares stands in `joint` and `base`, and nothing reads it back
from it. Intervals are 95 % unless named adjusted. `fraction` is the share of the training components.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from analysis.frames.affinities import AFFINITIES
from analysis.frames.arms import ARMS
from analysis.frames.cases import CASES
from analysis.frames.gains import GAINS
from analysis.frames.grouping import GROUPING
from analysis.frames.questions import QUESTIONS
from analysis.frames.study import STUDY

FRAMES: Final[dict[str, dict[str, str]]] = {**GAINS, **QUESTIONS, **ARMS, **CASES, **AFFINITIES, **GROUPING, **STUDY}
"""Columns of every frame in their order, and what each means."""

LABELS: Final = ("contrast", "joint", "base", "fraction")
"""Columns that name the contrast of a row, see `analysis.contrasts.Contrast.at`."""

_PLAN: Final = frozenset({"detectable", "more_replicates", "more_test_subjects", "decided_by"})
_MEANS = frozenset({"gain", "low", "high", "p", "gaining", "median", "low_new", "high_new", "p_new", "sd_tasks"})

OPTIONAL: Final[dict[str, frozenset[str]]] = {
    "gains": _PLAN,
    "across": frozenset({"sd_group", "sd_task"}),
    "pooled": _MEANS,
    "arm_means": _MEANS,
    "stability": frozenset({"harmed", "base_improving"}),
    "power": _PLAN.union({"sd_seed", "se_cases", "seeds_to_detect", "seeds_to_exclude", "hours_per_seed", "hours"}),
    "findings": frozenset({"estimate", "low", "high", "p"}),
}
"""Columns that a row may lack, because its method does not have them; missing then."""


def frame(name: str, rows: Sequence[Mapping[Any, Any]]) -> pd.DataFrame:
    """Rows as the named frame, its columns in their order; with no rows, an empty frame with those columns.

    Raises `ValueError` where a row has a column that is not declared, or lacks one that is not optional.
    """
    for keys in {frozenset(row) for row in rows}:
        _check(name, keys)
    return pd.DataFrame(rows, columns=list(FRAMES[name]))


def part(name: str, rows: Sequence[Mapping[Any, Any]]) -> pd.DataFrame:
    """Rows of one contrast, which `stacked` adds to them. Raises `ValueError` as `frame`."""
    labels = [label for label in LABELS if label in FRAMES[name] and not any(label in row for row in rows)]
    for keys in {frozenset(row) for row in rows}:
        _check(name, keys.union(labels))
    return pd.DataFrame(rows, columns=[column for column in FRAMES[name] if column not in labels])


def stacked(name: str, parts: Iterable[tuple[Mapping[str, Any], pd.DataFrame]]) -> pd.DataFrame:
    """Concatenate parts of the named frame, each with the labels that its rows lack."""
    filled = [
        rows.assign(**{key: value for key, value in labels.items() if key in FRAMES[name] and key not in rows})
        for labels, rows in parts
        if len(rows)
    ]
    return ordered(name, pd.concat(filled, ignore_index=True)) if filled else frame(name, [])


def ordered(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """A data frame as the named frame, its columns in their order. Raises `ValueError` as `frame` does."""
    _check(name, frozenset(rows.columns))
    return rows.reindex(columns=list(FRAMES[name]))


def _check(name: str, columns: frozenset[str]) -> None:
    declared = set(FRAMES[name])
    unknown, missing = columns - declared, declared - columns - OPTIONAL.get(name, frozenset())
    if unknown or missing:
        raise ValueError(f"frame {name}: unknown columns {sorted(unknown)}, missing columns {sorted(missing)}")


def at_full(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the largest fraction."""
    return rows[rows["fraction"] == rows["fraction"].max()]
