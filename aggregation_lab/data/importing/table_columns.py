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
    "x_center": ("xcenter", "xcentre", "centerx", "centrex", "cx", "xc"),
    "y_center": ("ycenter", "ycentre", "centery", "centrey", "cy", "yc"),
    "width": ("width", "w", "boxwidth", "bboxwidth"),
    "height": ("height", "h", "boxheight", "bboxheight"),
}
"""Names, squashed, that a column of this meaning has; --columns names others."""

BOX = ("x_min", "y_min", "x_max", "y_max")
_SIDES = ("width", "height")
_CORNER = ("x_min", "y_min")
_CENTRE = ("x_center", "y_center")
_ONE_BOX = frozenset({"bbox", "box", "boundingbox", "bboxes", "xyxy", "xywh"})
"""Names, squashed, of a column with all four numbers of a box, which is not read."""

_CELLS_OF = {
    TaskType.CLASSIFICATION: ("label",),
    TaskType.SEGMENTATION: ("mask",),
    TaskType.DETECTION: ("label", *_SIDES),  # what a box marks; a box's sides, and the image's
    TaskType.REGRESSION: (),
}
"""Meanings, besides the subject, of which a table may have several columns and only one is meant."""

_POINT = re.compile(r"point(\d{1,3})(xy|x|y)", re.ASCII)


@dataclass(frozen=True)
class Columns:
    """The name of each column by its meaning, the type of the target, and the number of points.

    `unread_box` says what looks like a box beside a target of another kind; "" where nothing does, or where the caller
    chose the type. `maybe_subject` are columns that may tell the patient, where none surely does. `others` are columns,
    by meaning, that may be meant just as well as the one in `name`, of which nobody has said that it counts.
    """

    name: dict[str, str]
    type: TaskType
    points: int = 0
    unread_box: str = ""
    maybe_subject: tuple[str, ...] = ()
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def box(self) -> tuple[str, ...]:
        """The meanings of a box's four numbers: two corners, or the upper left one or the centre with both sides."""
        if "width" not in self.name:
            return BOX
        return (*(_CENTRE if _CENTRE[0] in self.name else _CORNER), *_SIDES)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The meanings of columns that hold one number."""
        return tuple(
            each for each in self.name if each in {*BOX, *_CENTRE, *_SIDES} or re.fullmatch(r"point_\d+_[xy]", each)
        )


def find_columns(header: Sequence[str], options: ImportOptions, table: Path, one_hot: Sequence[str] = ()) -> Columns:
    """The columns of a table, of which `one_hot` mark one class each.

    Raises `DataError` where image or target is not found, or the target is not certain.
    """
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
        if meaning in _CORNER and squashed(column) in {*_MEANT["x_center"], *_MEANT["y_center"]}:
            centre = meaning.replace("min", "center")
            advice = f"give --columns {centre}={shlex.quote(column)}, or rename the column"
            raise DataError(f"{table}: the column {column} is a centre by its name, and {meaning} a corner; {advice}")
        name[meaning] = clean_name(column)
    for meaning, usual in _MEANT.items():
        found = next((forms[form] for form in usual if form in forms), None)
        if found is not None and meaning not in name and found not in name.values():
            name[meaning] = found
    _keep_one_form(name)
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
        advice = f"a target is one of: {'; '.join(_needed(task_type) for task_type in possible)}{_box_hint(forms)}"
        if one_hot:
            said = f"{', '.join(one_hot)[:200]} mark one class each"
            advice = f"{said}; write one column `label` that holds the name of the marked one"
        raise DataError(f"{table}: has no target among {', '.join(header)[:200]}; {advice}")
    if len(types) > 1:
        raise DataError(f"{table}: has targets of {' and '.join(types)}; say which with --type")
    several = {
        meaning: tuple(forms[form] for form in _MEANT[meaning] if form in forms and forms[form] not in name.values())
        for meaning in ("subject", *_CELLS_OF[types[0]])
        if meaning in name and meaning not in options.columns
    }
    maybe = [] if "subject" in name else maybe_patient(cell for cell in header if cell not in name.values())
    unread = _unread_box(forms) if options.type is None and types[0] is not TaskType.DETECTION else ""
    several = {meaning: each for meaning, each in several.items() if each}
    return Columns(name, types[0], points, unread, tuple(maybe), several)


def _keep_one_form(name: dict[str, str]) -> None:
    """Take out of the meanings what is no part of the box: of two corners, a corner and a centre with sides, the first
    form that is whole. Width and height of no box are the image's."""
    forms = [BOX, (*_CORNER, *_SIDES), (*_CENTRE, *_SIDES)]
    whole = next((form for form in forms if all(meaning in name for meaning in form)), ())
    if not set(whole) & set(_SIDES) or (whole[:2] == _CORNER and {"x_max", "y_max"} & set(name)):
        whole = BOX
    for meaning in {*_CENTRE, *_SIDES} - set(whole):
        name.pop(meaning, None)


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


def _loose_box(forms: Mapping[str, str]) -> tuple[str, ...]:
    """The columns x, y, width and height, which may be a box; empty where one is missing."""
    sides = [next((forms[form] for form in _MEANT[side] if form in forms), "") for side in _SIDES]
    found = (forms.get("x", ""), forms.get("y", ""), *sides)
    return found if all(found) else ()


def _box_hint(forms: Mapping[str, str]) -> str:
    """What to do where x, y, width and height may be a box: x, y is its corner, or with some programs its centre."""
    if not _loose_box(forms):
        return ""
    x, y, width, height = _loose_box(forms)
    corner, centre = (shlex.quote(f"{one}={x},{other}={y}") for one, other in (_CORNER, _CENTRE))
    what = f"where {x}, {y} is the upper left corner of a box of {width} and {height}"
    return f"; {what}, give --columns {corner}; where it is the centre, --columns {centre}"


def _unread_box(forms: Mapping[str, str]) -> str:
    """What to say of columns that look like a box where the target is another one."""
    if columns := _loose_box(forms):
        return f"{', '.join(columns)} look like a box, and are not read{_box_hint(forms)}, each with --type detection"
    single = next((cell for form, cell in forms.items() if form in _ONE_BOX), "")
    return (
        f"{single} looks like a box, and is not read; write x_min, y_min, x_max and y_max for boxes" if single else ""
    )


def _needed(task_type: TaskType) -> str:
    columns = {
        TaskType.CLASSIFICATION: "label",
        TaskType.SEGMENTATION: "mask",
        TaskType.DETECTION: f"{', '.join(BOX)} (or width, height; also x_center, y_center)",
        TaskType.REGRESSION: "point_1_xy, point_2_xy, ...",
    }
    return f"{task_type}: {columns[task_type]}"
