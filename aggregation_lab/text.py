"""Text from outside, as it may stand on a screen or in a message."""


def escaped(text: object, keep: str = "") -> str:
    """`text` with every character that a terminal would obey, or not show, written as its escape (\\x1b, \\u202e).

    Such are control characters, line breaks, zero-width and direction marks, and halves of surrogate pairs; those in
    `keep` stay.
    """
    return "".join(char if char.isprintable() or char in keep else _escape(char) for char in str(text))


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def printable(text: str, most: int = 200) -> str:
    """`text` escaped, and cut to `most` characters."""
    shown = escaped(text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."
