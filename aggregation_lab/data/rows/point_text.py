"""The text of a point's cell: `[x, y]` and what else can mean two coordinates only."""

import json
import math
import re

_LONGEST = 200  # characters; a longer cell holds no point

_NO_NUMBER = r"\s*(?:nan|null|none)?\s*"
_EMPTY = re.compile(rf"{_NO_NUMBER}|[\[(]{_NO_NUMBER}(?:[,;\s]{_NO_NUMBER})?[\])]", re.IGNORECASE)

_NUMPY = re.compile(r"np\.float\d+\(([^()]*)\)")
_NUMBER = r"[\"']?([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)[\"']?"
_PAIR = re.compile(
    rf"([\[({{\s]*)(?:[\"']?x[\"']?\s*[:=]\s*)?{_NUMBER}(?:\s*[,;]\s*|\s+)(?:[\"']?y[\"']?\s*[:=]\s*)?{_NUMBER}([\])}}\s]*)",
    re.IGNORECASE | re.ASCII,
)
_CLOSING = {"[": "]", "(": ")", "{": "}"}


def is_empty_point(text: str) -> bool:
    """Whether the cell has no number: empty, or null, [NaN, NaN] and the like."""
    return len(text) <= _LONGEST and _EMPTY.fullmatch(text) is not None


def read_point(text: str) -> tuple[float, float] | None:
    """The two coordinates; None where the cell does not surely hold two numbers: a decimal comma, a bracket cut off.

    Besides JSON are read: other brackets or none, `;` or blanks between, numbers in quotes or NumPy's, x and y.
    """
    if len(text) > _LONGEST:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, list) and len(value) == 2 and not any(isinstance(part, bool) for part in value):
        pair = tuple(map(finite_number, value))
    else:
        match = _PAIR.fullmatch(_NUMPY.sub(r"\1", text))
        if match is None or not _is_balanced(match[1].split(), match[4].split()):
            return None
        pair = (finite_number(match[2]), finite_number(match[3]))
    x, y = pair
    return None if x is None or y is None else (x, y)


def decimal_comma(text: str) -> str:
    """What to do about a decimal comma that `text` may hold, behind a semicolon; "" where it holds none."""
    return "; write a decimal point, as in 12.5, where 12,5 is meant" if re.search(r"\d,\d", text) else ""


def _is_balanced(opened: list[str], closed: list[str]) -> bool:
    return [_CLOSING[bracket] for bracket in reversed("".join(opened))] == list("".join(closed))


def finite_number(part: object) -> float | None:
    """The number that a text or a value of JSON is; None where it is none, or not finite."""
    try:
        number = float(part)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):  # JSON knows whole numbers too large for a float
        return None
    return number if math.isfinite(number) else None
