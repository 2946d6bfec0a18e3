"""Text from outside, as it may stand in a message, a table or a title: printable, on one line, of bounded length."""

LONGEST_NAME = 100
"""Characters of a name at most: more would not fit into a table, a figure or the name of a folder."""


def printable(text: str, most: int = 200) -> str:
    r"""`text` with every character that does not print as an escape, such as \n, cut to `most` characters."""
    shown = "".join(char if char.isprintable() else _escaped(char) for char in text[:most])
    return shown if len(shown) <= most and len(text) <= most else f"{shown[: most - 3]}..."


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def name_fault(name: str) -> str | None:
    """What keeps `name` from being the name of a group or a unit; None where nothing does."""
    if not name.strip():
        return "is empty; a name has at least one character"
    if not name.isprintable():
        return f"{printable(name)} holds a character that does not print; write it in plain characters"
    if len(name) > LONGEST_NAME:
        return f"{printable(name, 40)} has {len(name)} characters; a name has {LONGEST_NAME} at most"
    if name != name.strip():
        return f"{name!r} begins or ends with a blank; take it out"
    if "/" in name or "\\" in name or name in (".", ".."):
        return f"{name} reads as a path; a name has no slash and is not a row of dots"
    return None
