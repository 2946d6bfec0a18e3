"""The text of a CSV file, whatever program wrote it: encoding and delimiter."""

import codecs
import csv
import re
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

from aggregation_lab.data.rows.problems import Problems
from aggregation_lab.files import read_bytes

UNKNOWN = frozenset(
    {"", "nan", "na", "n/a", "n.a.", "#n/a", "<na>", "nat", "none", "null", "nil", "unknown", "unk", "undefined"}
    | {"missing", "not available", "not known", "-", "--", "\u2013", "\u2014", "_", "?", ".", "/", "未知", "无"}
)
"""Cells, in small letters, that say that nothing is known."""

LARGEST_FILE = 256 * 2**20
"""Most bytes of a CSV: a million rows take less."""

DELIMITERS = (",", ";", "\t", "|")

_MARKS = (  # longest first: UTF-32's mark begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FILES = (
    (b"PK\x03\x04", "an Excel workbook or another zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
)
_END = "\x1fend of the table"  # a last record of ours: where it does not come back, a quote was left open
_SAVE = "open it in your spreadsheet program and save it as CSV in UTF-8"


def read_text(path: Path, name: str, problems: Problems) -> str | None:
    """The text of a file; None, reported, where it is none that can be read."""
    try:
        if not path.is_file():  # to open a pipe or a device would wait for ever
            what = "is a folder" if path.is_dir() else "is no regular file, or a link to nothing"
            problems.error(name, None, None, f"{what}; take it out of the folder of CSV files")
            return None
        size = path.stat().st_size
        if size > LARGEST_FILE:
            problems.error(name, None, None, f"has {size / 2**20:.0f} MiB, too many for a table of cases; divide it")
            return None
        data = read_bytes(path)
    except OSError as error:
        problems.error(name, None, None, f"cannot be read ({error.strerror}); check the file and its permissions")
        return None
    return _decode(data, name, problems)


def _decode(data: bytes, name: str, problems: Problems) -> str | None:
    for start, what in _OTHER_FILES:
        if data.startswith(start):
            problems.error(name, None, None, f"is {what} by its content, not a CSV; {_SAVE}")
            return None
    if _every_other_is_nul(data) and not data.startswith(tuple(mark for mark, _ in _MARKS)):
        message = "is UTF-16 without its mark, not UTF-8; save the file as UTF-8 (in Excel: `CSV UTF-8`)"
        problems.error(name, None, None, message)
        return None
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        found = f"is not UTF-8 (byte 0x{data[error.start]:02x})" if encoding == "utf-8" else f"is damaged {encoding}"
        likely = f", probably {_likely_encoding(data)}" if encoding == "utf-8" else ""
        problems.error(name, line, None, f"{found}{likely}; save the file as UTF-8 (in Excel: `CSV UTF-8`)")
        return None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        problems.error(name, line, None, f"holds a NUL byte, so it is no text or damaged; restore it, or {_SAVE}")
        return None
    return text


def _every_other_is_nul(data: bytes) -> bool:
    sample = data[:4096]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    return max(even, odd) > 0.3 * len(sample) / 2 and min(even, odd) < 0.05 * len(sample) / 2


def _likely_encoding(data: bytes) -> str:
    """What a file that is not UTF-8 most likely is, by how its high bytes stand together and what they would say."""
    words = re.findall(rb"[\x80-\xff][\x40-\x7e\x80-\xff]*[\x80-\xff]|[\x80-\xff]", data)[:2000]
    long = sum(len(word) for word in words if len(word) > 1)
    if long <= sum(len(word) for word in words) / 2:  # single letters among plain ones
        return "Windows-1252 or Latin-1 (Western European)"
    for encoding, usual, share, title in _ENCODINGS:
        try:
            told = [char for char in data.decode(encoding) if char > "\x7f"]
        except UnicodeDecodeError:
            continue
        if all(map(str.isprintable, told)) and sum(map(usual, told)) > share * len(told):
            return title
    return "Windows-1252 or Latin-1 (Western European)"


def _usual_chinese(char: str) -> bool:
    """Whether the character is one of the 3755 most used, which GB 2312 writes with these first bytes."""
    return 0xB0 <= char.encode("gb18030")[0] <= 0xD7 and "\u4e00" <= char <= "\u9fff"


_ENCODINGS: tuple[tuple[str, Callable[[str], bool], float, str], ...] = (
    ("cp932", lambda char: "\u3040" <= char <= "\u30ff", 0.5, "Shift-JIS (Japanese)"),
    ("cp949", lambda char: "\uac00" <= char <= "\ud7a3", 0.95, "EUC-KR (Korean), else GBK (Chinese)"),
    ("gb18030", _usual_chinese, 0.6, "GBK or GB18030 (Chinese)"),
    ("big5", lambda char: 0xA4 <= char.encode("big5")[0] <= 0xC6 and char >= "\u4e00", 0.6, "Big5 (Chinese)"),
    ("cp1251", lambda char: "\u0400" <= char <= "\u04ff", 0.6, "Windows-1251 (Cyrillic)"),
)


def read_records(text: str, rate: Callable[[list[str]], int]) -> Iterator[tuple[int, list[str]]]:
    """Records of a CSV that are not blank, with the line each starts in, and first its delimiter as record 0.

    The delimiter is the one under which `rate` finds most in the header. Excel's `sep=;` line and lines of `#` before
    the header are no records. Raises `ValueError` (line, reason) where quotes or cells are broken.
    """
    lines = re.split(r"\r\n|\r|\n", text)
    skipped = next((index for index, line in enumerate(lines) if not _before_header(line, rate)), len(lines))
    delimiter = _delimiter(lines[skipped], rate) if skipped < len(lines) else DELIMITERS[0]
    yield 0, [delimiter]
    stream = StringIO("{}\n{}".format(text.rstrip("\r\n"), _END), newline="")
    for _ in range(skipped):
        stream.readline()
    reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True)
    start = skipped + 1  # a quoted cell may hold line breaks, so lines are not rows
    cells: list[str] = []
    try:
        for cells in reader:
            if cells == [_END]:
                return
            if any(cell.strip() for cell in cells):
                if _END in cells[-1]:
                    raise ValueError(start, "a quote is opened and never closed")
                yield start, cells
            start = skipped + reader.line_num + 1
    except csv.Error as error:
        raise ValueError(skipped + reader.line_num, str(error)) from error


def _before_header(line: str, rate: Callable[[list[str]], int]) -> bool:
    bare = line.strip().strip("\"'").lower()
    if bare.startswith("#"):
        return not rate(_first_record(line, _delimiter(line, rate)))
    return not bare.strip(",;|\t ") or bare.startswith("sep=")


def _delimiter(line: str, rate: Callable[[list[str]], int]) -> str:
    return max(DELIMITERS, key=lambda delimiter: rate(_first_record(line, delimiter)))


def _first_record(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []
