"""`agglab import`: options as they were written -> one import, and what is shown of it."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from aggregation_lab.text import printable
from runners.execution.progress import preparation, say
from runners.planning.user_paths import absolute_path, output_path

if TYPE_CHECKING:
    from aggregation_lab.data.importing.formats import Format
    from aggregation_lab.data.importing.options import ImportOptions
    from aggregation_lab.data.importing.run_import import Imported

_SHOWN = 8
"""Reasons that are shown; the receipt has all of them."""


@dataclass(frozen=True)
class Written:
    """The options of `agglab import` as they were written; None where one was not given."""

    task: str | None = None
    group: str | None = None
    subject: str | None = None
    subject_prefix: str | None = None
    type: str | None = None
    classes: str | None = None
    columns: str | None = None
    labels: Path | None = None
    images: Path | None = None
    mask_values: str | None = None
    boxes: str | None = None
    step: int | None = None
    slices: str | None = None
    channel: int | None = None
    no_crop: bool = False
    copy: bool = False


_OPTION_OF = {"each_box": "boxes", "crop": "no_crop"}
"""How `ImportOptions` calls what an option is named otherwise."""
_OF_ALL = ("task", "group", "subject", "subject_prefix", "copy")


def import_data(form: str, source: Path, out: Path, written: Written, *, dry: bool, console: Console) -> int:
    """Import, and say in a few lines what was read, written and left out. Raises as `run_import`, and for options."""
    from aggregation_lab.data.importing.run_import import run_import, sweep_out
    from runners.store.folder_lock import locked

    known, options = _read_format(form), _read_options(written)
    _check_taken(known, written)
    source, out = absolute_path(source, "SOURCE"), output_path(out, "OUT")
    if dry:
        imported = run_import(known, source, out, options, preparation(console), dry=True)
    else:
        with locked(out / "import" / ".lock", lambda: say(console, f"{out}: another import is at work; waiting")):
            sweep_out(out)
            imported = run_import(known, source, out, options, preparation(console))
    for one in imported:
        _show(one, out, dry, console)
    if not dry:
        say(console, f"next     agglab validate {shlex.quote(str(out))}")
    return 0


def _read_format(name: str) -> "Format":
    from aggregation_lab.data.importing.formats import find_format

    return _checked("FORMAT", find_format, name)


def _read_options(written: Written) -> "ImportOptions":
    """The options, checked. Raises `typer.BadParameter`, which is one line and exit code 2."""
    from aggregation_lab.data.importing.mask_values import parse_mask_values
    from aggregation_lab.data.importing.options import ImportOptions
    from aggregation_lab.data.subjects.regular_expressions import Expression

    given: dict[str, Any] = {"subject_text": written.subject, "subject_prefix": written.subject_prefix or ""}
    given |= {"task": written.task, "step": written.step, "channel": written.channel, "copy": written.copy}
    given |= {
        "crop": not written.no_crop,
        "each_box": _checked("--boxes", _one_of("largest", "each"), written.boxes) == "each",
    }
    given["group"] = _checked("--group", _label, written.group)
    given["subject"] = _checked("--subject", Expression, written.subject)
    given["type"] = _checked("--type", _task_type, written.type)
    given["classes"] = _checked("--classes", _names, written.classes) or ()
    given["columns"] = _checked("--columns", _pairs, written.columns) or {}
    given["mask_values"] = _checked("--mask-values", parse_mask_values, written.mask_values)
    given["slices"] = _checked("--slices", _one_of("all", "labelled", "largest", "middle"), written.slices)
    for name in ("labels", "images"):
        path = getattr(written, name)
        given[name] = None if path is None else absolute_path(path, f"--{name}")
    return ImportOptions(**given)


def _checked(option: str, read: Callable[[str], Any], text: str | None) -> Any:
    """The value of an option, None where it was not given. Raises `typer.BadParameter` that names the option."""
    if text is None:
        return None
    try:
        return read(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}") from error


def _check_taken(form: "Format", written: Written) -> None:
    """Raise `typer.BadParameter` for an option that means nothing for the format."""
    takes = {_OPTION_OF.get(name, name) for name in form.takes} | set(_OF_ALL)
    for name, value in vars(written).items():
        if value not in (None, False) and name not in takes:
            flags = ", ".join(f"--{each.replace('_', '-')}" for each in sorted(takes))
            raise typer.BadParameter(f"--{name.replace('_', '-')} means nothing for {form.name}; it takes {flags}")


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"is {printable(text, 40)!r}; it takes {', '.join(words)}")
        return text

    return read


def _label(text: str) -> str:
    from aggregation_lab.naming import clean_name, name_fault

    name = clean_name(text)
    if fault := name_fault(name) or ("take out the slashes" if "/" in name or "\\" in name else ""):
        raise ValueError(f"{printable(text, 60)!r} is no name; {fault}")
    return name


def _task_type(text: str) -> Any:
    from aggregation_lab.tasks import TaskType, read_type

    found = read_type(text)
    if found is None:
        raise ValueError(f"is {printable(text, 40)!r}; it takes {', '.join(each.name for each in TaskType)}")
    return found


def _names(text: str) -> tuple[str, ...]:
    from aggregation_lab.naming import clean_name

    names = tuple(filter(None, map(clean_name, text.split(","))))
    if not names or len(set(names)) < len(names):
        raise ValueError("takes different names, joined by commas")
    return names


def _pairs(text: str) -> Mapping[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and sign and value.strip() for name, sign, value in pairs):
        raise ValueError(f"is {printable(text, 60)!r}; write MEANING=COLUMN, as in image=file,label=diagnosis")
    columns = {name.strip(): value.strip() for name, _, value in pairs}
    if len(columns) < len(pairs):
        raise ValueError("gives two columns one meaning")
    return columns


def _show(one: "Imported", out: Path, dry: bool, console: Console) -> None:
    from aggregation_lab.data.importing.receipt import receipt_file
    from aggregation_lab.tasks import TaskType

    receipt, file = one.receipt, receipt_file(out, one.receipt.task)
    if one.was_there:
        say(console, f"task {receipt.task} is in {out} already, just so; nothing was written ({file})")
        return
    counts, kind = receipt.counts, f"{receipt.type}, num_classes {receipt.classes}"
    ways = ("linked", "copied", "made", "shared")
    how = ", ".join(f"{counts[way]} {_WAYS[way]}" for way in ways if counts[way])
    verb = "would be imported" if dry else "is imported"
    say(console, f"task {receipt.task} ({kind}) {verb}: {counts['cases']} cases, {counts['images']} images ({how})")
    if receipt.class_names:
        counted, first = TaskType.of(receipt.type).numbered
        named = [f"{number} {printable(name, 60)}" for number, name in enumerate(receipt.class_names[:20], start=first)]
        say(console, f"{counted:7}  {', '.join(named)}")
    level = "subjects" if not receipt.subjects.startswith("no ") else "warning "
    say(console, f"{level} {receipt.subjects}")
    for word, reasons in (("note   ", receipt.remarks), ("skipped", receipt.skipped)):
        for reason, names in list(reasons.items())[:_SHOWN]:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            say(console, f"{word}  {printable(names[0])}{more}: {reason}")
        if len(reasons) > _SHOWN:
            say(console, f"{word}  for {len(reasons) - _SHOWN} more reasons; the receipt has all")
    say(console, "nothing was written (--dry-run)" if dry else f"receipt  {file}")


_WAYS = {"linked": "linked", "copied": "copied", "made": "converted", "shared": "there already"}
