"""Labels as a source writes them -> class indices from 0."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from aggregation_lab.data.importing.records import Report
from aggregation_lab.data.importing.source_files import Classes
from aggregation_lab.data.rows.point_text import finite_number
from aggregation_lab.errors import DataError

_FEW = 4
"""So many classes are never too many for their cases: a first try may have hardly more cases."""
_LARGEST = 1e6
_NO_LABEL = re.compile(r"9+|8{2,}|255")
"""Numbers that tables write where something is missing, as negative ones."""
_BETWEEN = re.compile(r"[,;|/+&]|\band\b", re.IGNORECASE)
"""What stands between several labels in one cell."""


def index_labels(
    labels: Sequence[str], asked: tuple[str, ...], source: Path, report: Report
) -> tuple[dict[str, int], tuple[str, ...]]:
    """The class index of each label, and the name of each class.

    Whole numbers from 0 on are classes as they are, a missing one included; other numbers are numbered in their
    order, other texts in that of the alphabet; `asked` (--classes) gives another order, or leaves labels out. Raises
    `DataError` where fewer than two classes are left.
    """
    found = in_order(dict.fromkeys(labels))
    numbers = {text: number for text in found if (number := _number(text)) is not None}
    order = sorted(set(numbers.values()))
    if not asked:
        _note_apart(found, numbers, report)
        _note_fractions(found, numbers, report)
    if asked:
        names = Classes(found, asked, source).names
        index = {text: number for number, text in enumerate(names)}
    elif not found or len(numbers) < len(found):
        names = tuple(found)
        index = {text: number for number, text in enumerate(names)}
    elif order[0] == 0 and order[-1] < 2 * len(found) and all(number.is_integer() for number in order):
        index = {text: int(number) for text, number in numbers.items()}
        names = tuple(map(str, range(int(order[-1]) + 1)))
        absent = sorted({*range(len(names))} - {*index.values()})
        if absent:
            report.remark("labels", f"no image has the label {', '.join(map(str, absent))}, which counts as a class")
    else:  # 1, 01 and 1.0 are one class
        names = tuple(repr(number).removesuffix(".0") for number in order)
        index = {text: order.index(number) for text, number in numbers.items()}
        report.remark("labels", "the numbers do not count from 0, and are numbered in their order")
    if len(names) < 2:
        shown = f" ({names[0]})" if names else ""
        raise DataError(f"{source}: has {len(names)} class{shown}, a classification task takes two or more")
    if len(names) > 256:
        advice = "name the right column with --columns label=NAME, or make few classes of a measurement"
        raise DataError(f"{source}: has {len(names)} labels, so they are no classes; {advice}")
    return index, names


def _note_apart(found: Sequence[str], numbers: Mapping[str, float], report: Report) -> None:
    """Say where a number stands for no label by its value, beside classes that count from 0 or 1, or have names."""
    apart = [text for text, number in numbers.items() if number < 0 or _NO_LABEL.fullmatch(f"{number:g}")]
    rest = [text for text in found if text not in apart]
    counted = sorted({numbers[text] for text in rest if text in numbers})
    begin = counted[0] if counted else 0
    in_turn = begin in (0, 1) and counted == [begin + step for step in range(len(counted))]
    apart = [text for text in apart if not counted or numbers[text] < 0 or numbers[text] > counted[-1] + 1]
    if not apart or len(rest) < 2 or not in_turn:
        return
    shown = " and ".join(apart[:_FEW])
    advice = f"where it stands for no label, --classes {shlex.quote(','.join(rest))} leaves it out"
    report.remark("labels", f"{shown} counts as a class beside {', '.join(rest[:8])}; {advice}")


def _note_fractions(found: Sequence[str], numbers: Mapping[str, float], report: Report) -> None:
    """Say where labels are numbers and not all whole, as measurements are."""
    broken = next((text for text, number in numbers.items() if not number.is_integer()), None)
    if broken is not None and len(numbers) == len(found):
        advice = "if they are measurements, agglab has no such task, so make few classes of them"
        report.remark("labels", f"{broken} is no whole number, and each value counts as a class; {advice}")


def joined_labels(names: Sequence[str]) -> str:
    """What to say of class names that are made of others, as `cyst, mass` beside `cyst` and `mass`; "" without any."""
    parts = {
        name: frozenset(filter(None, (part.strip().casefold() for part in _BETWEEN.split(name)))) for name in names
    }
    single = {name.casefold() for name in names if len(parts[name]) == 1}
    every = list(parts.values())
    joined = [name for name, its in parts.items() if len(its) > 1 and (its <= single or every.count(its) > 1)]
    if not joined:
        return ""
    shown = " and ".join(repr(name) for name in joined[:_FEW]) + (" ..." if len(joined) > _FEW else "")
    advice = "an image has one class in agglab, so say which it is, or make a task of each label"
    return f"{shown} hold several labels, and count as classes of their own; {advice}"


def in_order(names: Iterable[str]) -> list[str]:
    """Names of classes in their order: numbers by their value, 2 before 10, then texts by the alphabet."""
    return sorted(names, key=lambda text: (_number(text) is None, _number(text) or 0, text))


def own_classes(indices: Sequence[int]) -> str:
    """What to say of the class of each case where most have one of their own, and nothing can be learned; else ""."""
    classes = len(set(indices))
    if classes <= max(_FEW, len(indices) / 2):
        return ""
    return (
        f"{classes} classes in {len(indices)} cases, so most are a class of their own: if it is a measurement, agglab "
        "has no such task, so make few classes of its values; if these are names or ids, take what holds the labels"
    )


def _number(text: str) -> float | None:
    """The number that a label is: 1, 01 and 1.0 are one. Long ones are names, of which two could be read as one."""
    number = finite_number(text)
    return number if number is not None and abs(number) < _LARGEST else None
