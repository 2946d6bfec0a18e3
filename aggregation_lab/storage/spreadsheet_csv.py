"""CSV that people open in a spreadsheet program: no name in it is run as a formula, and every name can be read back.

A text cell that begins with = + - @, a tab or a carriage return is a formula to Excel, LibreOffice and Google Sheets.
It gets an apostrophe in front, which these programs take as "this is text" (OWASP, CSV injection). Numbers stay.
"""

import re
from typing import Any

import pandas as pd

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


def csv_text(rows: pd.DataFrame) -> str:
    """The rows as CSV whose text cells are no formulas."""
    return guarded(rows).to_csv(index=False, lineterminator="\n")


def guarded(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with an apostrophe before every text, in cells and column names, that would be a formula."""
    texts = [index for index, kind in enumerate(rows.dtypes) if not pd.api.types.is_numeric_dtype(kind)]
    changed = rows.rename(columns=_guard)
    for index in texts:
        changed.isetitem(index, rows.iloc[:, index].map(_guard).array)
    return changed


def _guard(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """A text cell as it was before `csv_text`."""
    return cell[1:] if _GUARDED.match(cell) else cell
