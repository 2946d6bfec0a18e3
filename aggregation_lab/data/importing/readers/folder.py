"""A folder per class, as ImageFolder of torchvision has it: SOURCE/CLASS/any/image.png."""

from pathlib import Path

from aggregation_lab.data.importing.files import PLAIN, Opener
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import ReadTask, Record, Report
from aggregation_lab.data.importing.source_files import (
    Classes,
    is_hidden,
    need_folder,
    need_regular,
    need_some,
    relative,
    source_name,
    walk,
)
from aggregation_lab.data.importing.targets import Label
from aggregation_lab.errors import DataError
from aggregation_lab.naming import clean_name
from aggregation_lab.tasks import TaskType

_PARTS = frozenset({"train", "training", "val", "valid", "validation", "test"})


def read(source: Path, options: ImportOptions, report: Report, progress: object) -> list[ReadTask]:
    """One classification task; classes are the folders, in the order of their names."""
    return [read_folders(source, options, report, PLAIN)]


def read_folders(source: Path, options: ImportOptions, report: Report, opener: Opener) -> ReadTask:
    """The task of a folder per class, its files opened by `opener`.

    Folders train, val and test at the top, each with the same classes, are taken together: agglab draws one split.
    """
    need_folder(source, "that holds a folder per class")
    tops = [folder for folder in sorted(source.iterdir()) if folder.is_dir() and not is_hidden(folder.name)]
    parts = [folder for folder in tops if folder.name.lower() in _PARTS]
    if parts and len(parts) == len(tops):
        report.remark(
            ", ".join(folder.name for folder in parts), "the parts are taken together; one split is drawn anew"
        )
        tops = [folder for part in parts for folder in sorted(part.iterdir()) if folder.is_dir()]
    files: dict[Path, list[Path]] = {}
    for folder in tops:
        there = list(walk(folder))
        files[folder] = [file for file in there if opener.takes(file)]
        if not files[folder]:
            report.skip(relative(folder, source), f"is a folder without {opener.what}")
            continue
        for file in sorted(set(there) - set(files[folder])):
            report.skip(relative(file, source), f"is no file of the format, which takes {opener.what}")
    for file in sorted(source.iterdir()):
        if file.is_file() and opener.takes(file):
            report.skip(file.name, "lies in no folder of a class")
    found = sorted({clean_name(folder.name) for folder in tops if files[folder]})
    need_some(found, source, f"folder with {opener.what}", f"give a folder with one folder per class{opener.or_labels}")
    classes = Classes(found, options.classes, source)
    if len(classes.names) < 2:
        raise DataError(f"{source}: has one class ({classes.names[0]}), a classification task takes two or more")
    records = []
    for folder in tops:
        name = clean_name(folder.name)
        index = classes.index(name)
        for file in files[folder]:
            where = relative(file, source)
            if index is None:
                classes.leave_out(where, name, report)
                continue
            try:
                need_regular(file)
                opened = opener.open(file, where, None)
            except ValueError as error:
                report.skip(where, str(error))
                continue
            records += [Record(each.picture, Label(index), each.subject) for each in opened]
    task = source_name(source)
    return ReadTask(task, TaskType.CLASSIFICATION, records, len(classes.names), classes.names, opener.subjects)
