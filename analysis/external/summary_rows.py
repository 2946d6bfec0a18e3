"""Rows that sum up other rows of a score table, as trainers and spreadsheets add them below the results."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.external.columns import squashed
from analysis.external.score_file import Sheet, shown

_CENTRES = "mean|average|avg|overall|all|total|macro(mean|average|avg)|(mean|average)(all|tasks?|folds?|seeds?)"
_SPREADS = "std|stdev|stddev|sd|standarddeviation"
_SUMMARIES = {
    "seed": re.compile(f"(folds?|seeds?|runs?)?({_CENTRES}|{_SPREADS}|sem|var|median|min|max|ensemble|count)"),
    "task": re.compile(f"{_CENTRES}|{_SPREADS}"),
    "case": re.compile(f"{_CENTRES}|{_SPREADS}|median|min|max"),
}
"""Words, without blanks and dashes, that name no seed, task or case beside others, but what is made of these."""


def without_summaries(cells: pd.DataFrame, sheet: Sheet) -> tuple[pd.DataFrame, Sheet, list[str]]:
    """The rows that are results, the sheet of these, and a note on each column that names summaries.

    A mean over seeds would count as one seed more, and its scatter as none.
    """
    kept, notes = np.ones(len(cells), bool), []
    for name, words in _SUMMARIES.items():
        if name not in cells:
            continue
        texts = {text: bool(words.fullmatch(squashed(text))) for text in dict.fromkeys(cells[name])}
        if all(sums for text, sums in texts.items() if text.strip()):
            continue
        sums = cells[name].map(texts).to_numpy()
        if sums.any():
            said = f"{int(sums.sum())} rows whose {name} is {shown([text for text in texts if texts[text]], 5)}"
            notes.append(f"{said} sum up others and are left out; rename the {name} if it is one of its own.")
        kept &= ~sums
    if kept.all():
        return cells, sheet, notes
    lines = tuple(np.array(sheet.lines)[kept].tolist())
    kept_cells = replace(sheet, cells=sheet.cells[kept].reset_index(drop=True), lines=lines)
    return cells[kept].reset_index(drop=True), kept_cells, notes
