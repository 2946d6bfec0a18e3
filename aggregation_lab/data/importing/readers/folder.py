"""A folder per class, as ImageFolder of torchvision has it: SOURCE/CLASS/any/image.png."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from aggregation_lab.data.importing.files import PLAIN, Opener
from aggregation_lab.data.importing.image_lookup import MASK_FOLDER, MASK_NAME
from aggregation_lab.data.importing.label_names import in_order
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import ReadTask, Record, Report
from aggregation_lab.data.importing.source_files import (
    Classes,
    need_folder,
    need_regular,
    need_some,
    part_of,
    relative,
    source_name,
    without_ending,
)
from aggregation_lab.data.importing.targets import Label
from aggregation_lab.data.rows.file_paths import fold
from aggregation_lab.errors import DataError
from aggregation_lab.files import folders_in, is_hidden, walk
from aggregation_lab.naming import clean_name
from aggregation_lab.tasks import TaskType


def read(source: Path, options: ImportOptions, report: Report, progress: object) -> list[ReadTask]:
    """One classification task; classes are the folders, in the order of their names."""
    return [read_folders(source, options, report, PLAIN)]


def read_folders(source: Path, options: ImportOptions, report: Report, opener: Opener) -> ReadTask:
    """The task of a folder per class, its files opened by `opener`.

    Folders train, val and test at the top, each with the same classes, are taken together: agglab draws one split.
    Raises `DataError` where other folders with images lie beside them: nobody knows which folders are classes.
    """
    need_folder(source, "that holds a folder per class")
    tops = folders_in(source)
    parts = _parts(tops, source, opener)
    if parts:
        report.note_parts([folder.name for folder in parts])
        for folder in tops:
            if folder not in parts:
                report.skip(relative(folder, source), f"is a folder without {opener.what}")
        tops = [folder for part in parts for folder in folders_in(part)]
    files: dict[Path, list[Path]] = {}
    for folder in tops:
        there = list(walk(folder))
        taken = list(filter(opener.takes, there))
        files[folder] = _without_masks(taken, folder, opener, source, report)
        if not files[folder]:
            report.skip(relative(folder, source), f"is a folder without {opener.what}")
            continue
        for file in sorted(set(there) - set(taken)):
            report.skip(relative(file, source), f"is no file of the format, which takes {opener.what}")
    for file in sorted(file for place in (source, *parts) for file in place.iterdir()):
        if file.is_file() and not is_hidden(file.name) and opener.takes(file):
            report.skip(relative(file, source), "lies in no folder of a class")
    _note_inner_folders([folder for folder in tops if files[folder]], report, options.subject is None)
    found = in_order({clean_name(folder.name) for folder in tops if files[folder]})
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
            records += [Record(each.picture, Label(index), each.subject, each.unit) for each in opened]
    task = source_name(source)
    return ReadTask(task, TaskType.CLASSIFICATION, records, len(classes.names), classes.names, opener.subjects)


def _parts(tops: Sequence[Path], source: Path, opener: Opener) -> list[Path]:
    """The folders at the top that are parts of the data; none where the folders are classes.

    Raises `DataError` where some with images are parts and some are not. One folder called `test` may be a class,
    unless another holds the same folders.
    """
    parts = [folder for folder in tops if part_of(folder.name)]
    if not parts or len(parts) == len(tops):
        return parts
    others = [folder for folder in tops if folder not in parts and any(map(opener.takes, walk(folder)))]
    if not others:
        return parts
    names = [{_name(inner) for inner in folders_in(folder)} for folder in (*parts, *others)]
    if len(parts) == 1 and not any(names[0] & inner for inner in names[1:]):
        return []
    shown = ", ".join(folder.name for folder in parts)
    advice = f"take {others[0].name} out, or give {parts[0].name} alone"
    raise DataError(f"{source}: {shown} are parts of the data, and {others[0].name} is none; {advice}")


def _without_masks(files: Sequence[Path], folder: Path, opener: Opener, source: Path, report: Report) -> list[Path]:
    """The files of a class without the masks beside its images, `a_mask.png` of `a.png` or in a folder `masks`."""
    names = {file: without_ending(relative(file, folder), opener.endings) for file in files}
    stems = {fold(name) for name in names.values()}
    aside = {file for file, name in names.items() if any(map(MASK_FOLDER.fullmatch, name.split("/")[:-1]))}
    kept = []
    for file, name in names.items():
        image = MASK_NAME.sub("", name)
        if (image != name and fold(image) in stems) or (file in aside and len(aside) < len(files)):
            report.skip(relative(file, source), "is a mask by its name, and no image of the class")
        else:
            kept.append(file)
    return kept


def _note_inner_folders(tops: Sequence[Path], report: Report, no_subject: bool) -> None:
    """Say where all folders of classes hold the same folders, as those of hospitals do, or some do, as of patients."""
    inner = [{_name(folder) for folder in folders_in(top)} for top in tops]
    shared = sorted(name for name, count in Counter(name for names in inner for name in names).items() if count > 1)
    shared = [name for name in shared if not part_of(name)]
    patients = "where they are patients, give --subject, or the same patient may leak"
    if len(shared) > 1 and all(names == inner[0] for names in inner):
        advice = f"where these are the classes, put them at the top of SOURCE{f'; {patients}' if no_subject else ''}"
        shown = ", ".join(top.name for top in tops[:4])
        report.remark(shown, f"are the classes, and all hold {', '.join(shared[:4])}; {advice}")
    elif shared and no_subject:
        report.remark(", ".join(shared[:4]), f"are names of folders in several classes; {patients}")


def _name(folder: Path) -> str:
    return clean_name(folder.name).casefold()
