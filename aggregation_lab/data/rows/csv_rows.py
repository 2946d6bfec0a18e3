"""The CSV files of a data folder in the challenge's layout, as rows of text that know their line."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from aggregation_lab.data.rows.columns import Header, known_column, read_header
from aggregation_lab.data.rows.problems import Problems
from aggregation_lab.data.rows.row import Row
from aggregation_lab.files import read_bytes
from aggregation_lab.naming import clean_name
from aggregation_lab.storage.delimited_text import Unreadable, decode, read_records, with_decimal_point

CSV_FOLDER = "csv_files"

LARGEST_FILE = 256 * 2**20
"""Most bytes of a CSV: a million rows take less."""

UNKNOWN = frozenset(
    {"", "nan", "na", "n/a", "n.a.", "#n/a", "<na>", "nat", "none", "null", "nil", "unknown", "unk", "undefined"}
    | {"missing", "not available", "not known", "-", "--", "\u2013", "\u2014", "_", "?", ".", "/", "未知", "无"}
)
"""Cells, in small letters, that mean a missing value."""

_PATHS = frozenset({"image_path", "mask_path"})  # kept as written: a file's name may hold any blank
_NUMBERS = frozenset({"num_classes", "mask", "x_min", "y_min", "x_max", "y_max"})
_OTHER_TABLES = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers", ".tsv", ".csv.gz", ".csv.zip", ".parquet", ".feather")


def read_rows(train: Path, problems: Problems) -> list[Row]:
    """Rows of every CSV under `train`/csv_files, files in the order of their names.

    Reports a folder without CSV files, files that may have been meant to be read, and, per file: unreadable, not
    UTF-8, no data row, a missing or repeated column, columns that are not used, a row with more or fewer cells than
    the header.
    """
    paths = sorted((train / CSV_FOLDER).iterdir())
    files = [path for path in paths if path.suffix.lower() == ".csv" and not _is_leftover(path.name)]
    for path in paths:
        if _is_leftover(path.name) and path.name.lower().endswith((".csv", ".csv#")):
            problems.note(f"{CSV_FOLDER}/{path.name}", None, None, "is what another program left, and is not read")
        elif path.name.lower().endswith(_OTHER_TABLES) and not _is_leftover(path.name):
            problems.warning(f"{CSV_FOLDER}/{path.name}", None, None, "is not read; save it as CSV in UTF-8 to use it")
    if not files:
        problems.error(CSV_FOLDER, None, None, "holds no .csv file; put the challenge's CSV files there")
    return [row for path in files for row in _read_file(path, f"{CSV_FOLDER}/{path.name}", problems)]


def _is_leftover(name: str) -> bool:
    """What macOS (`._x.csv`), Excel (`~$x.csv`) and LibreOffice (`.~lock.x.csv#`) leave beside a file."""
    return name.startswith((".", "~$"))


def _read_file(path: Path, name: str, problems: Problems) -> Iterator[Row]:
    data = _content(path, name, problems)
    if data is None:
        return
    try:
        text = decode(data)
    except Unreadable as fault:
        problems.error(name, fault.line, None, str(fault))
        return
    try:
        yield from _read_rows(text, name, problems)
    except Unreadable as fault:
        problems.error(name, fault.line, None, f"is not readable as CSV ({fault}); correct the quotes of this line")


def _content(path: Path, name: str, problems: Problems) -> bytes | None:
    """The bytes of a file; None, reported, where it cannot be read."""
    try:
        if not path.is_file():  # to open a pipe or a device would wait for ever
            what = "is a folder" if path.is_dir() else "is no regular file, or a link to nothing"
            problems.error(name, None, None, f"{what}; take it out of the folder of CSV files")
            return None
        size = path.stat().st_size
        if size > LARGEST_FILE:
            problems.error(name, None, None, f"has {size / 2**20:.0f} MiB, too many for a table of cases; divide it")
            return None
        return read_bytes(path)
    except OSError as error:
        problems.error(name, None, None, f"cannot be read ({error.strerror}); check the file and its permissions")
        return None


def _read_rows(text: str, name: str, problems: Problems) -> Iterator[Row]:
    delimiter, records = read_records(text, lambda cell: known_column(cell) is not None)
    first = next(records, None)
    if first is None:
        problems.error(name, None, None, "is empty; fill it or take it away")
        return
    line, titles = first
    header = read_header(titles, name, line, problems)
    if header is None:  # then the number of cells in a row has no meaning
        return
    count = 0
    for line, cells in records:
        count += 1
        surplus = cells[len(titles) :]
        if len(cells) < len(titles) or any(cell.strip() for cell in surplus):
            advice = "put quotes around text that holds a comma" if surplus else "complete the row"
            problems.error(name, line, None, f"has {len(cells)} cells, the header {len(titles)}; {advice}")
        else:
            yield Row(name, line, _cells(header, cells, delimiter), header.others)
    if not count:
        problems.error(name, None, None, "has a header but no row; fill it or take it away")


def _cells(header: Header, cells: Sequence[str], delimiter: str) -> dict[str, str]:
    """The cells by column, numbers with a decimal point."""
    named = {column: cells[index] for column, index in header.index_of.items()}
    kept = {column: text if column in _PATHS and text.strip() else clean_name(text) for column, text in named.items()}
    return kept | {column: with_decimal_point(kept[column], delimiter) for column in _NUMBERS & kept.keys()}
