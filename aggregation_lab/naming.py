"""Names of tasks, groups and units.

A name is kept as written except for what nobody sees: its Unicode form (NFC), blanks around it, and the kind of a
blank. `NA`, `null`, `keys` or `..` are ordinary names.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable

LONGEST_NAME = 200
"""Most characters of a name."""

_MARKS_AT_ENDS = "\ufeff\u200b\u200e\u200f\u2060"  # what a byte order mark or a web page leaves around a word


def clean_name(text: str) -> str:
    """The name that `text` means: NFC, every kind of blank a plain one, nothing invisible around it."""
    if text.isascii():  # nearly every cell of nearly every table
        return strip_all(text)
    composed = unicodedata.normalize("NFC", text)
    plain = "".join(" " if unicodedata.category(char) == "Zs" else char for char in composed)
    return strip_all(plain)


def strip_all(text: str, others: str = "") -> str:
    """`text` without blanks, invisible marks and `others` around it."""
    while text != (text := text.strip().strip(_MARKS_AT_ENDS + others)):
        pass
    return text


def name_fault(name: str) -> str:
    """What to do about an invalid `name`; "" where it is valid."""
    if not name:
        return "write a name"
    if len(name) > LONGEST_NAME:
        return f"a name has at most {LONGEST_NAME} characters, this {len(name)}"
    hidden = next((char for char in name if not char.isprintable()), None)
    if hidden is not None:
        return f"take out the invisible character U+{ord(hidden):04X}"
    return ""


def squashed(text: str) -> str:
    """The letters and digits of a column's name in small letters, to compare spellings."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum())


def closest(name: str, written: Iterable[str], others: Iterable[str] = ()) -> str | None:
    """Which of the `written` names most likely means `name`: one of its `others`, squashed, or a misspelt one."""
    by_form = {squashed(text): text for text in written}
    near = difflib.get_close_matches(squashed(name), by_form, n=1, cutoff=0.75)
    form = next((form for form in (*others, *near) if form in by_form), None)
    return by_form[form] if form else None


_DASHES = dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-")
_COUNTING = re.compile(r"(?:^|(?<=\s))-(?=\.?\d)|(?<=\w)-$")  # before a number, and behind a name as in `HER2-`
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[\s_-]+(?=\d)")


def alike(names: Iterable[str]) -> list[list[str]]:
    """Sets of different names that differ only in case, blanks, dashes or Unicode form; each set sorted.

    What changes the value counts: a minus sign, and what stands between digits, of which `1-2` and `12` differ.
    """
    sets: dict[str, set[str]] = {}
    for name in names:
        folded = unicodedata.normalize("NFKC", name).casefold().translate(_DASHES).strip()
        kept = _BETWEEN_DIGITS.sub("\0", _COUNTING.sub("\1", folded))
        bare = "".join(char for char in kept if char in "\0\1" or not char.isspace() and char not in "_-")
        sets.setdefault(bare, set()).add(name)
    return [sorted(members) for _, members in sorted(sets.items()) if len(members) > 1]


_ENCODERS = {
    "wide_resnet": "Wide ResNet",
    "resnext": "ResNeXt",
    "resnet": "ResNet",
    "convnext": "ConvNeXt",
    "densenet": "DenseNet",
    "efficientnet": "EfficientNet",
    "mobilenet": "MobileNet",
    "regnet": "RegNet",
    "vgg": "VGG",
}


def encoder_title(name: str) -> str:
    """How papers write the name of a network: ResNet18 for timm's resnet18; others as they are."""
    family = next((start for start in _ENCODERS if name.startswith(start)), "")
    return f"{_ENCODERS[family]}{name.removeprefix(family).replace('_', ' ')}" if family else name
