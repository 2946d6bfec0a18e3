"""Which columns a CSV has, in any spelling of their names, and what is reported of the others."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aggregation_lab.data.rows.problems import Problems
from aggregation_lab.naming import closest, squashed
from aggregation_lab.text import listed

COMMON_COLUMNS = ("task_id", "task_name", "image_path")
SUBJECT_COLUMN = "subject_id"
GROUP_COLUMN = "clinical_group"
BOX_COLUMNS = ("x_min", "y_min", "x_max", "y_max")

_COLUMNS = (*COMMON_COLUMNS, "num_classes", "mask_path", "mask", *BOX_COLUMNS, SUBJECT_COLUMN, GROUP_COLUMN)
_BOXES = ("bbox", "box", "boundingbox", "bboxes", "xyxy", "xywh")  # four numbers in one column
_SIDES = {"x_max": ("x_min", ("width", "w")), "y_max": ("y_min", ("height", "h"))}
_IGNORED = frozenset({"height", "width", "filepath", ""})  # of the challenge, and a table's index: never needed
_PATIENT = ("patientid", "patient", "subject", "participantid", "participant")  # these surely name the patient
_PATIENT_WORDS = ("patient", "subject", "participant", "患者", "病人", "受试者")
_MAYBE_PATIENT = re.compile(
    "(case|study|exam|sid|pid|person|video|clip|series|sequence|visit|donor|accession)(id|number)?|id|mrn|individual"
)
_SPLITS = re.compile("(is)?(train|val|valid|validation|test)|splits?|folds?|(sub)?set|partition|phase|usage")
_OTHER_NAMES = {
    "task_id": ("task", "taskname", "dataset"),
    "task_name": ("tasktype", "type"),
    "image_path": ("image", "img", "imgpath", "imagefile", "imagename", "filename", "file", "path"),
    "mask_path": ("maskfile", "labelpath", "segmentation", "segpath", "gtpath"),
    "mask": ("label", "class", "target", "classid", "y"),
    "num_classes": ("classes", "numclass", "nclasses", "numpoints"),
    "x_min": ("xmin", "x1", "left"),
    "y_min": ("ymin", "y1", "top"),
    "x_max": ("xmax", "x2", "right"),
    "y_max": ("ymax", "y2", "bottom"),
}
"""Names that other tools give a column: suggested where the column is missing, never read as it."""


@dataclass(frozen=True)
class Header:
    """The index of each column of a CSV, and the `others` as they are written."""

    index_of: Mapping[str, int]
    others: tuple[str, ...]


def read_header(cells: Sequence[str], name: str, line: int, problems: Problems) -> Header | None:
    """The columns of a header; None, reported, where one is missing or stands twice.

    Capitals, blanks, dashes and quotes around a name mean nothing. A column that surely names the patient
    serves as `subject_id` where there is none, which is reported; other columns are named once.
    """
    index_of: dict[str, int] = {}
    others: dict[str, int] = {}
    repeated: dict[str, None] = {}
    for index, cell in enumerate(cells):
        column = known_column(cell)
        if column is None:
            others.setdefault(cell, index)
        elif column in index_of:
            repeated[column] = None
        else:
            index_of[column] = index
    for column in repeated:
        problems.error(name, line, column, "stands twice in the header; keep one")
    missing = [column for column in COMMON_COLUMNS if column not in index_of]
    if len(missing) == len(COMMON_COLUMNS):
        shown = ", ".join(cells)[:80]
        needed = f"every CSV needs the columns {', '.join(COMMON_COLUMNS)}"
        if any(known_column(part) for part in re.split(r"[,;\t|]", cells[0])):
            needed = "the whole line is one cell in quotes; take the quotes around lines away"
        else:
            needed += " in its first line, or after lines that begin with #"
        problems.error(name, line, None, f"is no table of cases, its header is {shown!r}; {needed}")
        return None
    for column in missing:
        problems.error(name, line, column, f"is missing{missing_hint(column, others)}; every CSV needs this column")
    _read_patient(index_of, others, name, line, problems)
    _report_others(index_of, others, name, line, problems)
    return None if missing or repeated else Header(index_of, tuple(others))


def missing_hint(column: str, others: Iterable[str]) -> str:
    """What may be meant to be a missing column, in brackets; "" where none of the other columns is."""
    by_form = {squashed(other): other for other in others}
    point = re.fullmatch(r"point_(\d+)_xy", column)
    pair = [by_form[form] for form in (f"point{point[1]}x", f"point{point[1]}y") if form in by_form] if point else []
    box = next((by_form[form] for form in _BOXES if form in by_form), None)
    if len(pair) == 2:
        return f' (write {pair[0]!r} and {pair[1]!r} as one column of "[x, y]")'
    if box and column in BOX_COLUMNS:
        return f" (write the four numbers of {box!r} as {', '.join(BOX_COLUMNS)})"
    low, sides = _SIDES.get(column, ("", ()))
    side = next((by_form[form] for form in sides if form in by_form), None)
    if side:
        return f" (it is {low} + {side!r}, where that is the side of the box)"
    meant = closest(column, others, _OTHER_NAMES.get(column, ()))
    return f" (did you mean {meant!r}?)" if meant else ""


def known_column(cell: str) -> str | None:
    """The column that a header cell names; None where it is none of the layout's."""
    form = squashed(cell)
    point = re.fullmatch(r"point(\d{1,4})xy", form, re.ASCII)
    return f"point_{int(point[1])}_xy" if point else _SQUASHED.get(form)


_SQUASHED = {column.replace("_", ""): column for column in _COLUMNS}


def maybe_patient(names: Iterable[str]) -> list[str]:
    """The columns that may tell the patient, by their names."""
    by_form = {squashed(name): name for name in names}
    return [
        name
        for form, name in by_form.items()
        if difflib.SequenceMatcher(None, form, "subjectid").ratio() > 0.75
        or _MAYBE_PATIENT.fullmatch(form)
        or any(word in form for word in _PATIENT_WORDS)
    ]


def _read_patient(index_of: dict[str, int], others: dict[str, int], name: str, line: int, problems: Problems) -> None:
    if SUBJECT_COLUMN in index_of:
        return
    by_form = {squashed(other): other for other in others}
    sure = next((by_form[form] for form in _PATIENT if form in by_form), None)
    if sure is not None:
        index_of[SUBJECT_COLUMN] = others.pop(sure)
        problems.warning(name, line, sure, f"is read as {SUBJECT_COLUMN}; rename it if it does not tell the patient")
        return
    maybe = maybe_patient(others)
    if maybe:
        message = f"may tell the patient, and is not used; rename it to {SUBJECT_COLUMN} if it does"
        problems.warning(name, line, ", ".join(maybe), message)
        for other in maybe:
            del others[other]


def split_columns(names: Iterable[str]) -> list[str]:
    """The columns, by their names, that say which part of the data a row is of."""
    return [name for name in names if _SPLITS.fullmatch(squashed(name))]


def _report_others(
    index_of: Mapping[str, int], others: dict[str, int], name: str, line: int, problems: Problems
) -> None:
    """Name the columns that are not used: what looks like a split or a misspelt column as a warning."""
    splits = split_columns(others)
    if splits:
        how = "one split is drawn over all tasks; data.split of a study takes one of yours"
        problems.warning(name, line, ", ".join(splits), f"is not used: {how}")
    for column in _COLUMNS:
        close = difflib.get_close_matches(column.replace("_", ""), list(map(squashed, others)), n=1, cutoff=0.8)
        if close and column not in index_of and column not in COMMON_COLUMNS:
            other = next(other for other in others if squashed(other) == close[0])
            problems.warning(name, line, other, f"is not used; did you mean {column}?")
            splits.append(other)
    rest = [other for other in others if other not in splits and squashed(other) not in _IGNORED]
    rest = [other for other in rest if not re.fullmatch(r"unnamed\d+", squashed(other))]
    if rest:
        shown = listed(rest, 20)
        message = f"the columns {shown} are not used" if len(rest) > 1 else f"the column {shown} is not used"
        problems.note(name, line, None, message)
