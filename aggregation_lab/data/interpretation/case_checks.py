"""Whether targets fit their images, and whether one image has contradicting targets in a task."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from aggregation_lab.data.images.file_scan import Note, Scan
from aggregation_lab.data.interpretation.mask_classes import TaskMasks
from aggregation_lab.data.rows.cases import Case, Shape
from aggregation_lab.data.rows.problems import Problems, rule

SPLIT_PARTS = 3
"""A task needs at least this many subjects: one each for train, val and test."""

LARGEST_SUBJECT = 0.3
"""A subject with a larger share of a task's images is suspect: a rule may have cut too much off the file names."""


def check_files(
    cases: Iterable[Case], images: Mapping[str, Scan], masks: Mapping[str, Scan], problems: Problems
) -> None:
    """Report files that cannot be used, one line per CSV and fault, and notes on how files are read."""
    seen: set[tuple[str, str]] = set()
    for case in cases:
        files = [(case.image, images[case.image], "image_path")]
        if case.mask:
            files.append((case.mask, masks[case.mask], "mask_path"))
        for path, scan, field in files:
            if (path, field) in seen:
                continue
            seen.add((path, field))
            if scan.fault:
                kind = re.sub(r"\d+", "0", scan.fault)  # sizes differ, the fault is the same
                problems.row_error(case.row, field, f"{path} {scan.fault}", f"{field} {kind}")
            for note, message in _NOTES.items():
                if scan.has(note):
                    problems.row_warning(case.row, field, f"{path} {message}", f"{field} {note}")


_NOTES: dict[Note, str] = {
    "frames": "holds several pictures, of which the first is read; save the right one alone if that is another",
    "turned": "is turned as its EXIF orientation says; masks, boxes and points must fit the turned image",
    "transparent": "has transparent pixels; it is read as if on black",
    "undefined": "has pixels that are no numbers or infinite; they are read as black or, if plus infinity, white",
}


def without_images_as_masks(
    cases: Iterable[Case], images: Mapping[str, Scan], masks: Mapping[str, Scan]
) -> dict[str, Scan]:
    """The scans of masks, those with a fault that are the image they belong to."""
    mistaken = {
        case.mask
        for case in cases
        if case.mask and masks[case.mask].content == images[case.image].content and masks[case.mask].content
        if case.mask == case.image or masks[case.mask].values.count(",") > 1
    }
    fault = "is the image itself; name its mask"
    return {path: replace(scan, fault=fault) if path in mistaken else scan for path, scan in masks.items()}


def check_shared_masks(cases: Iterable[Case], images: Mapping[str, Scan], problems: Problems) -> None:
    """Warn of a mask file that several different images of a task have."""
    images_of: dict[tuple[str, str], dict[str, Case]] = defaultdict(dict)
    for case in cases:
        if case.mask:
            images_of[case.task, case.mask].setdefault(images[case.image].content, case)
    for (task, mask), sharing in images_of.items():
        for case in list(sharing.values())[1:]:
            message = f"{mask} is the mask of {len(sharing)} different images of task {task}; check the paths"
            problems.row_warning(case.row, "mask_path", message, f"shared {task}")


def check_mask_sizes(
    cases: Iterable[Case], images: Mapping[str, Scan], masks: Mapping[str, Scan], problems: Problems
) -> None:
    """Report masks of another size than their image, one line per CSV."""
    for case in cases:
        if not case.mask or images[case.image].fault or masks[case.mask].fault:
            continue
        image, mask = images[case.image], masks[case.mask]
        if (mask.height, mask.width) != (image.height, image.width):
            sizes = f"is {mask.width} x {mask.height} pixels, its image {image.width} x {image.height}"
            turned = image.has("turned") and (mask.width, mask.height) == (image.height, image.width)
            advice = (
                "turn the mask as the image's EXIF orientation says" if turned else "give a mask of the image's size"
            )
            problems.row_error(case.row, "mask_path", f"{case.mask} {sizes}; {advice}", f"size {turned}")


def check_agreement(cases: Iterable[Case], masks: TaskMasks, problems: Problems) -> None:
    """Report image files that stand in one task with contradicting targets, or twice with the same.

    A repeated row is a warning: it counts as one more case and so weighs its image twice. Several boxes for one
    image are a warning too: the challenge writes one box per row, and an image may show two lesions, but the one box
    a model predicts cannot match both.
    """
    seen: dict[tuple[str, str], dict[tuple, Case]] = defaultdict(dict)
    for case in cases:
        others = seen[case.task, case.image]
        content = masks[case.task][case.mask].content or case.mask if case.mask else ""
        target = content, case.label, case.box, case.points
        if not others:
            others[target] = case
            continue
        same = others.get(target)
        other = same or next(iter(others.values()))
        others.setdefault(target, case)
        where = f"{other.row.file} line {other.row.line}"
        if same:
            message = f"{case.image} has the same target in {where} of task {case.task} and counts as two cases"
            problems.row_warning(case.row, "image_path", f"{message}; keep one row")
        elif case.box:
            message = f"{case.image} has another box in {where}; one predicted box cannot match both"
            problems.row_warning(case.row, "x_min..y_max", message)
        else:
            field = "mask" if case.label >= 0 else "mask_path" if case.mask else "point_1_xy"
            message = f"{case.image} has another target in {where} of task {case.task}; keep the right row"
            problems.row_error(case.row, field, message)


def check_enough(
    cases: Iterable[Case],
    shapes: Mapping[str, Shape],
    masks: TaskMasks,
    subjects: Mapping[str, str],
    problems: Problems,
) -> None:
    """Report tasks with too few subjects to split or one overwhelming subject, and classes without a case."""
    members: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        members[case.task].append(case)
    for task, shape in sorted(shapes.items()):
        task_cases = members[task]
        sizes = Counter(subjects[image] for image in {case.image for case in task_cases})
        count = len(sizes)
        if count < SPLIT_PARTS and (task_cases or not problems.errors):  # where none is usable, the reason is reported
            message = (
                f"has {len(task_cases)} usable case(s) of {count} subject(s); a split needs {SPLIT_PARTS} subjects"
            )
            problems.error("task", None, task, f"{message}: add cases or leave the task out")
        largest, size = max(sizes.items(), key=lambda item: (item[1], item[0]), default=("", 0))
        if size > max(3, LARGEST_SUBJECT * sum(sizes.values())):
            message = f"has {size} of {sum(sizes.values())} images in subject {largest}; if that is not one patient"
            problems.warning("task", None, task, f"{message}, give a rule in `subjects`")
        if task_cases:
            _check_classes(task, shape, task_cases, masks.get(task, {}), problems)


def _check_classes(
    task: str, shape: Shape, cases: Iterable[Case], masks: Mapping[str, Scan], problems: Problems
) -> None:
    """Report classes that no case has, where the task's type wants them all."""
    if shape.type.first_class is None:
        return
    shown: set[int] = set()
    for case in cases:
        mask = masks[case.mask] if case.mask else None
        if mask is not None and mask.fault:  # reported elsewhere
            return
        shown.update(shape.type.classes_shown(case.label, mask.values if mask else ""))
    if any(number not in range(shape.classes) for number in shown):  # reported elsewhere
        return
    absent = [number for number in range(shape.type.first_class, shape.classes) if number not in shown]
    if shape.type.needs_two_classes and len(shown) == 1:
        problems.error("task", None, task, f"has only class {shown.pop()}; add cases of another class")
    elif absent:
        listed, remedy = ", ".join(map(str, absent)), ""
        if absent == [0]:
            values = rule("label_values", task, {label: label - 1 for label in range(1, shape.classes)})
            remedy = (
                f"; if labels count from 1, set num_classes to {shape.classes - 1} and write {values} in the study file"
            )
        problems.warning("task", None, task, f"has no case of class {listed}, of {shape.classes} classes{remedy}")


def check_copies(cases: Sequence[Case], images: Mapping[str, Scan], pairs: pd.DataFrame, problems: Problems) -> None:
    """Warn of byte-equal copies and near-duplicates that one classification task labels differently.

    Such pairs are a fact of public sources; a split keeps them together, so they do not make a folder unusable.
    """
    labelled: dict[str, dict[str, list[Case]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        if case.label >= 0:
            labelled[images[case.image].content][case.task].append(case)
    lines: list[tuple[str, int, str]] = []
    same = [(content, content, "copy") for content in labelled]
    near = [(first, second, "near-duplicate") for first, second in zip(pairs["first"], pairs["second"], strict=True)]
    for first, second, kind in same + near:
        if first not in labelled or second not in labelled:
            continue
        for task, lefts in labelled[first].items():
            left = lefts[0]
            for right in labelled[second].get(task, ()):
                if left.label != right.label and left.image != right.image:
                    other = f"its {kind} {left.image} has {left.label}; they stay in one split"
                    lines.append((right.row.file, right.row.line, f"{right.image} has label {right.label} but {other}"))
    for file, line, message in sorted(lines):
        problems.warning(file, line, "mask", message)
