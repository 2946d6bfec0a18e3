"""Which column of a plain table is the image, the subject and the target."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.rows.columns import maybe_patient
from aggregation_lab.errors import DataError
from aggregation_lab.naming import clean_name, squashed
from aggregation_lab.tasks import TaskType
from aggregation_lab.text import near_names, printable

_MEANT = {
    "image": ("image", "imagepath", "imagefile", "imagename", "filename", "file", "filepath", "path", "img", "video"),
    "label": ("label", "class", "target", "diagnosis", "category", "classname", "labelname"),
    "mask": ("mask", "maskpath", "maskfile", "segmentation"),
    "subject": ("subject", "subjectid", "patient", "patientid", "participant", "participantid"),
    "frame": ("frame", "frameindex", "framenumber", "slice"),
    "x_min": ("xmin", "x1", "left"),
    "y_min": ("ymin", "y1", "top"),
    "x_max": ("xmax", "x2", "right"),
    "y_max": ("ymax", "y2", "bottom"),
    "width": ("width", "w", "boxwidth", "bboxwidth"),
    "height": ("height", "h", "boxheight", "bboxheight"),
}
"""Names, squashed, that a column of this meaning has; --columns names others."""

_CELLS_OF = {
    TaskType.CLASSIFICATION: ("label",),
    TaskType.SEGMENTATION: ("mask",),
    TaskType.DETECTION: ("label",),  # what a box marks
    TaskType.REGRESSION: (),
}
"""Meanings, besides the subject, of which a table may have several columns and only one is meant."""

BOX = ("x_min", "y_min", "x_max", "y_max")
_SIZED = ("x_min", "y_min", "width", "height")
_POINT = re.compile(r"point(\d{1,3})(xy|x|y)", re.ASCII)


@dataclass(frozen=True)
class Columns:
    """The name of each column by its meaning, the type of the target, and the number of points.

    `maybe_subject` are columns that may tell the patient, where none surely does. `others` are columns, by meaning,
    that may be meant just as well as the one in `name`, of which nobody has said that it counts.
    """

    name: dict[str, str]
    type: TaskType
    points: int = 0
    maybe_subject: tuple[str, ...] = ()
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def box(self) -> tuple[str, ...]:
        """The meanings of a box's four numbers: two corners, or the upper left one with width and height."""
        return _SIZED if "width" in self.name else BOX

    @property
    def numbers(self) -> tuple[str, ...]:
        """The meanings of columns that hold one number."""
        return tuple(each for each in self.name if each in {*BOX, *_SIZED} or re.fullmatch(r"point_\d+_[xy]", each))


def find_columns(header: Sequence[str], options: ImportOptions, table: Path) -> Columns:
    """The columns of a table. Raises `DataError` where image or target is not found, or the target is not certain."""
    name: dict[str, str] = {}
    forms: dict[str, str] = {}
    for cell in header:
        forms.setdefault(squashed(cell), cell)
    twice = [cell for cell in dict.fromkeys(header) if cell and header.count(cell) > 1]
    if twice:
        raise DataError(f"{table}: has the column {printable(twice[0], 60)!r} twice; keep one, or rename it")
    for meaning, column in options.columns.items():
        if meaning not in _MEANT:
            raise DataError(f"--columns {printable(meaning, 40)}: is no meaning{near_names(meaning, _MEANT)}")
        if clean_name(column) not in header:
            raise DataError(f"{table}: has no column {column!r} (--columns){near_names(column, header)}")
        name[meaning] = clean_name(column)
    for meaning, usual in _MEANT.items():
        found = next((forms[form] for form in usual if form in forms), None)
        if found is not None and meaning not in name and found not in name.values():
            name[meaning] = found
    if not all(meaning in name for meaning in _SIZED) or any(meaning in name for meaning in ("x_max", "y_max")):
        for meaning in ("width", "height"):  # of the image, then
            name.pop(meaning, None)
    points, odd_points = _points(forms, name)
    if "image" not in name:
        advice = "name it with --columns image=NAME"
        raise DataError(f"{table}: has no column of images among {', '.join(header)[:200]}; {advice}")
    possible = {
        TaskType.CLASSIFICATION: "label" in name,
        TaskType.SEGMENTATION: "mask" in name,
        TaskType.DETECTION: all(column in name for column in BOX) or "width" in name,
        TaskType.REGRESSION: points > 0,
    }
    types = [task_type for task_type, there in possible.items() if there]
    if options.type is not None:
        if options.type not in types:
            hint = _box_hint(forms) if options.type is TaskType.DETECTION else ""
            raise DataError(f"{table}: has no columns of a {options.type} target ({_needed(options.type)}){hint}")
        types = [options.type]
    if odd_points and types in ([], [TaskType.REGRESSION]):
        advice = "number points from 1 without a gap, each with x and y"
        raise DataError(f"{table}: has the column {odd_points[0]}, of a point that is not taken; {advice}")
    if not types:
        advice = "; ".join(_needed(task_type) for task_type in possible)
        raise DataError(
            f"{table}: has no target among {', '.join(header)[:200]}; a target is one of: {advice}{_box_hint(forms)}"
        )
    if len(types) > 1:
        raise DataError(f"{table}: has targets of {' and '.join(types)}; say which with --type")
    several = {
        meaning: tuple(forms[form] for form in _MEANT[meaning] if form in forms and forms[form] not in name.values())
        for meaning in ("subject", *_CELLS_OF[types[0]])
        if meaning in name and meaning not in options.columns
    }
    maybe = [] if "subject" in name else maybe_patient(cell for cell in header if cell not in name.values())
    return Columns(name, types[0], points, tuple(maybe), {meaning: each for meaning, each in several.items() if each})


def _points(forms: dict[str, str], name: dict[str, str]) -> tuple[int, list[str]]:
    """The number of points, whose columns go into `name`: point_1_xy, or point_1_x and point_1_y, from 1 on.

    And the columns of points that it does not count: of a point 0, behind a gap, without its other coordinate.
    """
    cells: dict[str, str] = {}
    for form, cell in forms.items():
        match = _POINT.fullmatch(form)
        if match:
            cells[f"point_{int(match[1])}_{match[2]}"] = cell
    count, taken = 0, set[str]()
    while ways := [way for way in ({"xy"}, {"x", "y"}) if {f"point_{count + 1}_{each}" for each in way} <= set(cells)]:
        count += 1
        taken |= {f"point_{count}_{each}" for way in ways for each in way}
    name |= cells
    return count, [cell for column, cell in cells.items() if column not in taken]


def _box_hint(forms: Mapping[str, str]) -> str:
    """What to do where x, y, width and height may be a box: x, y is its corner, or with some programs its centre."""
    sides = [next((forms[form] for form in _MEANT[side] if form in forms), "") for side in ("width", "height")]
    if "x" not in forms or "y" not in forms or not all(sides):
        return ""
    columns = f"x_min={forms['x']},y_min={forms['y']}"
    what = f"where {forms['x']}, {forms['y']} is the upper left corner of a box"
    return f"; {what} of {' and '.join(sides)}, give --columns {shlex.quote(columns)}"


def _needed(task_type: TaskType) -> str:
    columns = {
        TaskType.CLASSIFICATION: "label",
        TaskType.SEGMENTATION: "mask",
        TaskType.DETECTION: f"{', '.join(BOX)} (or width, height)",
        TaskType.REGRESSION: "point_1_xy, point_2_xy, ...",
    }
    return f"{task_type}: {columns[task_type]}"
