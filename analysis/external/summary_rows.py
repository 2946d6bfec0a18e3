"""Rows that sum up other rows of a score table, as trainers and spreadsheets add them below the results."""

import re

import numpy as np
import pandas as pd

from aggregation_lab.naming import squashed
from analysis.external.sheet import Sheet, shown

_CENTRES = "mean|average|avg|overall|all|total|macro(mean|average|avg)|(mean|average)(all|tasks?|folds?|seeds?)"
_SPREADS = "std|stdev|stddev|sd|standarddeviation"
_SUMMARIES = {
    "seed": re.compile(f"(folds?|seeds?|runs?)?({_CENTRES}|{_SPREADS}|sem|var|median|min|max|ensemble|count)"),
    "task": re.compile(f"{_CENTRES}|{_SPREADS}"),
    "case": re.compile(f"{_CENTRES}|{_SPREADS}|median|min|max"),
}
"""Words, without blanks and dashes, that name no seed, task or case beside others, but what is made of these."""


def without_summaries(cells: pd.DataFrame, sheet: Sheet) -> tuple[pd.DataFrame, Sheet]:
    """The rows that are results, and the sheet of these; each column that names summaries is noted, and seeds too where
    they name nothing else.

    A mean over seeds would count as one seed more, and its scatter as none.
    """
    kept = np.ones(len(cells), bool)
    for name, words in _SUMMARIES.items():
        if name not in cells:
            continue
        is_summary = {text: bool(words.fullmatch(squashed(text))) for text in cells[name].unique()}
        if all(summary for text, summary in is_summary.items() if text.strip()):
            if name == "seed" and any(is_summary.values()):
                sheet.notes.append(
                    f"The seed is {shown([text for text in is_summary if text.strip()], 5)} in every row: values that "
                    "sum up seeds have no scatter to judge by; give one row for each seed."
                )
            continue
        summaries = cells[name].map(is_summary).to_numpy(bool)
        if summaries.any():
            words_used = shown([text for text in is_summary if is_summary[text]], 5)
            sheet.notes.append(
                f"{int(summaries.sum())} rows whose {name} is {words_used} sum up others and are left out; rename the "
                f"{name} if it is one of its own."
            )
        kept &= ~summaries
    return (cells, sheet) if kept.all() else (cells[kept].reset_index(drop=True), sheet.rows(kept))
