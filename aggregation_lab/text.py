"""Text from outside, as it may stand in a message: printable, on one line, of bounded length."""

import difflib
from collections.abc import Iterable

from aggregation_lab import naming


def printable(text: str, most: int = 200) -> str:
    r"""`text` with every character that does not print as an escape, such as \n, cut to `most` characters."""
    shown = naming.printable(text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def near_names(name: object, known: Iterable[object], most: int = 3) -> str:
    """What a wrong name was probably meant to be: `; did you mean a or b?`, or all of few; empty where nothing is."""
    names = sorted(str(other) for other in known)
    close = difflib.get_close_matches(str(name), names, n=most, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(map(printable, close))}?"
    return f"; there are {', '.join(map(printable, names[:20]))}" if names else ""
