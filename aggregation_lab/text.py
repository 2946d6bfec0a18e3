"""Text from outside, as it may stand in a message: printable, on one line, of bounded length."""

from aggregation_lab import naming


def printable(text: str, most: int = 200) -> str:
    r"""`text` with every character that does not print as an escape, such as \n, cut to `most` characters."""
    shown = naming.printable(text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."
