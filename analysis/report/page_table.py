"""A table on the page: the text of a `PaperTable`, with values to sort by, badges, and links to sources.

The templates turn a `PageTable` into HTML; nothing here knows HTML.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from analysis.questions.finding_parts import CONTRADICTED, NOT_TESTABLE, SUPPORTED
from analysis.report import words
from analysis.statistics.verdicts import SAME_MODEL, VERDICTS
from analysis.tables import PaperTable
from analysis.tables.markup import sort_value

MOST_ROWS: Final = 400
"""Rows of a table that stand on the page; all of them stand in its files."""

_LONG: Final = 8
"""Rows from which a table gets a box to filter it."""

_SENTENCE: Final = 34
_WORDS: Final = 14
"""Characters of a cell above which it needs room for a sentence, and for several words."""

_ON_PAPER: Final = 150
"""Letters of a line on paper, A4 across in the smallest print, that a table's longest words may take together."""
_GAP: Final = 2
"""Letters that the space between two columns takes."""
_LEAST = {"long": 20, "words": 19, "": 0}
"""Letters that a cell of each width is given on paper, see `style.css`."""

BADGES: Final = frozenset({*VERDICTS, SAME_MODEL, SUPPORTED, CONTRADICTED, NOT_TESTABLE})
"""Words that are shown as badges wherever they fill a cell."""


@dataclass(frozen=True)
class Cell:
    """`sort` is what the column sorts by, empty where unknown; `title` a hint; `href` an anchor of the page;
    `badge` the CSS class of a verdict; `more` stands in small letters behind an answer."""

    text: str
    sort: str = ""
    title: str = ""
    href: str = ""
    badge: str = ""
    more: str = ""

    @property
    def width(self) -> str:
        """CSS class of a cell that would become a column of single words where its table has no room."""
        if len(self.text) > _SENTENCE:
            return "long"
        return "words" if len(self.text) > _WORDS and " " in self.text and not self.badge else ""


@dataclass(frozen=True)
class Head:
    """The head of a column; `meaning` is shown as a hint."""

    title: str
    meaning: str
    numeric: bool


@dataclass(frozen=True)
class PageTable:
    """`anchors` are ids of the rows, if links lead to them; `files` are the table's files beside the page."""

    id: str
    title: str
    note: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    anchors: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def long(self) -> bool:
        """Whether a box to filter the rows helps."""
        return len(self.rows) > _LONG

    @property
    def wide(self) -> bool:
        """Whether the table fits on paper only where its words may be broken anywhere."""
        columns = zip(self.heads, *self.rows, strict=True)
        return sum(_narrowest(head, cells) + _GAP for head, *cells in columns) > _ON_PAPER


Link = Callable[[str, Mapping[str, str], Cell], Cell]
"""Takes a column's title, the texts of the row and the cell; gives the cell with its links."""


def page_table(
    table: PaperTable,
    link: Link | None = None,
    anchors: Sequence[str] = (),
    files: Sequence[str] = (),
    most: int = MOST_ROWS,
) -> PageTable:
    """A table as it stands on the page, its first `most` rows."""
    titles = list(table.frame.columns)
    heads = tuple(Head(title, table.meanings.get(title, ""), title in table.numeric) for title in titles)
    values = table.sort[:most].to_dict("records")
    rows = []
    for texts, sorts in zip(table.frame[:most].to_dict("records"), values, strict=True):
        row = {str(title): str(text) for title, text in texts.items()}
        cells = [_cell(row[title], sorts[title]) for title in titles]
        rows.append(tuple(link(title, row, cell) if link else cell for title, cell in zip(titles, cells, strict=True)))
    note = f"{_cut(len(table.frame), files, most)}{table.note}"
    shown = tuple(anchors[:most])
    return PageTable(f"table-{table.name}", table.title, note, heads, tuple(rows), shown, tuple(files))


def _narrowest(head: Head, cells: Sequence[Cell]) -> int:
    """Letters that a column takes whose words stay whole."""
    words_of = [*head.title.split(), *(word for cell in cells for word in cell.text.split())]
    return max(*(_LEAST[cell.width] for cell in cells), *map(len, words_of), 0, 0)


def _cut(rows: int, files: Sequence[str], most: int) -> str:
    if rows <= most:
        return ""
    where = ", all of them in the files below" if files else ""
    return f"The first {most:,} of {rows:,} rows{where}. "


def _cell(text: str, sort: Any) -> Cell:
    cell = Cell(text, sort_value(sort))
    return replace(cell, badge=words.slug(text)) if text in BADGES else cell
