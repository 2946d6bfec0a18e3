"""Names as a figure can show them: only letters that some font has, and short enough to leave room for the data.

The fonts are DejaVu Sans, which comes with matplotlib, and behind it the fonts of other scripts that a machine has. A
letter that none of them has is written as its escape, such as \\u80ba; what was changed reads as ever in the tables and
in the CSV beside the figure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache

import pandas as pd
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from aggregation_lab.text import printable
from analysis.result import Analysis

LONGEST = 36
"""Characters of a label; longer ones lose their middle."""

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
    found: dict[str, str] = {}
    taken = set()
    for name in sorted(set(names), key=lambda name: (label(name) != name, name)):
        shown, number = label(name), 2
        while shown in taken:
            shown, number = f"{label(name, LONGEST - 4)} #{number}", number + 1
        found[name] = shown
        taken.add(shown)
    return found


def labelled(analysis: Analysis) -> tuple[Analysis, dict[str, str]]:
    """The analysis with labels in place of names in all its frames, and the name behind each label that differs."""
    texts = {name: _text_columns(rows) for name, rows in analysis.frames.items()}
    names = {
        text
        for name, columns in texts.items()
        for column in columns
        for text in pd.unique(analysis.frames[name][column].dropna())
        if isinstance(text, str)
    }
    arms = {str(name) for name in analysis.study.scores["aggregation"].unique()}
    changed = {name: shown for name, shown in labels(names | arms).items() if shown != name}
    if not changed:
        return analysis, {}
    frames = {name: _renamed(rows, texts[name], changed) for name, rows in analysis.frames.items()}
    scores = _renamed(analysis.study.scores, ["aggregation"], changed)
    baseline = changed.get(str(analysis.study.baseline), analysis.study.baseline)
    study = replace(analysis.study, scores=scores, baseline=baseline)
    return replace(analysis, study=study, frames=frames), {shown: name for name, shown in changed.items()}


def named_again(rows: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Rows of a figure with names in place of labels."""
    return _renamed(rows, _text_columns(rows), names) if names else rows


def _text_columns(rows: pd.DataFrame) -> list[str]:
    return [str(name) for name, column in rows.items() if not pd.api.types.is_numeric_dtype(column)]


def _renamed(rows: pd.DataFrame, columns: list[str], names: Mapping[str, str]) -> pd.DataFrame:
    def other(cell: object) -> object:
        return names.get(cell, cell) if isinstance(cell, str) else cell

    return rows.assign(**{column: rows[column].map(other) for column in columns})
