"""Names as a figure can show them: only letters that some font has, and short enough to leave room for the data.

The fonts are DejaVu Sans, which comes with matplotlib, and behind it the fonts of other scripts that a machine has. A
letter that none of them has is written as its escape, such as \\u80ba; what was changed reads as ever in the tables and
in the CSV beside the figure.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import cache, lru_cache, partial

import pandas as pd
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from aggregation_lab.errors import ResultsError
from aggregation_lab.text import printable
from analysis.figures.choices import check_names

LONGEST = 36
"""Characters of a label; longer ones lose their middle."""

_LONGEST_GIVEN = 200
"""Of a label that a caller wrote."""

BASE = "DejaVu Sans"
_OTHERS = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "SimHei"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Hiragino Sans GB", "Heiti SC"),
    *("Noto Sans CJK JP", "Noto Sans JP", "Hiragino Sans", "Yu Gothic", "Noto Sans CJK KR", "Noto Sans KR"),
    *("Malgun Gothic", "Apple SD Gothic Neo", "Noto Sans CJK TC", "Microsoft JhengHei", "Noto Sans Devanagari"),
    *("Noto Sans Thai", "Arial Unicode MS", "Unifont"),
)
"""Fonts of other scripts, looked for by name: whatever else is installed must not change a figure."""


@cache
def families() -> list[str]:
    """The fonts that figures use, the first that has a letter draws it."""
    installed = set(font_manager.fontManager.get_font_names())
    return [BASE, *(name for name in _OTHERS if name in installed)]


@cache
def _letters() -> frozenset[int]:
    """Every letter that one of the fonts has."""
    files = [font_manager.findfont(name, fallback_to_default=False) for name in families()]
    return frozenset(letter for file in files for letter in FT2Font(file).get_charmap())


@lru_cache(maxsize=20_000)
def label(name: str, longest: int = LONGEST) -> str:
    """A name as one line of letters that can be drawn."""
    shown = "".join(letter if ord(letter) in _letters() else _escape(letter) for letter in printable(name, 10_000))
    if len(shown) <= longest:
        return shown
    head = (longest - 1) * 3 // 5
    return f"{shown[:head]}…{shown[head + 1 - longest :]}"


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def labels(names: Iterable[str]) -> dict[str, str]:
    """A label for each name, no two alike; one that a shorter form would make like another gets a number."""
    result: dict[str, str] = {}
    taken = set()
    for name in sorted(set(names), key=lambda name: (label(name) != name, name)):
        shown, number = label(name), 2
        while shown in taken:
            shown, number = f"{label(name, LONGEST - 4)} #{number}", number + 1
        result[name] = shown
        taken.add(shown)
    return result


LABELLED = (
    *("task", "other", "group", "contrast", "joint", "base", "aggregation", "advice", "name"),
    *("arm", "base_arm"),
)
"""Columns of names that a caller may have written otherwise."""


def labelled(
    frames: Mapping[str, pd.DataFrame], aggregations: Iterable[str], given: Mapping[str, str]
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """The frames with labels in place of names, and the label of each name that it changes.

    `given` are labels of the caller's. Raises `ResultsError` for a label of nothing, or two alike.
    """
    texts = {name: _text_columns(rows) for name, rows in frames.items()}
    by_column = {
        (name, column): {text for text in frames[name][column].unique() if isinstance(text, str)}
        for name, columns in texts.items()
        for column in columns
    }
    names = {*aggregations}.union(*by_column.values())
    nameable = {*aggregations}.union(*(values for (_, column), values in by_column.items() if column in LABELLED))
    nameable -= {"all"}.union(*(values for (_, column), values in by_column.items() if column == "type"))
    check_names("labels", given, nameable)
    changed = {name: shown for name, shown in labels(names).items() if shown != name}
    written = {name: label(str(text), _LONGEST_GIVEN) for name, text in given.items()}
    shown = [(changed | written).get(name, name) for name in nameable]
    for text in written.values():
        if shown.count(text) > 1:
            raise ResultsError(f"labels: {printable(text)} would stand for two names; give each a label of its own")
    changed |= written
    renamed = dict(frames)
    for name, columns in texts.items():
        # a figure draws from few frames, and most columns hold no name that changes
        touched = [column for column in columns if not by_column[name, column].isdisjoint(changed)]
        if touched:
            renamed[name] = _renamed(frames[name], touched, changed, written)
    return renamed, {name: text for name, text in changed.items() if text != name}


def named_again(rows: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Rows of a figure with names in place of labels."""
    return _renamed(rows, _text_columns(rows), names) if names else rows


def _text_columns(rows: pd.DataFrame) -> list[str]:
    return [str(name) for name, column in rows.items() if not pd.api.types.is_numeric_dtype(column)]


def _renamed(
    rows: pd.DataFrame, columns: list[str], names: Mapping[str, str], labelled_only: Collection[str] = ()
) -> pd.DataFrame:
    """`labelled_only` are names that other columns than `LABELLED` keep."""

    def other(column: str, cell: object) -> object:
        kept = not isinstance(cell, str) or cell in labelled_only and column not in LABELLED
        return cell if kept else names.get(str(cell), cell)

    return rows.assign(**{column: rows[column].map(partial(other, column)) for column in columns})
