"""A file that holds a score table, whatever program wrote it, as columns of cells with the line each row stands in.

Read are CSV with commas, semicolons, tabs or bars, also gzipped; Parquet and Feather; JSON as a list of rows or one row
a line. What the file is, its content says, not its name. The text is UTF-8, or UTF-16 with its mark.
"""

import gzip
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import feather, parquet

from aggregation_lab.errors import ResultsError
from aggregation_lab.storage.delimited_text import Unreadable, decode, read_records
from aggregation_lab.storage.spreadsheet_csv import unguarded
from aggregation_lab.text import printable
from analysis.external.sheet import Sheet

LARGEST_FILE = 2**30
"""Most bytes of a table: ten million rows take less."""

_SAVE = "save the table as CSV in UTF-8"


def read_sheet(path: Path, known: Callable[[str], bool]) -> Sheet:
    """The table in a file; `known` says whether a header cell names a column that is looked for.

    Raises `ResultsError` with one line naming the file and what to do.
    """
    try:
        return Sheet(path, *_table(_content(path), known))
    except Unreadable as fault:
        line = "" if fault.line is None else f"line {fault.line} "
        raise ResultsError(f"{path}: {line}{printable(str(fault), 400)}") from fault


def _content(path: Path) -> bytes:
    try:
        if not path.exists():
            raise Unreadable("does not exist; give a score table or the output folder of a study")
        if not path.is_file():  # opening a pipe would wait for ever
            raise Unreadable("is no file; give a score table or the output folder of a study")
        if path.stat().st_size > LARGEST_FILE:
            raise Unreadable(f"has {path.stat().st_size / 2**30:.1f} GiB, too many for a score table")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise Unreadable(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    return _unpacked(data) if data[:2] == b"\x1f\x8b" else data


def _unpacked(data: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(data)) as stream:
            content = stream.read(LARGEST_FILE + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"is a damaged gzip file ({error}); pack it again") from error
    if len(content) > LARGEST_FILE:
        raise Unreadable(f"unpacks to more than {LARGEST_FILE / 2**30:.0f} GiB, too many for a score table")
    return content


Table = tuple[tuple[str, ...], pd.DataFrame, tuple[int, ...]]
"""Header, cells and lines."""


def _table(data: bytes, known: Callable[[str], bool]) -> Table:
    if data[:4] == b"PAR1":
        return _typed(parquet.read_table, data, "Parquet")
    if data[:6] == b"ARROW1" or data[:4] == b"FEA1":
        return _typed(feather.read_table, data, "Feather")
    text = decode(data)
    return _json(text) if text.lstrip()[:1] in ("{", "[") else _csv(text, known)


def _typed(read: Callable[[Any], pa.Table], data: bytes, kind: str) -> Table:
    try:
        table = read(io.BytesIO(data))
        columns = [table.column(index).to_pylist() for index in range(table.num_columns)]
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise Unreadable(f"is a damaged {kind} file ({first}); write it again") from error
    names = [str(name) for name in table.column_names]
    count = table.num_rows
    kept = [index for index, name in enumerate(names) if not name.startswith("__index_level_")]
    cells = pd.DataFrame({index: pd.Series(columns[index], dtype=object) for index in kept}, index=range(count))
    cells = cells.map(_as_text).set_axis(range(len(kept)), axis=1)
    return tuple(names[index] for index in kept), cells, tuple(range(1, count + 1))


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, float) and value != value:
        return ""
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _csv(text: str, known: Callable[[str], bool]) -> Table:
    delimiter, rows = read_records(text, known, strict=True)
    try:
        records = list(rows)
    except Unreadable as fault:
        what = "a quote is misplaced or never closed, or a cell is too long"
        raise Unreadable(f"row {fault.line}: {what} ({fault})") from fault
    if not records:
        raise Unreadable("has no rows")
    header = [cell.strip() for cell in records[0][1]]
    while header and not header[-1] and all(len(cells) < len(header) or not cells[-1] for _, cells in records[1:]):
        header.pop()
        records[1:] = [(line, cells[: len(header)]) for line, cells in records[1:]]
    for line, cells in records[1:]:
        if len(cells) != len(header):
            counts = f"{len(cells)} cells, the header {len(header)}"
            raise Unreadable(f"row {line} has {counts}; quote cells that hold the delimiter {delimiter!r}")
    columns = list(zip(*(cells for _, cells in records[1:]), strict=True)) or [()] * len(header)
    table = pd.DataFrame({index: pd.Series(column, dtype=object) for index, column in enumerate(columns)})
    return tuple(header), table.map(unguarded), tuple(line for line, _ in records[1:])


def _json(text: str) -> Table:
    """A list of rows, one row a line, or an object of columns."""
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        try:
            value = [json.loads(line, object_pairs_hook=_once) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            raise Unreadable(f"begins like JSON and is none ({error}); {_SAVE}") from error
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        if "data" in value:
            raise Unreadable(f"is JSON, but no list of rows; {_how(value)}")
        if len({len(column) for column in value.values()}) > 1:
            raise Unreadable("is JSON whose columns differ in length; make them equally long")
        value = [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
    if not isinstance(value, list) or not value or not all(isinstance(row, dict) for row in value):
        raise Unreadable(f"is JSON, but no list of rows; {_how(value)}")
    header = list(dict.fromkeys(name for row in value for name in row))
    nested = next((name for row in value for name, cell in row.items() if isinstance(cell, dict | list)), None)
    if nested is not None:
        raise Unreadable(f"is JSON whose rows hold more than one value in {nested}; {_how(None)}")
    columns = [[_as_text(row.get(name)) for row in value] for name in header]
    cells = pd.DataFrame(dict(enumerate(map(pd.Series, columns))))
    return tuple(map(str.strip, header)), cells, tuple(range(1, len(value) + 1))


def _once(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of a row. Raises `Unreadable` where one is there twice, of which JSON would keep the last."""
    row = dict(fields)
    if len(row) < len(fields):
        twice = next(name for name, _ in fields if sum(name == other for other, _ in fields) > 1)
        raise Unreadable(f"is JSON with {printable(twice, 60)} twice in one row; keep one")
    return row


def _how(value: Any) -> str:
    rows = "a score table is a list of rows, each with task, aggregation, seed, metric and value"
    if isinstance(value, dict) and (isinstance(value.get("task"), dict) or "data" in value):
        return f"with pandas, write it with to_json(orient='records'): {rows}"
    depth = 0
    while isinstance(value, dict) and value:
        value, depth = next(iter(value.values())), depth + 1
    if depth >= 2:
        return f"it looks like the evaluation of one model, which names no aggregation and no seed: {rows}"
    return rows
