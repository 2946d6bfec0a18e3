"""From a folder in the challenge's layout to one validated case table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from aggregation_lab.config import TargetRules
from aggregation_lab.data.dataset_tables import case_table, image_table, mask_table
from aggregation_lab.data.images.file_scan import scan_files
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
from aggregation_lab.data.interpretation.mask_classes import class_masks
from aggregation_lab.data.interpretation.setting_checks import check_ruled_types, check_settings
from aggregation_lab.data.progress import Progress
from aggregation_lab.data.rows.cases import Shape, parse_rows, task_name
from aggregation_lab.data.rows.chosen_tasks import former_name, renamed
from aggregation_lab.data.rows.csv_rows import CSV_FOLDER, read_rows
from aggregation_lab.data.rows.file_paths import find_files
from aggregation_lab.data.rows.group_column import groups_in
from aggregation_lab.data.rows.layout import advise, find_train_folder, report_other_parts
from aggregation_lab.data.rows.problems import Problem, Problems
from aggregation_lab.data.rows.repeated_rows import without_repeats
from aggregation_lab.data.subjects.subject_rules import assign_subjects, user_rules
from aggregation_lab.data.subset import subset_of
from aggregation_lab.errors import DataError
from aggregation_lab.tasks import CHALLENGE_TASKS, Task
from aggregation_lab.text import escaped

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
    - `masks`, one row per distinct mask content: mask_content, mask (its first path), values (classes in use, "0,2").
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
    tasks: Sequence[str] | Mapping[str, str] | None = None,
    subset: int | None = None,
    groups: Mapping[str, str] | None = None,
    subjects: Mapping[str, str] | None = None,
    laterality: Sequence[str] = (),
    rules: TargetRules | None = None,
    scan_file: Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read and check a data folder: the train folder itself, or a folder that holds train or train/train.

    `tasks` keeps only these tasks, a mapping also renames them: all other settings then take the new names. `subset`
    keeps so many cases of each, see `subset_of`. `groups` gives clinical groups by task, before those of the column
    clinical_group and of the challenge (a task that none of them knows is a group by itself); `subjects` gives
    subject rules, see `subject_rules`; `laterality` names tasks, besides the challenge's own,
    whose target tells left from right: they are never mirrored.
    `rules` say how masks, labels, boxes and points are written where they differ from the challenge's.
    `scan_file` (Parquet) remembers what the image files hold, so that a second reading is quick.

    Raises `DataError` whose `problems` are ALL faults, warnings included.
    """
    root = Path(root)
    _check_root(root)
    train = find_train_folder(root)
    if train is None:
        problem = Problem(CSV_FOLDER, None, None, advise(root))
        raise DataError(f"{escaped(root)}: {problem}", (problem,))
    problems = Problems()
    report_other_parts(root, train, problems)
    names = dict(tasks) if isinstance(tasks, Mapping) else {name: name for name in tasks or ()}
    all_rows = renamed(find_files(train, read_rows(train, problems), problems), names, problems)
    rows = [row for row in all_rows if not names or former_name(row) in names]
    former = {task_name(row): former_name(row) for row in rows}
    present = {task_name(row) for row in all_rows}
    rules = rules or TargetRules()
    groups = groups_in(rows, problems) | dict(groups or {})
    check_settings(present, groups, laterality, rules, problems)
    cases, shapes = parse_rows(rows, problems, rules)
    check_ruled_types(rules, shapes, problems)
    cases = without_repeats(cases, problems)
    subject_rules = user_rules(subjects or {}, problems)
    subject_of = assign_subjects(cases, all_rows, subject_rules, problems)
    if subset is not None:
        cases = subset_of(cases, subject_of, subset, problems)
    images, masks = scan_files(
        train,
        (case.image for case in cases),
        (case.mask for case in cases if case.mask),
        memory=scan_file,
        progress=progress,
    )
    masks = without_images_as_masks(cases, images, masks)
    check_files(cases, images, masks, problems)
    check_shared_masks(cases, images, problems)
    levels, ranges = find_levels(cases, images)
    check_contrast(cases, images, levels, ranges, problems)
    images |= {path: replace(images[path], content=f"{images[path].content}@{used}") for path, used in levels.items()}
    cases = pixel_cases(cases, images, rules, problems)
    check_bounds(cases, images, problems)
    check_mask_sizes(cases, images, masks, problems)
    task_masks = class_masks(cases, shapes, masks, rules, problems)
    check_agreement(cases, task_masks, problems)
    check_enough(cases, shapes, task_masks, subject_of, problems)
    readable = {path: scan for path, scan in images.items() if not scan.fault}
    image_rows = image_table(readable)
    pairs_file = scan_file.with_name(f"{scan_file.stem}-pairs.parquet") if scan_file else None
    pairs = near_duplicates(image_rows, memory=pairs_file, progress=progress)
    check_copies([case for case in cases if case.image in readable], readable, pairs, problems)
    problems.raise_errors(root)
    return Dataset(
        root=train,
        tasks={name: _task(name, former[name], shape, groups, laterality) for name, shape in sorted(shapes.items())},
        cases=case_table(cases, images, task_masks, subject_of),
        images=image_rows,
        masks=mask_table(task_masks),
        near_duplicates=pairs,
        warnings=problems.warnings,
        notes=problems.notes,
    )


def _check_root(root: Path) -> None:
    """Raise `DataError` where the folder's path is no Unicode text: no table could hold the paths of its files."""
    try:
        str(root.absolute()).encode()
    except UnicodeEncodeError as error:
        problem = Problem("data", None, None, "the folder's path holds a byte that is no UTF-8; rename the folder")
        raise DataError(f"{escaped(root)}: {problem}", (problem,)) from error


def _task(name: str, former: str, shape: Shape, groups: Mapping[str, str], laterality: Sequence[str]) -> Task:
    """The task, with what the challenge knows of it, by this name or its former one."""
    known = CHALLENGE_TASKS.get(name) or CHALLENGE_TASKS.get(former)
    fits = known is not None and (known.task.type, known.task.classes) == (shape.type, shape.classes)
    default = known.task if known and fits else Task(name, shape.type, shape.classes, group=name)
    return replace(
        default, name=name, group=groups.get(name, default.group), laterality=default.laterality or name in laterality
    )
