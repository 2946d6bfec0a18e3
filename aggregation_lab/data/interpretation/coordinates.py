"""Boxes and points as the files have them -> pixels of the image; and warnings where they may be in another form."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aggregation_lab.config import TargetRules, yaml_key
from aggregation_lab.data.images.file_scan import Scan
from aggregation_lab.data.interpretation.box_forms import are_inverted
from aggregation_lab.data.interpretation.edges import LARGER, is_for_larger
from aggregation_lab.data.rows.cases import Case
from aggregation_lab.data.rows.problems import Problems, rule

UNIT = 1.5
"""Coordinates of a whole CSV that stay below this are shares of the image's sides, not pixels."""
ENOUGH = 8
"""Fewest rows at which it is suspicious that all of them lie in the same quarter of their images."""


def pixel_cases(
    cases: Sequence[Case], images: Mapping[str, Scan], rules: TargetRules, problems: Problems
) -> list[Case]:
    """The cases with boxes (x_min, y_min, x_max, y_max) and points in pixels, as the rules say.

    What no rule explains is reported: coordinates in [0, 1], boxes that are inverted, boxes and points of a whole
    task in one quarter, points at [0, 0]. Cases whose image cannot be read or whose coordinates are wrong stay as
    they are.
    """
    converted: dict[int, Case] = {}
    tasks: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        if (case.box or case.points) and not images[case.image].fault:
            tasks.setdefault((case.task, case.row.file), []).append(case)
    for (task, _), members in tasks.items():
        group = _group(task, members, images)
        if task not in rules.coordinates and group.in_shares:
            others = all(_group(task, other, images).in_shares for (name, _), other in tasks.items() if name == task)
            _refuse_shares(group, others, problems)
        else:
            converted |= dict(zip(map(id, members), _check(group, rules, problems), strict=True))
    return [converted.get(id(case), case) for case in cases]


@dataclass(frozen=True)
class _Group:
    """The rows of one task in one CSV, all with boxes or all with points; `sides` N x 2 (width, height)."""

    task: str
    cases: list[Case]
    sides: np.ndarray

    @property
    def boxes(self) -> bool:
        return self.cases[0].box is not None

    @property
    def values(self) -> np.ndarray:
        """N x P x 2 coordinates as the files have them; a box is two pairs."""
        return np.array([case.box or case.points for case in self.cases], float).reshape(len(self.cases), -1, 2)

    @property
    def in_shares(self) -> bool:
        """Whether no coordinate is large enough to be one of pixels."""
        values = self.values
        return bool((np.abs(values) <= UNIT).all() and values.any())

    @property
    def field(self) -> str:
        return "x_min..y_max" if self.boxes else "point_1_xy"


def _group(task: str, cases: list[Case], images: Mapping[str, Scan]) -> _Group:
    sides = [(images[case.image].width, images[case.image].height) for case in cases]
    return _Group(task, cases, np.array(sides, float))


def _refuse_shares(group: _Group, everywhere: bool, problems: Problems) -> None:
    """Report a CSV whose coordinates lie in [0, 1]; a rule for the task helps where all its CSV files are so."""
    advice = "write pixels here as in the task's other CSV files"
    if everywhere:
        advice = f"write {rule('coordinates', group.task, 'normalised')} in the study file"
    message = f"no coordinate of task {group.task} is above {group.values.max():g}, so these are not pixels; {advice}"
    for case in group.cases:
        problems.row_error(case.row, group.field, message, f"normalised {group.task}")


def _check(group: _Group, rules: TargetRules, problems: Problems) -> list[Case]:
    """The group's cases in pixels, or as they are where that is not known."""
    values = group.values
    unit = rules.coordinates.get(group.task)
    if unit is None:
        _suspect_rows(group, values, problems)
    if unit == "normalised":
        values = values * group.sides[:, None]
    if group.boxes:
        return _boxes(group, values, rules.box_format.get(group.task), problems)
    _suspect_points(group, values, unit, problems)
    return [
        replace(case, points=tuple((float(x), float(y)) for x, y in points))
        for case, points in zip(group.cases, values, strict=True)
    ]


def _boxes(group: _Group, values: np.ndarray, form: str | None, problems: Problems) -> list[Case]:
    first, second = values[:, 0], values[:, 1]
    if form == "xywh":
        second = first + second
    elif form == "cxcywh":
        first, second = first - second / 2, first + second / 2
    bad = np.asarray((second <= first).any(1))
    if form is None and _suspect_boxes(group, values, bad, problems):
        return group.cases
    converted = []
    for case, corners, inverted in zip(group.cases, np.hstack([first, second]).tolist(), bad.tolist(), strict=True):
        if inverted:
            shown = ", ".join(f"{value:g}" for value in case.box or ())
            none = len(set(case.box or ())) == 1
            advice = "if the image has no object, take the row out" if none else "min must be below max"
            message = f"box ({shown}) is inverted or empty; {advice}"
            problems.row_error(case.row, "x_min..y_max", message, f"inverted {group.task} {none}")
        converted.append(replace(case, box=(corners[0], corners[1], corners[2], corners[3])))
    return converted


def _suspect_rows(group: _Group, values: np.ndarray, problems: Problems) -> None:
    """Report single rows in [0, 1] among rows in pixels."""
    small = (np.abs(values) <= UNIT).all((1, 2)) & values.any((1, 2)) & (values >= 0).all((1, 2))
    for case, is_small in zip(group.cases, small, strict=True):
        if is_small:
            message = f"has no coordinate above {UNIT:g}, unlike other rows of task {group.task}; write pixels"
            problems.row_warning(case.row, group.field, message, f"small {group.task}")


def _suspect_boxes(group: _Group, values: np.ndarray, inverted: np.ndarray, problems: Problems) -> bool:
    """Report boxes that look like corner or centre with width and height; True where that is sure.

    Read so, all of them lie in their images; read as two corners, some are inverted, or all have their centre in the
    upper left quarter, which is what x + width <= image width means.
    """
    first, second = values[:, 0], values[:, 1]
    slack = group.sides + 1
    positive = (second > 0).all(1)
    fits = {
        "xywh": positive & (first + second <= slack).all(1),
        "cxcywh": positive & (first + second / 2 <= slack).all(1) & (first - second / 2 >= -1).all(1),
    }
    forms = [form for form, fit in fits.items() if fit.mean() >= 0.95]
    several = are_inverted(int(inverted.sum()), len(values))
    if not forms or not (several or (fits["xywh"].all() and len(values) >= ENOUGH)):
        return False
    write = " or ".join(f"{{{yaml_key(group.task)}: {form}}}" for form in forms)
    meaning = "x, y is the corner in xywh, the centre in cxcywh"
    advice = f"if they hold x, y, width, height, write data.box_format: {write} in the study file ({meaning})"
    for case in group.cases:
        if several:
            message = f"{int(inverted.sum())} of {len(values)} boxes of task {group.task} are inverted as two corners"
            problems.row_error(case.row, group.field, f"{message}; {advice}", f"format {group.task}")
        else:
            message = f"all boxes of task {group.task} lie about the upper left quarter of their images"
            problems.row_warning(
                case.row, group.field, f"{message}; {advice}, and xyxy if all is well", f"format {group.task}"
            )
    return several


def _suspect_points(group: _Group, values: np.ndarray, unit: str | None, problems: Problems) -> None:
    zero = (values == 0).all(2)
    for case, at_zero in zip(group.cases, zero, strict=True):
        if at_zero.any():
            column = f"point_{int(at_zero.argmax()) + 1}_xy"
            message = "is [0, 0]; if that marks a missing point, write data.missing_point: [0, 0] in the study file"
            problems.row_warning(
                case.row, column, f"{message} (cases with one are then left out)", f"zero {group.task}"
            )
    inside = ((values <= group.sides[:, None] / 2) | zero[..., None]).all()
    if unit is None and inside and len(values) >= ENOUGH and not zero.all():
        message = f"all points of task {group.task} lie in the upper left quarter of their images"
        pixels = rule("coordinates", group.task, "pixels")
        advice = f"check their unit, and write {pixels} in the study file if it is right"
        problems.row_warning(group.cases[0].row, "point_1_xy", f"{message}; {advice}", f"quarter {group.task}")


def check_bounds(cases: Sequence[Case], images: Mapping[str, Scan], problems: Problems) -> None:
    """Report boxes and points outside their images, one line per CSV, task and field."""
    for case in cases:
        image = images[case.image]
        if image.fault or (case.box and (case.box[2] <= case.box[0] or case.box[3] <= case.box[1])):
            continue  # reported already
        for field, value, inside in _bounds(case, image):
            if not inside:
                turned = "; the image is turned by its EXIF orientation" if image.has("turned") else ""
                size = f"outside {case.image} of {image.width} x {image.height} pixels{turned}"
                kind = f"outside {case.task} {field} {value if _marks_missing(value) else ''}"
                problems.row_error(case.row, field, f"is {value}, {size}; {_advice(case, value, image)}", kind)


def _marks_missing(value: str) -> bool:
    """Whether a point's two coordinates are one negative whole number, as in (-1, -1)."""
    return re.fullmatch(r"\((-\d+), \1\)", value) is not None


def _advice(case: Case, value: str, image: Scan) -> str:
    corners = (case.box[:2], case.box[2:]) if case.box else case.points or ()
    if is_for_larger(corners, image.width, image.height):
        return f"it reaches far beyond, {LARGER}"
    if not _marks_missing(value):
        return "correct the box" if case.box else "correct the point"
    marker = f"data.missing_point: [{value.strip('()')}]"
    return f"if that marks a missing point, write {marker} in the study file (cases with one are then left out)"


def _bounds(case: Case, image: Scan) -> list[tuple[str, str, bool]]:
    """Field, its value as text, and whether it lies inside the image."""
    slack = 1e-6 * max(image.width, image.height)  # the rounding of normalised coordinates
    if case.box:
        limits = (image.width, image.height) * 2
        names = ("x_min", "y_min", "x_max", "y_max")
        return [
            (name, f"{value:g}", -slack <= value <= limit + slack)
            for name, value, limit in zip(names, case.box, limits, strict=True)
        ]
    return [
        (
            f"point_{number}_xy",
            f"({x:g}, {y:g})",
            -slack <= x <= image.width + slack and -slack <= y <= image.height + slack,
        )
        for number, (x, y) in enumerate(case.points or (), start=1)
    ]
