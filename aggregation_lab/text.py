"""Text from outside, as it may stand on a screen or in a message."""

import difflib
from collections.abc import Iterable, Sequence


def escaped(text: object, keep: str = "") -> str:
    """`text` with every character that a terminal would interpret, or not show, written as its escape (\\x1b, \\u202e).

    Such are control characters, line breaks, zero-width and direction marks, and halves of surrogate pairs; those in
    `keep` stay.
    """
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in str(text)
    )


def printable(text: str, most: int = 200) -> str:
    """`text` escaped, and cut to `most` characters."""
    shown = escaped(text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def listed(names: Sequence[str], most: int) -> str:
    """The first `most` names, and how many there are besides: `a, b and 3 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def enumerated(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), *names[-1:]]) if len(names) > 1 else "".join(names)


def near_names(name: object, known: Iterable[object]) -> str:
    """What a wrong name was probably meant to be: `; did you mean a or b?`, or all of few; empty where nothing is."""
    names = sorted(str(other) for other in known)
    close = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(map(printable, close))}?"
    return f"; there are {', '.join(map(printable, names[:20]))}" if names else ""


def exact_per_cent(share: float, gap: str = "\u00a0") -> str:
    """A share as it is, such as `2.5 %`: two shares never read the same."""
    return f"{100 * share:g}{gap}%"


def whole_per_cent(share: float, gap: str = " ") -> str:
    """A share or chance in whole per cent; `<1 %` and `>99 %` of what is neither never nor always."""
    if 0 < share < 1 and f"{100 * share:.0f}" in ("0", "100"):
        return f"<1{gap}%" if share < 0.5 else f">99{gap}%"
    return f"{100 * share:.0f}{gap}%"


_MOST_DECIMALS = 9


def decimals_of_limit(limit: float, digits: int = 3) -> int:
    """`digits`, or as many more as it takes that a limit does not read as if it were 0, unless it is, but for rounding.
    The other limit keeps its own: `[-0.000002, 0.031]`."""
    if abs(limit) >= 10.0**-_MOST_DECIMALS:
        while float(f"{limit:.{digits}f}") == 0:
            digits += 1
    return digits


def decimals_of_interval(value: float, low: float, high: float, digits: int = 3) -> tuple[int, int, int]:
    """Decimals of an estimate and its limits; an estimate whose interval excludes 0 does not read as 0 either."""
    of_value = digits if low <= 0 <= high else decimals_of_limit(value, digits)
    return of_value, decimals_of_limit(low, digits), decimals_of_limit(high, digits)


def decimals_apart(value: float, other: float, digits: int = 3) -> int:
    """`digits`, or as many more as it takes that two numbers which differ by more than rounding do not read alike."""
    if abs(value - other) >= 10.0**-_MOST_DECIMALS:
        while digits < _MOST_DECIMALS and f"{value:.{digits}f}" == f"{other:.{digits}f}":
            digits += 1
    return digits
