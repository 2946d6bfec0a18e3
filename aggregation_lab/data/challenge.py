"""From a folder in the challenge's layout to one validated case table."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pandas as pd

from aggregation_lab.config import TargetRules
from aggregation_lab.data.images.deep_levels import Levels
from aggregation_lab.data.images.file_scan import Progress, Scan, scan_files
from aggregation_lab.data.images.near_duplicates import near_duplicates
from aggregation_lab.data.interpretation.case_checks import (
    check_agreement,
    check_copies,
    check_enough,
    check_files,
    check_mask_sizes,
    check_shared_masks,
    without_images_as_masks,
)
from aggregation_lab.data.interpretation.contrast import check_contrast
from aggregation_lab.data.interpretation.coordinates import check_bounds, pixel_cases
from aggregation_lab.data.interpretation.grey_levels import find_levels
from aggregation_lab.data.interpretation.mask_classes import TaskMasks, class_masks
from aggregation_lab.data.rows.cases import Case, Shape, parse_rows, task_name
from aggregation_lab.data.rows.csv_rows import CSV_FOLDER, read_rows
from aggregation_lab.data.rows.file_paths import find_files
from aggregation_lab.data.rows.layout import advise, find_train_folder, tell_other_parts
from aggregation_lab.data.rows.problems import Findings, Problem
from aggregation_lab.data.rows.repeated_rows import without_repeats
from aggregation_lab.data.rows.table_text import UNKNOWN
from aggregation_lab.data.subjects.subject_rules import assign_subjects, user_rules
from aggregation_lab.errors import DataError
from aggregation_lab.naming import alike, name_fault, printable
from aggregation_lab.tasks import CHALLENGE_TASKS, Task, TaskType

__all__ = ["Dataset", "Problem", "read_dataset"]


@dataclass(frozen=True)
class Dataset:
    """A data folder, read and checked.

    `root` is the train folder; `tasks` are the tasks by name. The tables are sorted and do not depend on the order
    of the CSV rows. A `content` is the SHA-256 of a file; where pixels depend on more, "@" and that follow: the levels
    of a deep image ("0..4095") or the class of each value of a mask ("0=0;255=1"):

    - `cases`, one row per CSV row: case, task, image, mask, label, box, points, height, width, subject, content,
      mask_content. `box` is (x_min, y_min, x_max, y_max) and `points` ((x, y), ...) in original pixels.
    - `images`, one row per distinct image content: content, image (its first path), height, width, grey, thumbnail.
    - `masks`, one row per distinct mask content: mask_content, mask (its first path), values (classes found, "0,2").
    - `near_duplicates`, one row per pair: first, second (contents), mirrored, correlation.
    """

    root: Path
    tasks: dict[str, Task]
    cases: pd.DataFrame
    images: pd.DataFrame
    masks: pd.DataFrame
    near_duplicates: pd.DataFrame
    warnings: tuple[Problem, ...]
    notes: tuple[Problem, ...] = ()


def read_dataset(
    root: Path,
    *,
    tasks: Sequence[str] | None = None,
    groups: Mapping[str, str] | None = None,
    subjects: Mapping[str, str] | None = None,
    laterality: Sequence[str] = (),
    rules: TargetRules | None = None,
    scan_file: Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read and check a data folder: the train folder itself, or a folder that holds train or train/train.

    `tasks` keeps only these tasks; `groups` gives clinical groups by task, before those of the challenge (a task
    that neither knows is its own group); `subjects` gives subject rules, see `subject_rules`;
    `laterality` names tasks, besides the challenge's own, whose target tells left from right: they are never mirrored.
    `rules` say how masks, labels, boxes and points are written where they differ from the challenge's.
    `scan_file` (Parquet) remembers what the image files hold, so that a second reading is quick.

    Raises `DataError` whose `problems` are ALL faults found, warnings included.
    """
    root = Path(root)
    _check_root(root)
    train = find_train_folder(root)
    if train is None:
        problem = Problem(CSV_FOLDER, None, None, advise(root))
        raise DataError(f"{printable(root)}: {problem}", (problem,))
    findings = Findings()
    tell_other_parts(root, train, findings)
    all_rows = find_files(train, read_rows(train, findings), findings)
    present = {task_name(row) for row in all_rows}
    _check_names("tasks", tasks or (), present, findings)
    _check_names("groups", groups or (), present, findings)
    _check_names("laterality", laterality, present, findings)
    rules = rules or TargetRules()
    for setting in _ruled_types():
        _check_names(setting, getattr(rules, setting), present, findings)
    _check_group_names(groups or {}, findings)
    _tell_alike("task", present, findings)
    for name in sorted(name for name in present if name and name.casefold() in UNKNOWN):
        findings.note("task", None, name, "is taken as a name like any other; fill in the cells if it stands for none")
    _tell_alike("groups", (groups or {}).values(), findings)
    rows = [row for row in all_rows if not tasks or task_name(row) in tasks]
    cases, shapes = parse_rows(rows, findings, rules)
    _check_types(rules, shapes, findings)
    cases = without_repeats(cases, findings)
    subject_rules = user_rules(subjects or {}, findings)
    subject_of = assign_subjects(cases, all_rows, subject_rules, findings)
    images, masks = scan_files(
        train,
        (case.image for case in cases),
        (case.mask for case in cases if case.mask),
        memory=scan_file,
        progress=progress,
    )
    masks = without_images_as_masks(cases, images, masks)
    check_files(cases, images, masks, findings)
    check_shared_masks(cases, images, findings)
    levels, ranges = find_levels(cases, images)
    check_contrast(cases, images, levels, ranges, findings)
    images = {path: _with_levels(scan, levels.get(path)) for path, scan in images.items()}
    cases = pixel_cases(cases, images, rules, findings)
    check_bounds(cases, images, findings)
    check_mask_sizes(cases, images, masks, findings)
    task_masks = class_masks(cases, shapes, masks, rules, findings)
    check_agreement(cases, task_masks, findings)
    check_enough(cases, shapes, task_masks, subject_of, findings)
    readable = {path: scan for path, scan in images.items() if not scan.fault}
    image_table = _image_table(readable)
    pairs_file = scan_file.with_name(f"{scan_file.stem}-pairs.parquet") if scan_file else None
    pairs = near_duplicates(image_table, memory=pairs_file, progress=progress)
    check_copies([case for case in cases if case.image in readable], readable, pairs, findings)
    findings.raise_errors(root)
    return Dataset(
        root=train,
        tasks={name: _task(name, shape, groups or {}, laterality) for name, shape in sorted(shapes.items())},
        cases=_case_table(cases, images, task_masks, subject_of),
        images=image_table,
        masks=_mask_table(task_masks),
        near_duplicates=pairs,
        warnings=findings.warnings,
        notes=findings.notes,
    )


def _check_root(root: Path) -> None:
    """Raise `DataError` where the folder's path is no Unicode text: no table could hold the paths of its files."""
    try:
        str(root.absolute()).encode()
    except UnicodeEncodeError as error:
        problem = Problem("data", None, None, "the folder's path holds a byte that is no UTF-8; rename the folder")
        raise DataError(f"{printable(root)}: {problem}", (problem,)) from error


def _check_names(setting: str, names: Sequence[str] | Mapping[str, str], present: set[str], findings: Findings) -> None:
    for name in names:
        if name not in present:
            close = difflib.get_close_matches(name, present, n=1, cutoff=0.7)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(sorted(present))}"
            findings.error(setting, None, name, f"is no task of the data; {hint}")


def _check_group_names(groups: Mapping[str, str], findings: Findings) -> None:
    for task, group in groups.items():
        fault = name_fault(group)
        if fault:
            findings.error("groups", None, task, f"is {group[:80]!r}; {fault}")


def _tell_alike(what: str, names: Iterable[str], findings: Findings) -> None:
    """Say which names are different ones although a slip of the pen may be all that parts them."""
    for same in alike(names):
        shown = " and ".join(map(repr, same))
        message = f"{shown} differ only in capitals, blanks or dashes and stay apart; write one name if they are one"
        findings.warning(what, None, None, message)


def _ruled_types() -> dict[str, list[str]]:
    """The rules of `TargetRules` by task, and the types of task that each is for."""
    rules = dict.fromkeys(rule for task_type in TaskType for rule in task_type.rules)
    return {rule: [task_type.name for task_type in TaskType if rule in task_type.rules] for rule in rules}


def _check_types(rules: TargetRules, shapes: Mapping[str, Shape], findings: Findings) -> None:
    """Report rules for tasks of a type that they say nothing of."""
    for setting, types in _ruled_types().items():
        for name in getattr(rules, setting):
            if name in shapes and shapes[name].type not in types:
                message = f"is a {shapes[name].type} task; {setting} is for {' and '.join(types)} tasks"
                findings.error(setting, None, name, message)


def _task(name: str, shape: Shape, groups: Mapping[str, str], laterality: Sequence[str]) -> Task:
    known = name in CHALLENGE_TASKS
    default = CHALLENGE_TASKS[name].task if known else Task(name, shape.type, shape.classes, group=name)
    return replace(default, group=groups.get(name, default.group), laterality=default.laterality or name in laterality)


def _with_levels(scan: Scan, levels: Levels | None) -> Scan:
    """The scan with its levels in its content: whatever is made of an image's pixels is known by them, too."""
    return scan if levels is None else replace(scan, content=f"{scan.content}@{levels}")


def _case_table(
    cases: Sequence[Case], images: Mapping[str, Scan], masks: TaskMasks, subject_of: Mapping[str, str]
) -> pd.DataFrame:
    ordered = sorted(cases, key=_order)
    plain = {f"{case.task}/{case.image}" for case in ordered}
    used: set[str] = set()
    records = []
    for case in ordered:
        name = _free_name(f"{case.task}/{case.image}", plain, used)
        used.add(name)
        image = images[case.image]
        records.append(
            {
                "case": name,
                "task": case.task,
                "image": case.image,
                "mask": case.mask,
                "label": case.label,
                "box": case.box,
                "points": case.points,
                "height": image.height,
                "width": image.width,
                "subject": subject_of[case.image],
                "content": image.content,
                "mask_content": masks[case.task][case.mask].content if case.mask else "",
            }
        )
    return pd.DataFrame(records).astype({"box": object, "points": object})


def _free_name(name: str, plain: set[str], used: set[str]) -> str:
    """`name`, or `name`#2, #3 ... where it is used already; never the name of another image's case."""
    numbered = (f"{name}#{number}" for number in count(2))
    return name if name not in used else next(other for other in numbered if other not in plain and other not in used)


def _order(case: Case) -> tuple:
    return case.task, case.image, case.mask, case.label, case.box or (), case.points or ()


def _image_table(images: Mapping[str, Scan]) -> pd.DataFrame:
    fields = ("height", "width", "grey", "thumbnail")
    rows = [(scan.content, path, *(getattr(scan, name) for name in fields)) for path, scan in sorted(images.items())]
    table = pd.DataFrame(rows, columns=["content", "image", *fields])
    return table.drop_duplicates("content").sort_values("content", ignore_index=True)


def _mask_table(masks: TaskMasks) -> pd.DataFrame:
    paths = sorted((path, scan.content, scan.values) for scans in masks.values() for path, scan in scans.items())
    rows = [(content, path, values) for path, content, values in paths]
    table = pd.DataFrame(rows, columns=["mask_content", "mask", "values"])
    return table.drop_duplicates("mask_content").sort_values("mask_content", ignore_index=True)
