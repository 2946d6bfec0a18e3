"""What the values of a task's masks mean: class indices, 0 and white, or what the study file says."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from aggregation_lab.config import TargetRules, value_span
from aggregation_lab.data.images.file_scan import Scan
from aggregation_lab.data.images.masks import write_values
from aggregation_lab.data.images.palettes import renumbered
from aggregation_lab.data.rows.cases import Case, Shape
from aggregation_lab.data.rows.problems import Problems, rule

FULL = (255, 65535)
"""Values that mean white; where a task has two classes and nothing but these and 0, they mean class 1."""

_FEW = 16  # values that a line can name
_ENOUGH = 8  # fewest masks at which it is suspicious that all of them are alike

TaskMasks = Mapping[str, Mapping[str, Scan]]
"""Scans by task and path, whose `values` are classes and whose `content` says how values became classes."""


def class_masks(
    cases: Iterable[Case],
    shapes: Mapping[str, Shape],
    masks: Mapping[str, Scan],
    rules: TargetRules,
    problems: Problems,
) -> TaskMasks:
    """The masks of each task, read as classes; values that mean no class are reported once for the task."""
    members: dict[str, dict[str, Case]] = {}
    for case in cases:
        if case.mask:
            members.setdefault(case.task, {}).setdefault(case.mask, case)
    read = {}
    for task, first in members.items():
        scans = [_Used(case, masks[path]) for path, case in first.items() if not masks[path].fault]
        _check_palettes(task, scans, problems)
        for mask in scans:
            if mask.scan.has("lossy"):
                message = (
                    f"{mask.case.mask} is compressed with loss, which changes classes at borders; save masks as PNG"
                )
                problems.row_warning(mask.case.row, "mask_path", message, "lossy")
        values = _read_values(task, shapes[task].classes, scans, rules.mask_values.get(task), problems)
        read[task] = {path: _as_classes(masks[path], values) for path in first}
    return read


@dataclass(frozen=True)
class _Used:
    case: Case
    scan: Scan

    @property
    def values(self) -> set[int]:
        return set(map(int, self.scan.values.split(",")))


def _as_classes(scan: Scan, values: Mapping[int, int] | None) -> Scan:
    if values is None or scan.fault:
        return scan
    class_of = {int(value): values[int(value)] for value in scan.values.split(",") if int(value) in values}
    classes = ",".join(map(str, sorted(set(class_of.values()))))
    return replace(scan, content=f"{scan.content}@{write_values(class_of)}", values=classes or "0")


def _read_values(
    task: str, classes: int, masks: Sequence[_Used], given: Mapping[str, int] | None, problems: Problems
) -> dict[int, int] | None:
    """Class by value of the task; None where values are classes. What cannot be read is reported."""
    in_use = set().union(*(mask.values for mask in masks))
    if given is not None:
        values = {value: index for text, index in given.items() for value in value_span(text)}
        beyond = sorted(set(values.values()) - set(range(classes)))
        if beyond:
            message = f"data.mask_values: gives class {beyond[0]}, but the task has classes 0 to {classes - 1}"
            problems.error("task", None, task, message)
        _report(in_use - set(values), masks, f"which data.mask_values.{task} does not name; add it", problems)
        return values
    if classes == 2 and (in_use <= {0, 1} or in_use <= {0, *FULL}):
        _warn_inverted(task, in_use, masks, problems)
    if all(0 <= value < classes for value in in_use):
        if in_use and 0 not in in_use:
            _warn_no_background(task, classes, in_use, masks, problems)
        return None
    if classes == 2 and in_use <= {0, *FULL}:
        return {0: 0} | dict.fromkeys(FULL, 1)
    advice = f"task {task} takes class indices 0 to {classes - 1}; {_remedy(task, classes, in_use, masks)}"
    _report({value for value in in_use if not 0 <= value < classes}, masks, advice, problems)
    return None


def _report(wrong: set[int], masks: Sequence[_Used], advice: str, problems: Problems) -> None:
    bad = [mask for mask in masks if mask.values & wrong]
    if not bad:
        return
    row, path = bad[0].case.row, bad[0].case.mask
    count = f" ({len(bad)} masks of the task)" if len(bad) > 1 else ""
    shown = _shown(wrong & bad[0].values)
    problems.row_error(row, "mask_path", f"{path} holds the {shown}{count}; {advice}")


def _shown(values: set[int]) -> str:
    some = sorted(values, reverse=True)
    if len(some) == 1:
        return f"value {some[0]}"
    return f"values {', '.join(map(str, some[:4]))}{', ...' if len(some) > 4 else ''}"


def _remedy(task: str, classes: int, in_use: set[int], masks: Sequence[_Used]) -> str:
    """A line for the study file that reads these values, as far as they let it be guessed."""
    inside = {value: value for value in in_use if 0 <= value < classes}
    beyond = sorted(in_use - set(inside))
    apart = classes == 2 and not any({1, *beyond} <= mask.values for mask in masks)
    if set(beyond) <= set(FULL) and (meaning := white_meaning(inside, beyond, apart=apart)):
        pairs, why = meaning
    elif len(in_use) <= classes:
        pairs, why = {value: index for index, value in enumerate(sorted(in_use))}, "say what the values mean by"
    elif any(mask.scan.has("photograph") for mask in masks):
        return "most pixels lie between dark and bright as in a photograph, so name the masks, not the images"
    elif classes == 2 and max(in_use) > 127:
        halves = {"'0-127'": 0, f"'128-{max(in_use)}'": 1}
        return f"write {rule('mask_values', task, halves)} in the study file"
    elif len(in_use) <= _FEW:
        pairs = inside | dict.fromkeys(beyond, classes - 1)
        why = f"say what every value means; to count {_shown(set(beyond))} as class {classes - 1}, write"
    else:
        example = rule("mask_values", task, {0: 0, 255: 1})
        return f"say in the study file what every value means, as in {example}"
    return f"{why} {rule('mask_values', task, dict(sorted(pairs.items())))} in the study file"


def white_meaning(classes: Collection[int], white: Sequence[int], *, apart: bool) -> tuple[dict[int, int], str] | None:
    """What `white` values may mean in masks that also hold `classes`: the class of each value, and when, in words that
    a rule follows. `apart` says that the task has one class beside the background, and no mask holds it and white.
    """
    inside = {value: value for value in classes}
    if apart and set(inside) <= {0, 1}:
        said = f"some masks hold 1 and others {white[0]}; if both are the structure, write"
        return inside | dict.fromkeys(white, 1), said
    if len(white) == 1 and any(inside):
        return {**inside, white[0]: 0}, f"if {white[0]} marks pixels without a label, count them as background by"
    return None


def _warn_inverted(task: str, in_use: set[int], masks: Sequence[_Used], problems: Problems) -> None:
    """Warn where class 1 surrounds class 0 in all masks, as it does where black means the structure."""
    full = [mask for mask in masks if len(mask.values) > 1]
    if len(full) < _ENOUGH or not all(mask.scan.has("framed") for mask in full):
        return
    row, swapped = full[0].case.row, rule("mask_values", task, {0: 1} | dict.fromkeys(sorted(in_use - {0}), 0))
    message = f"class 1 of task {task} fills the border and most of all its masks, as background does"
    problems.row_warning(row, "mask_path", f"{message}; if they are inverted, write {swapped} in the study file")


def _warn_no_background(task: str, classes: int, in_use: set[int], masks: Sequence[_Used], problems: Problems) -> None:
    row = masks[0].case.row
    values = rule("mask_values", task, {value: index for index, value in enumerate(sorted(in_use))})
    remedy = f"if classes count from {min(in_use)}, write {values} in the study file"
    message = f"no mask of task {task} holds class 0, the background, of {classes} classes; {remedy}"
    problems.row_warning(row, "mask_path", message)


def _check_palettes(task: str, masks: Sequence[_Used], problems: Problems) -> None:
    """Report palette files that give one colour two indices: a writer has renumbered the colours of each file."""
    clash = renumbered({mask.case.mask: mask.scan.palette for mask in masks})
    if clash is None:
        return
    row = next(mask.case.row for mask in masks if mask.case.mask == clash.file)
    message = f"{clash.file} has colour #{clash.colour} as {clash.index}"
    other = f"{clash.first} of task {task} as {clash.first_index}"
    advice = "save the masks as single-channel images of class indices"
    problems.row_error(row, "mask_path", f"{message}, {other}; {advice}")
