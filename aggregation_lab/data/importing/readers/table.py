"""A plain table: one row per image with a label, a mask, a box or points, and the subject where it is known."""

import shlex
from collections import defaultdict
from pathlib import Path, PurePosixPath

from aggregation_lab.data.importing.documents.table import Line, frame_number, read_lines, subject_of
from aggregation_lab.data.importing.files import PLAIN, Opener
from aggregation_lab.data.importing.image_lookup import IMAGES_TOO, ImageLookup, NoSuchImage
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import ReadTask, Record, Report
from aggregation_lab.data.importing.source_files import (
    existing,
    need_file,
    need_some,
    relative,
    source_name,
)
from aggregation_lab.data.importing.subjects import with_files
from aggregation_lab.data.importing.table_targets import TARGETS
from aggregation_lab.data.progress import Progress
from aggregation_lab.errors import DataError
from aggregation_lab.tasks import TaskType


def read(source: Path, options: ImportOptions, report: Report, progress: Progress) -> list[ReadTask]:
    """One task from a CSV file; paths of images start at its folder, or at --images, and other names are looked for."""
    need_file(source, "a CSV file with the columns image and label, mask, box or points")
    return [read_table(source, options.images or source.parent, options, report, progress, PLAIN)]


def read_table(
    table: Path, folder: Path, options: ImportOptions, report: Report, progress: Progress, opener: Opener
) -> ReadTask:
    """The task of a table whose images lie in `folder` and are opened by `opener`.

    Rows of one image are one case: several boxes are the boxes of one image, other targets are taken once. The
    column `frame` counts the pictures of a file from 0.
    """
    columns, lines = read_lines(table, options, report)
    need_some(lines, table, "row below its header", "fill it")
    if options.classes and "label" not in columns.name:
        raise DataError(
            f"{table}: has no column of labels, so --classes names nothing; name it with --columns label=NAME"
        )
    if options.classes and columns.type in (TaskType.SEGMENTATION, TaskType.REGRESSION):
        advice = "leave it out, or choose another --type"
        raise DataError(f"{table}: --classes names nothing where the target is of {columns.type}; {advice}")
    if columns.maybe_subject and options.subject is None and not opener.subjects:
        advice = (
            f"give --columns subject={shlex.quote(columns.maybe_subject[0])} if it does, or the same patient may leak"
        )
        report.remark("columns", f"{', '.join(columns.maybe_subject)} may tell the patient, and is not used; {advice}")
    by_image: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        name = line.cells.get("image", "").strip()
        if name:
            by_image[PurePosixPath(name.replace("\\", "/")).as_posix(), line.cell("frame")].append(line)
        else:
            report.skip(f"line {line.number}", "names no image")
    # one patient in all frames of a file, also where the table names the patient beside some of them
    named: dict[str, set[str]] = defaultdict(set)
    for (name, _), members in by_image.items():
        named[name] |= {line.cell("subject") for line in members} - {""}
    target = TARGETS[columns.type](columns, table, folder, options, report, progress, opener, lines)
    lookup = ImageLookup(options.images, folder, IMAGES_TOO) if opener is PLAIN else None
    records: list[Record] = []
    of_file: list[str] = []
    for (name, frame), members in by_image.items():
        where = name + (f" frame {frame}" if frame else "")
        try:
            file, shown = _image(folder, name, lookup, table, report)
            number = frame_number(frame)
            subject = subject_of(members) or (min(named[name]) if len(named[name]) == 1 else "")
            for each, one in target.of(file, shown, number, members):
                records.append(Record(each.picture, one, subject, "" if subject else each.unit))
                of_file.append(each.subject)
        except ValueError as error:
            report.skip(where, str(error))
    told = f"the column {columns.name['subject']}" if "subject" in columns.name else opener.subjects
    records = with_files(records, of_file)
    return ReadTask(source_name(table), columns.type, records, target.classes, target.names, told)


def _image(folder: Path, name: str, lookup: ImageLookup | None, table: Path, report: Report) -> tuple[Path, str]:
    """The file that a cell names, and its path for people. Raises `ValueError` where it is not there, or not one."""
    file = existing(folder, name)
    if file is not None:
        return file, _shown(file, folder, name)
    start = f"paths of the table start at {folder}"
    if lookup is None:
        raise ValueError(f"the file does not exist; {start}")
    try:
        picture = lookup.find(name, folder, table.name)
    except NoSuchImage:
        raise ValueError(f"the file does not exist, nor another of its name; {start}, or at --images FOLDER") from None
    assert picture.file is not None  # a lookup finds files
    report.remark(name, f"is not so written in {folder}, and is read from the one file that has its name")
    return picture.file, picture.where


def _shown(file: Path, folder: Path, name: str) -> str:
    """The path of an image, in which --subject searches: from `folder` on, or whole, without its root or drive."""
    if not Path(name).is_absolute():
        return name
    home = folder.absolute()
    return relative(file, home) if file.is_relative_to(home) else "/".join(file.parts[1:])
