"""Labels as a source writes them -> class indices from 0."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from aggregation_lab.data.importing.records import Report
from aggregation_lab.data.importing.source_files import Classes
from aggregation_lab.errors import DataError


def index_labels(
    labels: Sequence[str], asked: tuple[str, ...], source: Path, report: Report
) -> tuple[dict[str, int], tuple[str, ...]]:
    """The class index of each label, and the name of each class.

    Whole numbers from 0 on are classes as they are, a missing one included; other numbers are numbered in their
    order, other texts in that of the alphabet; `asked` (--classes) gives another order, or leaves labels out. Raises
    `DataError` where fewer than two classes are left.
    """
    found = in_order(dict.fromkeys(labels))
    numbers = [_whole(text) for text in found]
    whole = [number for number in numbers if number is not None]
    if asked:
        names = Classes(found, asked, source).names
        index = {text: number for number, text in enumerate(names)}
    elif found and len(whole) == len(found) and whole[0] == 0 and whole[-1] < 2 * len(found):
        names = tuple(str(number) for number in range(whole[-1] + 1))
        index = dict(zip(found, whole, strict=True))
        absent = sorted(set(range(whole[-1] + 1)) - set(whole))
        if absent:
            report.remark("labels", f"no image has the label {', '.join(map(str, absent))}, which counts as a class")
    elif found and len(whole) == len(found):  # 1, 01 and 1.0 are one class
        order = sorted(set(whole))
        names = tuple(map(str, order))
        index = {text: order.index(number) for text, number in zip(found, whole, strict=True)}
        report.remark("labels", "the numbers do not count from 0, and are numbered in their order")
    else:
        names = tuple(found)
        index = {text: number for number, text in enumerate(names)}
    if len(names) < 2:
        shown = f" ({names[0]})" if names else ""
        raise DataError(f"{source}: has {len(names)} class{shown}, a classification task takes two or more")
    if len(names) > 256:
        advice = "name the right column with --columns label=NAME"
        raise DataError(f"{source}: has {len(names)} labels, so they are no classes; {advice}")
    return index, names


def in_order(names: Iterable[str]) -> list[str]:
    """Names of classes in their order: whole numbers by their value, 2 before 10, then texts by the alphabet."""
    return sorted(names, key=lambda text: (_whole(text) is None, _whole(text) or 0, text))


def _whole(text: str) -> int | None:
    """The whole number that a label is: 1, 01 and 1.0 are one."""
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() and abs(number) < 1e6 else None
