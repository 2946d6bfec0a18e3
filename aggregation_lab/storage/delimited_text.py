"""The text of a CSV file of any program: encoding, delimiter, and records with their line."""

import codecs
import csv
import re
from collections.abc import Callable, Iterator
from io import StringIO

DELIMITERS = (",", ";", "\t", "|")

_MARKS = (  # longest first: UTF-32's mark begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAVE = "save it as CSV in UTF-8"
_UNPACK = "unpack it"
_OTHER_FILES = (
    (b"PK\x03\x04", "a workbook of Excel or another zip archive", f"open it in your spreadsheet program and {_SAVE}"),
    (b"\xd0\xcf\x11\xe0", "an old workbook of Excel", f"open it in your spreadsheet program and {_SAVE}"),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (b"PAR1", "a Parquet file", _SAVE),
    (b"%PDF", "a PDF", f"take the table out and {_SAVE}"),
    (b"\x89PNG", "an image", "give the table instead"),
    (b"\xff\xd8\xff", "an image", "give the table instead"),
)
_AS_UTF8 = "save the file as UTF-8 (in Excel: `CSV UTF-8`)"
_END = "\x1fend of the table"  # appended as the last record: where it is not read back, a quote was left open

Known = Callable[[str], bool]
"""Whether a header cell names a known column."""


_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?", re.ASCII)


def with_decimal_point(text: str, delimiter: str) -> str:
    """`12,5` as 12.5 where the delimiter of the table is no comma; any other text as it is."""
    return text.replace(",", ".") if delimiter != DELIMITERS[0] and _DECIMAL_COMMA.fullmatch(text) else text


class Unreadable(Exception):
    """What is wrong with a file, without its name, and in which line, where that is known."""

    def __init__(self, reason: str, line: int | None = None):
        super().__init__(reason)
        self.line = line


def decode(data: bytes) -> str:
    """The text in the bytes of a file: UTF-8, or UTF-16 or UTF-32 with its mark. Raises `Unreadable`."""
    for start, what, advice in _OTHER_FILES:
        if data.startswith(start):
            raise Unreadable(f"is {what}, no table; {advice}")
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and _every_other_is_nul(data):
        raise Unreadable(f"holds NUL bytes, as UTF-16 without its mark does; {_AS_UTF8}")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        fault = f"is damaged {encoding}"
        if encoding == "utf-8":
            fault = f"is not UTF-8 (byte 0x{data[error.start]:02x}), probably {_likely_encoding(data)}"
        raise Unreadable(f"{fault}; {_AS_UTF8}", line) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise Unreadable(f"holds a NUL byte, so it is no text or damaged; restore it, or {_SAVE}", line)
    return text


def _every_other_is_nul(data: bytes) -> bool:
    sample = data[:4096]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    return max(even, odd) > 0.3 * len(sample) / 2 and min(even, odd) < 0.05 * len(sample) / 2


def _likely_encoding(data: bytes) -> str:
    """The likely encoding of a file that is not UTF-8, by runs of its high bytes and the letters they would be."""
    words = re.findall(rb"[\x80-\xff][\x40-\x7e\x80-\xff]*[\x80-\xff]|[\x80-\xff]", data)[:2000]
    long = sum(len(word) for word in words if len(word) > 1)
    if long <= sum(len(word) for word in words) / 2:  # single letters among plain ones
        return _WESTERN
    for encoding, usual, share, title in _ENCODINGS:
        try:
            letters = [char for char in data.decode(encoding) if char > "\x7f"]
        except UnicodeDecodeError:
            continue
        if all(map(str.isprintable, letters)) and sum(map(usual, letters)) > share * len(letters):
            return title
    return _WESTERN


def _usual_chinese(char: str) -> bool:
    """Whether the character is one of the 3755 most used, which GB 2312 writes with these first bytes."""
    return 0xB0 <= char.encode("gb18030")[0] <= 0xD7 and "\u4e00" <= char <= "\u9fff"


_WESTERN = "Windows-1252 or Latin-1 (Western European)"
_ENCODINGS: tuple[tuple[str, Callable[[str], bool], float, str], ...] = (
    ("cp932", lambda char: "\u3040" <= char <= "\u30ff", 0.5, "Shift-JIS (Japanese)"),
    ("cp949", lambda char: "\uac00" <= char <= "\ud7a3", 0.95, "EUC-KR (Korean), else GBK (Chinese)"),
    ("gb18030", _usual_chinese, 0.6, "GBK or GB18030 (Chinese)"),
    ("big5", lambda char: 0xA4 <= char.encode("big5")[0] <= 0xC6 and char >= "\u4e00", 0.6, "Big5 (Chinese)"),
    ("cp1251", lambda char: "\u0400" <= char <= "\u04ff", 0.6, "Windows-1251 (Cyrillic)"),
)


def read_records(text: str, known: Known, *, strict: bool = False) -> tuple[str, Iterator[tuple[int, list[str]]]]:
    """The delimiter of a CSV, and its records that are not blank, each with the line it starts in.

    The delimiter is the one under which the header has most `known` cells. Excel's `sep=;` line and lines of `#`
    before the header are no records. The iterator raises `Unreadable` where quotes or cells are broken; if `strict`,
    also where something follows a closing quote.
    """
    lines = re.split(r"\r\n|\r|\n", text)
    skipped = next((index for index, line in enumerate(lines) if not _before_header(line, known)), len(lines))
    delimiter = _delimiter(lines[skipped], known) if skipped < len(lines) else DELIMITERS[0]
    return delimiter, _records(text, skipped, delimiter, strict)


def _records(text: str, skipped: int, delimiter: str, strict: bool) -> Iterator[tuple[int, list[str]]]:
    stream = StringIO("{}\n{}".format(text.rstrip("\r\n"), _END), newline="")
    for _ in range(skipped):
        stream.readline()
    reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True, strict=strict)
    start = skipped + 1  # a quoted cell may hold line breaks, so lines are not rows
    try:
        for cells in reader:
            if cells == [_END]:
                return
            if any(cell.strip() for cell in cells):
                if _END in cells[-1]:
                    raise Unreadable("a quote is opened and never closed", start)
                yield start, cells
            start = skipped + reader.line_num + 1
    except csv.Error as error:
        raise Unreadable(str(error), start) from error


def _before_header(line: str, known: Known) -> bool:
    """Blank lines, comments, and the line that gives Excel the delimiter."""
    bare = line.strip().strip("\"'").lower()
    if bare.startswith("#"):
        return not any(map(known, _first_record(line, _delimiter(line, known))))
    return not bare.strip(",;|\t ") or bare.startswith("sep=")


def _delimiter(line: str, known: Known) -> str:
    def rate(delimiter: str) -> tuple[int, int]:
        cells = _first_record(line, delimiter)
        return sum(map(known, cells)), len(cells)

    return max(DELIMITERS, key=rate)


def _first_record(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []
