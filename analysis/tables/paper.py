"""A table as a paper or a report has it: rounded text, its meaning, and the unrounded numbers behind it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from aggregation_lab.storage.spreadsheet_csv import csv_text
from analysis.frames import FRAMES
from analysis.tables.content import TableContent
from analysis.tables.latex import latex
from analysis.tables.markup import html, markdown
from analysis.tables.order import records

Row = Mapping[str, Any]
"""A row of a frame by column name."""


@dataclass(frozen=True)
class Column:
    """`title` over the column; `text` makes a cell from a row; `source` is the column that it sorts by.

    The meaning of `source` in `FRAMES` becomes the column's hint, unless `meaning` says something else.
    """

    title: str
    text: Callable[[Row], str]
    source: str
    meaning: str = ""
    on_screen: bool = False
    """Whether a printed page has no room for it."""


def plain(form: Callable[[Any], str], *names: str) -> list[Column]:
    """Columns that are called as in the frame; `form` makes a cell from a value."""

    def column(name: str) -> Column:
        return Column(name, lambda row: form(row[name]), name)

    return [column(name) for name in names]


@dataclass(frozen=True, eq=False)
class PaperTable(TableContent):
    """A table and its forms."""

    def to_csv(self) -> str:
        """The machine form: every digit, columns named as in `analysis.frames`, no name a formula."""
        return csv_text(self.raw)

    def to_markdown(self) -> str:
        """Title, pipe table and note."""
        return markdown(self)

    def to_html(self) -> str:
        """A `<figure>` with one semantic table."""
        return html(self)

    def to_latex(self) -> str:
        """A `table*` with booktabs that fits two columns of a paper."""
        return latex(self)

    def _repr_html_(self) -> str:
        return self.to_html()


def build(
    name: str,
    title: str,
    rows: pd.DataFrame,
    columns: Sequence[Column],
    *,
    note: str = "",
    raw: pd.DataFrame | None = None,
    of: str = "",
) -> PaperTable:
    """A table of `rows`, one text cell per column.

    `raw` are the rows of the result frame where `rows` are others; `of` is the name of that frame, which gives the
    meanings, where it is not `name`.
    """
    cases, meanings = records(rows), FRAMES[of or name]
    cells = {column.title: [column.text(row) for row in cases] for column in columns}
    return PaperTable(
        name=name,
        title=title,
        frame=pd.DataFrame(cells, dtype=str),
        raw=rows if raw is None else raw,
        note=note,
        sort=pd.DataFrame({column.title: rows[column.source].to_numpy() for column in columns}),
        meanings={column.title: column.meaning or meanings.get(column.source, "") for column in columns},
        numeric=frozenset(column.title for column in columns if _is_number(rows[column.source])),
        on_screen=frozenset(column.title for column in columns if column.on_screen),
    )


def _is_number(values: pd.Series) -> bool:
    return is_numeric_dtype(values) and not is_bool_dtype(values)
