"""Whether targets fit their images, and whether a task says two things about one image."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from aggregation_lab.data.problems import Findings
from aggregation_lab.data.scan import Scan
from aggregation_lab.data.targets import BOX_COLUMNS, Case, Shape
from aggregation_lab.tasks import TaskType

SPLIT_PARTS = 3
"""A task needs at least this many subjects: one each for train, val and test."""

LARGEST_SUBJECT = 0.3
"""A subject with a larger share of a task's images is suspect: a rule may have cut too much off the file names."""


def check_cases(
    cases: Iterable[Case],
    shapes: Mapping[str, Shape],
    images: Mapping[str, Scan],
    masks: Mapping[str, Scan],
    findings: Findings,
) -> None:
    """Report files that cannot be used (each once, at the first row that names it) and targets that do not fit."""
    reported: set[str] = set()
    for case in cases:
        image = images[case.image]
        files = [(case.image, image, "image_path")]
        if case.mask:
            files.append((case.mask, masks[case.mask], "mask_path"))
        for path, scan, field in files:
            if scan.fault and path not in reported:
                reported.add(path)
                findings.error(case.row.file, case.row.line, field, f"{path} {scan.fault}; restore the file")
        if case.mask and not masks[case.mask].fault:
            _check_mask(case, shapes[case.task], image, masks[case.mask], findings)
        if image.fault:
            continue
        if case.box:
            _check_box(case, image, findings)
        for number, point in enumerate(case.points or (), start=1):
            _check_point(case, number, point, image, findings)


def _check_mask(case: Case, shape: Shape, image: Scan, mask: Scan, findings: Findings) -> None:
    place = (case.row.file, case.row.line, "mask_path")
    if not image.fault and (mask.height, mask.width) != (image.height, image.width):
        sizes = f"is {mask.width} x {mask.height} pixels, its image {image.width} x {image.height}"
        findings.error(*place, f"{case.mask} {sizes}; give a mask of the image's size")
    highest = max(map(int, mask.values.split(",")))
    if highest >= shape.classes:
        advice = f"task {case.task} takes class indices 0 to {shape.classes - 1}"
        findings.error(*place, f"{case.mask} holds the value {highest}; {advice}")


def _check_box(case: Case, image: Scan, findings: Findings) -> None:
    assert case.box is not None
    limits = (image.width, image.height, image.width, image.height)
    for column, value, limit in zip(BOX_COLUMNS, case.box, limits, strict=True):
        if not 0 <= value <= limit:
            message = f"is {value:g}, outside {case.image} of {image.width} x {image.height} pixels; mend the box"
            findings.error(case.row.file, case.row.line, column, message)


def _check_point(case: Case, number: int, point: tuple[float, float], image: Scan, findings: Findings) -> None:
    x, y = point
    if not (0 <= x <= image.width and 0 <= y <= image.height):
        message = f"is ({x:g}, {y:g}), outside {case.image} of {image.width} x {image.height} pixels; mend the point"
        findings.error(case.row.file, case.row.line, f"point_{number}_xy", message)


def check_agreement(cases: Iterable[Case], masks: Mapping[str, Scan], findings: Findings) -> None:
    """Report image files that stand in one task with contradicting targets, or twice with the same.

    A repeated row is a warning: it counts as a case of its own and so weighs its image twice. Several boxes for one
    image are a warning too: the challenge writes one box per row, and an image may show two lesions, but the one box
    a model predicts cannot match both.
    """
    seen: dict[tuple[str, str], dict[object, Case]] = defaultdict(dict)
    for case in cases:
        others = seen[case.task, case.image]
        target = _target(case, masks)
        if not others:
            others[target] = case
            continue
        same = others.get(target)
        other = same or next(iter(others.values()))
        others.setdefault(target, case)
        where = f"{other.row.file} line {other.row.line}"
        place = (case.row.file, case.row.line)
        if same:
            message = f"{case.image} has the same target in {where} of task {case.task} and counts as two cases"
            findings.warning(*place, "image_path", f"{message}; keep one row")
        elif case.box:
            message = f"{case.image} has another box in {where}; one predicted box cannot match both"
            findings.warning(*place, "x_min..y_max", message)
        else:
            field = "mask" if case.label >= 0 else "mask_path" if case.mask else "point_1_xy"
            message = f"{case.image} has another target in {where} of task {case.task}; keep the right row"
            findings.error(*place, field, message)


def _target(case: Case, masks: Mapping[str, Scan]) -> object:
    mask = masks[case.mask].content or case.mask if case.mask else ""
    return mask, case.label, case.box, case.points


def check_enough(
    cases: Iterable[Case],
    shapes: Mapping[str, Shape],
    masks: Mapping[str, Scan],
    subjects: Mapping[str, str],
    findings: Findings,
) -> None:
    """Report tasks with too few subjects to split or one overwhelming subject, and classes without a case."""
    members: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        members[case.task].append(case)
    for task, shape in sorted(shapes.items()):
        found = members[task]
        sizes = Counter(subjects[image] for image in {case.image for case in found})
        count = len(sizes)
        if count < SPLIT_PARTS:
            message = f"has {len(found)} usable case(s) of {count} subject(s); a split needs {SPLIT_PARTS} subjects"
            findings.error("task", None, task, f"{message}: add cases or leave the task out")
        largest, size = max(sizes.items(), key=lambda item: (item[1], item[0]), default=("", 0))
        if size > max(3, LARGEST_SUBJECT * sum(sizes.values())):
            message = f"has {size} of {sum(sizes.values())} images in subject {largest}; if that is not one patient"
            findings.warning("task", None, task, f"{message}, give a rule in `subjects`")
        if found and shape.type in (TaskType.CLASSIFICATION, TaskType.SEGMENTATION):
            _check_classes(task, shape, found, masks, findings)


def _check_classes(
    task: str, shape: Shape, cases: Iterable[Case], masks: Mapping[str, Scan], findings: Findings
) -> None:
    """Report classes that no case has; every segmentation mask has background."""
    if shape.type is TaskType.CLASSIFICATION:
        present = {str(case.label) for case in cases}
    else:
        present = {"0"}.union(*(masks[case.mask].values.split(",") for case in cases))
    absent = ", ".join(str(number) for number in range(shape.classes) if str(number) not in present)
    if shape.type is TaskType.CLASSIFICATION and len(present) == 1:
        findings.error("task", None, task, f"has only class {present.pop()}; add cases of another class")
    elif absent:
        findings.warning("task", None, task, f"has no case of class {absent}, of {shape.classes} classes")


def check_copies(cases: Sequence[Case], images: Mapping[str, Scan], pairs: pd.DataFrame, findings: Findings) -> None:
    """Warn of byte-equal copies and near-duplicates that one classification task labels differently.

    Such pairs are a fact of public sources; a split keeps them together, so they do not make a folder unusable.
    """
    labelled: dict[str, dict[str, list[Case]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        if case.label >= 0:
            labelled[images[case.image].content][case.task].append(case)
    found: list[tuple[str, int, str]] = []
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
                    found.append((right.row.file, right.row.line, f"{right.image} has label {right.label} but {other}"))
    for file, line, message in sorted(found):
        findings.warning(file, line, "mask", message)
