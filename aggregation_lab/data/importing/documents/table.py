"""A plain table of images and targets: its rows, with cells by what they mean."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import Report
from aggregation_lab.data.importing.source_files import content
from aggregation_lab.data.importing.table_columns import Columns, find_columns
from aggregation_lab.data.rows.columns import split_columns
from aggregation_lab.data.rows.csv_rows import UNKNOWN
from aggregation_lab.data.rows.point_text import decimal_comma, finite_number
from aggregation_lab.errors import DataError
from aggregation_lab.naming import clean_name, squashed
from aggregation_lab.storage.delimited_text import Unreadable, decode, read_records, with_decimal_point
from aggregation_lab.tasks.targets import Box
from aggregation_lab.text import printable


@dataclass(frozen=True)
class Line:
    """A row of the table: its number as an editor shows it, and its cells by what they mean."""

    number: int
    cells: Mapping[str, str]

    def cell(self, meaning: str) -> str:
        return _known(self.cells.get(meaning, ""))


def _known(cell: str) -> str:
    text = clean_name(cell)
    return "" if text.casefold() in UNKNOWN else text


def read_lines(table: Path, options: ImportOptions, report: Report) -> tuple[Columns, list[Line]]:
    """The columns of a table and its rows. Raises `DataError` where it cannot be read, or its columns are not clear."""
    try:
        text = decode(content(table))
        delimiter, rows = read_records(text, lambda cell: squashed(cell) in ("image", "imagepath", "label", "filename"))
        records = list(rows)
    except Unreadable as fault:
        line = f"line {fault.line} " if fault.line else ""
        raise DataError(f"{table}: {line}{fault}") from fault
    if not records:
        raise DataError(f"{table}: is empty; fill it")
    header = [clean_name(cell) for cell in records[0][1]]
    columns = find_columns(header, options, table, _one_hot(header, [cells for _, cells in records[1:]]))
    splits = split_columns(name for name in header if name not in columns.name.values())
    if splits:
        report.note_parts([f"column {name}" for name in splits])
    if columns.unread_box:
        report.remark("columns", columns.unread_box)
    position = {meaning: header.index(name) for meaning, name in columns.name.items()}
    lines = []
    for number, cells in records[1:]:
        surplus = cells[len(header) :]
        if len(cells) < len(header) or any(cell.strip() for cell in surplus):
            advice = "put quotes around text that holds a comma" if surplus else "complete the row"
            raise DataError(f"{table}: line {number} has {len(cells)} cells, the header {len(header)}; {advice}")
        named = {meaning: cells[index] for meaning, index in position.items()}
        numbers = {meaning: with_decimal_point(_known(named[meaning]), delimiter) for meaning in columns.numbers}
        lines.append(Line(number, named | numbers))
    lines = _measured(lines, delimiter, report)
    for meaning, others in columns.others.items():
        taken = columns.name[meaning]
        shown = " and ".join((taken, *others))
        if not all(_same_groups(taken, other, header, records[1:], meaning in columns.numbers) for other in others):
            advice = f"say which counts, as in --columns {meaning}={shlex.quote(taken)}"
            raise DataError(f"{table}: has the columns {shown}, which differ; {advice}")
        report.remark("columns", f"{shown} part the rows alike, and {taken} is taken")
    return columns, lines


def _one_hot(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The columns of 0 and 1 of which each row has a single 1: a class each; empty where they are no such."""
    whole = [cells for cells in rows if len(cells) >= len(header)]
    texts = [{cells[place].strip() for cells in whole} for place in range(len(header))]
    places = [place for place, found in enumerate(texts) if found == {"0", "1"}]
    single = all(sum(cells[place].strip() == "1" for place in places) == 1 for cells in whole)
    return [header[place] for place in places] if len(places) > 1 and single else []


def _measured(lines: list[Line], delimiter: str, report: Report) -> list[Line]:
    """The lines, labels with a decimal point where they are numbers all, and some have a decimal comma."""
    texts = {line.cell("label") for line in lines} - {""}
    read = {text: with_decimal_point(text, delimiter) for text in texts}
    changed = sorted(text for text in texts if read[text] != text)
    if not changed or any(finite_number(text) is None for text in read.values()):
        return lines
    report.remark("labels", f"decimal commas are read, {changed[0]} as {read[changed[0]]}")
    return [
        Line(line.number, {**line.cells, "label": read.get(line.cell("label"), line.cells["label"])}) for line in lines
    ]


def _same_groups(
    one: str, other: str, header: Sequence[str], records: Sequence[tuple[int, Sequence[str]]], numbers: bool
) -> bool:
    """Whether two columns part the rows alike: each text of one goes with one of the other, of `numbers` itself."""
    first, second = header.index(one), header.index(other)
    pairs = {(_known(cells[first]), _known(cells[second])) for _, cells in records}
    if numbers:
        return all(text == same for text, same in pairs)
    return len({text for text, _ in pairs}) == len({text for _, text in pairs}) == len(pairs)


def box_of(line: Line, meanings: Sequence[str]) -> Box | None:
    """The box (x_min, y_min, x_max, y_max) of a row, of two corners, or of a corner or centre with its sides.

    None where its cells are empty. Raises `ValueError` where one is no number.
    """
    texts = [line.cell(name) for name in meanings]
    if not any(texts):
        return None
    numbers = [finite_number(text) for text in texts]
    if None in numbers:
        wrong = texts[numbers.index(None)]
        shown = f"{printable(wrong, 40)!r}{decimal_comma(wrong)}"
        raise ValueError(f"line {line.number} holds a box that is no four numbers, but {shown}")
    x, y, third, fourth = (number for number in numbers if number is not None)
    if "x_center" in meanings:
        return x - third / 2, y - fourth / 2, x + third / 2, y + fourth / 2
    return (x, y, x + third, y + fourth) if "width" in meanings else (x, y, third, fourth)


def frame_number(text: str) -> int | None:
    """The number of a cell of the column `frame`; None where it is empty. Raises `ValueError` where it is no number."""
    if not text:
        return None
    number = finite_number(text)
    if number is None or number < 0 or not number.is_integer():
        raise ValueError(f"frame is {printable(text, 40)!r}; write a whole number from 0")
    return int(number)


def subject_of(lines: Sequence[Line]) -> str:
    """The subject that the rows of one image name, "" where they name none. Raises `ValueError` where they name two."""
    subjects = {line.cell("subject") for line in lines} - {""}
    if len(subjects) > 1:
        raise ValueError(f"has {len(subjects)} subjects ({', '.join(sorted(subjects)[:4])})")
    return subjects.pop() if subjects else ""
