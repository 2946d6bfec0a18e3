"""One import: read the source, write its tasks, keep the receipts. Running it again is safe at any moment."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aggregation_lab.data.importing.formats import FORMATS, Format
from aggregation_lab.data.importing.names_in_out import Places
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.receipt import COMPLETE, FOLDER, HASHING, Receipt, read_receipts, receipt_file
from aggregation_lab.data.importing.records import ReadTask, Report
from aggregation_lab.data.importing.source_files import part_of, source_name
from aggregation_lab.data.importing.subjects import Subjects
from aggregation_lab.data.importing.writer import TaskWriter, csv_name
from aggregation_lab.data.progress import Progress
from aggregation_lab.data.rows.cases import task_name
from aggregation_lab.data.rows.columns import SUBJECT_COLUMN
from aggregation_lab.data.rows.csv_rows import CSV_FOLDER, read_rows
from aggregation_lab.data.rows.layout import find_train_folder
from aggregation_lab.data.rows.problems import Problems
from aggregation_lab.errors import DataError
from aggregation_lab.files import read_bytes, sweep, write_text
from aggregation_lab.naming import clean_name, name_fault
from aggregation_lab.tasks import CHALLENGE_TASKS

KEY = "subject.key"
"""The secret of OUT. Who has it can tell whether a known patient is in OUT; without it none can be added."""


@dataclass(frozen=True)
class Imported:
    """What became of one task: its receipt, and whether it was in OUT already, just so."""

    receipt: Receipt
    was_there: bool = False


def run_import(
    form: Format, source: Path, out: Path, options: ImportOptions, progress: Progress, *, dry: bool = False
) -> list[Imported]:
    """Import a source into the folder `out`, which may hold other tasks. The caller keeps others from importing.

    Raises `DataError` where the source cannot be used or OUT holds the task from elsewhere, and `AgglabError` where
    OUT cannot be written.
    """
    _check_apart(source, out)
    if options.images is not None and not options.images.is_dir():
        raise DataError(f"--images {options.images}: is no folder; give the one that the names of images start from")
    report = Report()
    receipts = read_receipts(out)
    options = replace(options, key=_secret(form, out, receipts, report, dry))
    tasks = form.read(source, options, report, progress)
    _note_parts(tasks, report)
    if options.task is not None and len(tasks) > 1:
        shown = ", ".join(task.name for task in tasks[:8])
        raise DataError(f"{source}: holds {len(tasks)} tasks ({shown}), --task names one; import them one by one")
    names = [task.name for task in tasks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{source}: holds two tasks of the name {twice}; import them one by one, each with its --task")
    if options.task is not None:
        tasks = [replace(tasks[0], name=clean_name(options.task))]
    train = find_train_folder(out) or out / "train"
    for task in tasks:
        _check_name(task, train, receipts)
    rows = read_rows(train, Problems()) if options.key and (train / CSV_FOLDER).is_dir() else ()
    there = frozenset(row.cells.get(SUBJECT_COLUMN, "") for row in rows)
    before = Subjects(options, Report(), there, always=form.hashes)
    for record in (record for task in tasks for record in task.records if there):
        before.of(record)  # refuses before anything is written
    return [_one_task(task, form, source, out, train, options, report, there, progress, dry) for task in tasks]


def _note_parts(tasks: Sequence[ReadTask], report: Report) -> None:
    """Say where images lie in folders of parts, as train and test are: one split is drawn over all tasks."""
    paths = (record.picture.where for task in tasks for record in task.records)
    folders = {folder for path in paths for folder in path.split("/")[:-1] if part_of(folder)}
    if len(set(map(part_of, folders))) > 1:
        report.note_parts(sorted(folders))


def _one_task(
    task: ReadTask,
    form: Format,
    source: Path,
    out: Path,
    train: Path,
    options: ImportOptions,
    common: Report,
    subjects: frozenset[str],
    progress: Progress,
    dry: bool,
) -> Imported:
    receipts = read_receipts(out)
    there = receipts.pop(task.name, None)
    finished = there is not None and there.state == COMPLETE and (train / there.csv).is_file()

    def attempt(dry: bool) -> tuple[Receipt, TaskWriter]:
        report = Report(
            {reason: list(names) for reason, names in common.skipped.items()},
            {message: list(names) for message, names in common.remarks.items()},
        )
        begun = Receipt(task.name, form.name, str(source), options.shown(), group=options.group, hashing=HASHING)
        if not dry:
            begun.write(out)
        writer = TaskWriter(train, Places(train, receipts), begun, report, copy=options.copy, dry=dry)
        folder = source_name(source)
        namer = Subjects(options, report, subjects, always=form.hashes)
        return writer.write(task, folder, namer, progress), writer

    if finished and there is not None:
        receipt, _ = attempt(dry=True)
        if receipt.content == there.content:
            return Imported(there, was_there=True)
        where = receipt_file(out, task.name)
        what = "from another source" if there.source != str(source) else "with other options, or the source has changed"
        advice = "give --task another name, or another OUT"
        raise DataError(f"{out}: holds task {task.name} already, imported {what} ({where}); {advice}")
    receipt, _ = attempt(dry)
    if not dry:
        receipt.write(out)
    return Imported(receipt)


def _secret(form: Format, out: Path, receipts: dict[str, Receipt], report: Report, dry: bool) -> bytes:
    """The secret that identities are hashed with; a new one where OUT has none and the format hashes them, else "".

    Raises `DataError` where the format hashes them and the secret is lost, or OUT holds identities that were hashed in
    another way; other formats say so.
    """
    file = out / FOLDER / KEY
    hashed = [each for each in receipts.values() if each.format in FORMATS and FORMATS[each.format].hashes]
    other = next((each for each in hashed if each.hashing != HASHING), None)
    if other is not None and form.hashes:
        said = f"{receipt_file(out, other.task)}: its patients were hashed in another way, by agglab {other.agglab}"
        raise DataError(f"{said}, so one could become two; import it, and this, into a new OUT")
    if not form.hashes and (other is not None or (hashed and not file.exists())):
        task = (other or hashed[0]).task
        said = "its patients were hashed in a way that is lost, so they cannot meet those of other tasks"
        report.remark(f"task {task}", f"{said}; import all into a new OUT where they may be the same")
        return b""
    if not form.hashes and not file.exists():
        return b""
    try:
        return bytes.fromhex(read_bytes(file).decode().strip())
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read, or is damaged; restore it, or import into another folder") from error
    if hashed:
        raise DataError(
            f"{file}: is gone, so patients would get other names than before; restore it, or take another OUT"
        )
    key = secrets.token_bytes(32)
    if not dry:
        write_text(file, f"{key.hex()}\n")
    return key


def _check_apart(source: Path, out: Path) -> None:
    one, other = source.resolve(), out.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise DataError(f"{out}: lies in the source, or the source in it; choose a folder apart from {source}")


def _check_name(task: ReadTask, train: Path, receipts: dict[str, Receipt]) -> None:
    """Raise `DataError` where the task cannot have its name, or has it from elsewhere in OUT."""
    fault = name_fault(task.name) or ("take out the '/'" if "/" in task.name else "")
    if fault:
        raise DataError(f"--task {task.name[:80]!r}: is no name; {fault}")
    known = CHALLENGE_TASKS.get(task.name)
    if known and (known.task.type != task.type or (task.classes or known.task.classes) != known.task.classes):
        kind = f"{known.task.type} with {known.task.classes} classes or points"
        raise DataError(f"task {task.name}: is a name of the challenge ({kind}); give --task another name")
    if not (train / CSV_FOLDER).is_dir():
        return
    there = receipts.get(task.name)
    ours = {there.csv, f"{CSV_FOLDER}/{csv_name(task.name, task.type)}"} if there else set()
    for row in read_rows(train, Problems()):
        if task_name(row) == task.name and row.file not in ours:
            raise DataError(f"{train / row.file}: holds task {task.name} already; give --task another name")


def sweep_out(out: Path) -> None:
    """Remove half-written files that a killed import left in OUT."""
    for top in (out / FOLDER, out / "train"):
        for folder in (top, *(place for place in top.rglob("*") if place.is_dir())):
            sweep(folder, ["*"])
