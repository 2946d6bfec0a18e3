"""`agglab validate`: all problems of a data folder, and what a split must keep together."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from aggregation_lab.errors import DataError
from runners.execution.progress import preparation, say
from runners.planning.fold_words import fold_lines
from runners.planning.setting_notes import compares_groups, unknown_group_lines
from runners.planning.study_file import faults_in, find_study, read_study_file
from runners.planning.study_schema import DataConfig
from runners.store.prepare import find_folds, read_folder

if TYPE_CHECKING:
    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.splits.folds import Folds


def validate_data(root: Path, study: str | None, console: Console) -> int:
    """Read the folder as a study would and report. Returns 0 where it is usable, 1 where it is not.

    Raises `StudyError` where the study file cannot be used, or its aggregations do not fit the tasks of the folder.
    """
    file = find_study(study) if study else None
    loaded = read_study_file(file, data=root) if file else None
    settings = loaded.data if loaded else DataConfig()
    try:
        dataset = read_folder(root.expanduser(), settings, preparation(console))
    except DataError as error:
        return _refuse(root, error, console)
    try:
        folds = find_folds(settings, dataset)
    except DataError as error:  # the warnings may give the reason
        return _refuse(root, DataError(str(error), error.problems + dataset.warnings), console)
    if loaded and file:
        with faults_in(file):
            loaded.partitions(dataset.tasks)
    console.print(_task_table(dataset, folds) if settings.folds == 1 else _fold_table(dataset, folds))
    _say_sharing(dataset, settings.assumed_shares, console)
    if loaded:
        for line in fold_lines(loaded, folds, dataset):
            say(console, line)
    if loaded is None or compares_groups(loaded):
        for line in unknown_group_lines(settings.groups, dataset):
            say(console, line)
    for note in dataset.notes:
        say(console, f"note     {note}")
    warnings = (*dataset.warnings, *folds.warnings)
    for warning in warnings:
        say(console, f"warning  {warning}")
    say(console, f"{root}: usable, {len(dataset.tasks)} tasks, {len(dataset.cases)} cases, {len(warnings)} warnings")
    return 0


def _refuse(root: Path, error: DataError, console: Console) -> int:
    for problem in error.problems:
        say(console, f"{problem.level:7}  {problem}")
    if not error.problems:
        say(console, f"error    {error}")
    count = sum(problem.level == "error" for problem in error.problems) or 1
    say(console, f"{root}: not usable, {count} error{'s' if count > 1 else ''}")
    return 1


def _fold_table(dataset: "Dataset", folds: "Folds") -> Table:
    """Per task the test images and subjects of every fold."""
    from aggregation_lab.data.splits.folds import fold_sizes

    title = "Tasks: test images (subjects) of each fold"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("task", no_wrap=True)
    table.add_column("type")
    table.add_column("group")
    count = len(folds.splits)
    for name in ("classes", "cases", "subjects", "smallest", *map(str, range(count))):
        table.add_column(name, justify="right", no_wrap=True)
    sizes = fold_sizes(folds, dataset.cases)
    for name, task in dataset.tasks.items():
        rows, own = (frame[frame["task"] == name] for frame in (dataset.cases, sizes))
        table.add_row(
            name,
            str(task.type),
            task.group,
            task.type.size(task.classes),
            str(len(rows)),
            str(rows["subject"].nunique()),
            str(own["images"].min()),
            *(f"{images} ({subjects})" for images, subjects in zip(own["images"], own["subjects"], strict=True)),
        )
    return table


def _task_table(dataset: "Dataset", folds: "Folds") -> Table:
    table = Table(title="Tasks", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("task", no_wrap=True)
    table.add_column("type")
    table.add_column("group")
    for name in ("classes", "cases", "train", "val", "test", "subjects"):
        table.add_column(name, justify="right", no_wrap=True)
    split = folds.parts
    part_of = dict(zip(split["case"], split["split"], strict=True))
    parts = dataset.cases["case"].map(part_of)
    for name, task in dataset.tasks.items():
        rows = dataset.cases["task"] == name
        counts = parts[rows].value_counts()
        table.add_row(
            name,
            str(task.type),
            task.group,
            task.type.size(task.classes),
            str(int(rows.sum())),
            *(str(int(counts.get(part, 0))) for part in ("train", "val", "test")),
            str(dataset.cases.loc[rows, "subject"].nunique()),
        )
    return table


def _known_patients(dataset: "Dataset", of_units: Collection[str]) -> str:
    """Of which images the patient is known: only those are kept together by patient.

    `of_units` are images of which an import knew the volume, video or the like, and no patient.
    """
    cases = dataset.cases.drop_duplicates(["task", "image"])
    unknown = (cases["subject"] == cases["image"]) | cases["image"].isin(of_units)
    counts = unknown.groupby(cases["task"]).sum()
    if not unknown.any():
        return "the patient (subject) of every image is known"
    if unknown.all():
        whose = "any image"
    else:
        whose = "images of " + ", ".join(f"{task} ({count})" for task, count in counts.items() if count)
    remedy = "give a subject_id column, or data.subjects in a study"
    return f"no patient (subject) is known of {whose}: leakage by patient cannot be excluded there; {remedy}"


def _units(dataset: "Dataset", console: Console) -> dict[str, str]:
    """The images, by path, of which `agglab import` knew no patient but a part of their images, and what that is."""
    from aggregation_lab.data.importing.receipt import read_receipts

    images = set(dataset.cases["image"])
    try:
        receipts = read_receipts(dataset.root.parent).values()
    except DataError as error:  # a study needs no receipt
        say(console, f"note     {error}")
        return {}
    entries = (entry for each in receipts for entry in each.images.items())
    return {path: entry.unit for path, entry in entries if entry.unit and path in images}


def _say_sharing(dataset: "Dataset", shares: tuple[float, float, float], console: Console) -> None:
    """Shared images, near-duplicates, components, and the leaks of independent splits."""
    from aggregation_lab.data.splits.leakage import leakage

    counts = leakage(dataset, shares=shares)
    say(console, f"{counts.images} different images, {counts.shared_images} of them shared by two or more tasks")
    say(console, f"{counts.near_duplicates} pairs of near-duplicates, {counts.mirrored} of them mirrored")
    say(console, f"{counts.components} components, the largest of {counts.largest_component} images")
    units = _units(dataset, console)
    say(console, _known_patients(dataset, units))
    if units:
        kinds = " or ".join(sorted(set(units.values())))
        advice = "import them again, into a new folder, with --subject where a patient has several"
        say(console, f"the {kinds} stands for the patient of {len(units)} images, as their import says; {advice}")
    leaking = counts.table[(counts.table["copies"] > 0) | (counts.table["related"] > 0)]
    if leaking.empty:
        say(console, "independent splits per task would leak none of what is known to belong together")
        return
    title = "Test images that a split per task would leak: trained on by another task; related to a training image"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("task", no_wrap=True)
    for name in ("shared", "test", "other task", "related"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in leaking.to_dict("records"):
        copies = f"{row['copies']:.1f} ({row['copies_share']:.0%})"
        related = f"{row['related']:.1f} ({row['related_share']:.0%})"
        table.add_row(row["task"], str(row["shared"]), f"{row['test']:.1f}", copies, related)
    console.print(table)
