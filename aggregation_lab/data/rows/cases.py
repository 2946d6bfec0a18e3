"""From the text of a CSV row to a typed case: task, image, and mask, label, box or points."""

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from aggregation_lab.config import TargetRules
from aggregation_lab.data.rows.columns import BOX_COLUMNS, missing_hint
from aggregation_lab.data.rows.csv_rows import CSV_FOLDER
from aggregation_lab.data.rows.labels import Labels
from aggregation_lab.data.rows.point_text import decimal_comma, finite_number, is_empty_point, read_point
from aggregation_lab.data.rows.problems import Problems
from aggregation_lab.data.rows.row import Row
from aggregation_lab.naming import name_fault
from aggregation_lab.tasks import CHALLENGE_TASKS, TaskType, near_type, read_type
from aggregation_lab.tasks.targets import Box, Points


@dataclass(frozen=True)
class Case:
    """One CSV row, understood. Paths are relative to the train folder; coordinates are original pixels."""

    row: Row
    task: str
    image: str
    mask: str = ""
    label: int = -1
    box: Box | None = None
    points: Points | None = None


@dataclass(frozen=True)
class Shape:
    """What every row of a task must agree on, and the first row that gave it."""

    type: TaskType
    classes: int
    source: str


def parse_rows(
    rows: Iterable[Row], problems: Problems, rules: TargetRules | None = None
) -> tuple[list[Case], dict[str, Shape]]:
    """Cases of all rows that can be understood, and the shape of each task. Faults go to `problems`.

    Boxes and points are as the file has them, see `coordinates.pixel_cases`; rows with a missing point are left out.
    """
    rules = rules or TargetRules()
    labels, left_out = Labels(rules.label_values), list[Row]()
    shapes = {
        name: Shape(known.task.type, known.task.classes, "the challenge") for name, known in CHALLENGE_TASKS.items()
    }
    cases, seen = [], set()
    for row in rows:
        shape = _shape(row, shapes, problems)
        if shape is None:
            continue
        seen.add(task_name(row))
        image = _path(row, "image_path", shape.type, problems)
        target = shape.type.read_target(_RowCells(row, shape, rules, labels, left_out, problems))
        if image and target is not None:
            cases.append(Case(row, task_name(row), image, **{shape.type.target: target}))
    labels.report(problems)
    if rules.missing_point is not None and not left_out:
        shown = rules.missing_point if isinstance(rules.missing_point, str) else list(rules.missing_point)
        problems.warning("missing_point", None, None, f"is {shown}, but no point of the data is; check the rule")
    return cases, {name: shape for name, shape in shapes.items() if name in seen}


def relative_path(text: str) -> str | None:
    """A path relative to csv_files as one relative to the train folder; None where it leaves that folder.

    Only the text is checked: a link inside the folder was made by the user and is followed.
    """
    path = posixpath.normpath(posixpath.join(CSV_FOLDER, text))
    return None if posixpath.isabs(path) or path.split("/")[0] in ("..", ".") or "\0" in path else path


def task_name(row: Row) -> str:
    """The row's task; "" where it names none."""
    return (row.cell("task_id") or "").strip()


def _shape(row: Row, shapes: dict[str, Shape], problems: Problems) -> Shape | None:
    """The shape of the row's task; None, reported, where the row lacks it or has another."""
    task, type_text = task_name(row), (row.cell("task_name") or "").strip()
    fault = name_fault(task) if "/" not in task else "write a task name without '/'"
    if fault:
        problems.row_error(row, "task_id", f"is {task[:80]!r}; {fault}", f"task_id {task}")
        return None
    task_type = read_type(type_text)
    if task_type is None:
        near = near_type(type_text)
        *others, last = (task_type.written for task_type in TaskType)
        takes = f"did you mean {near}?" if near else f"it takes {', '.join(others)} or {last}"
        problems.row_error(row, "task_name", f"is {type_text!r}; {takes}", f"task_name {type_text}")
        return None
    classes: int | None = 1
    if task_type.classes_given:
        classes = _classes(row, task_type, problems)
    if classes is None:
        return None
    shape = shapes.setdefault(task, Shape(task_type, classes, f"{row.file} line {row.line}"))
    for field, got, expected in (("task_name", task_type, shape.type), ("num_classes", classes, shape.classes)):
        if got != expected:
            advice = "make them agree, or rename the task if it is another"
            message = f"is {got} but task {task} has {expected} in {shape.source}; {advice}"
            problems.row_error(row, field, message, f"{field} {task} {got}")
            return None
    return shape


def _classes(row: Row, task_type: TaskType, problems: Problems) -> int | None:
    text = _required(row, "num_classes", task_type, problems)
    number = finite_number(text)
    classes = int(number) if number is not None and number.is_integer() else None
    lowest = task_type.fewest_classes
    if text and (classes is None or not lowest <= classes <= 256):
        message = f"is {text!r}; write a whole number from {lowest} to 256"
        problems.row_error(row, "num_classes", message, f"num_classes {text}")
        return None
    return classes


@dataclass(frozen=True)
class _RowCells:
    """The target's cells of one row, as `TargetCells` has them."""

    row: Row
    shape: Shape
    rules: TargetRules
    labels: Labels
    left_out: list[Row]
    problems: Problems

    def path(self, column: str) -> str | None:
        return _path(self.row, column, self.shape.type, self.problems) or None

    def label(self, column: str) -> int | None:
        text = _required(self.row, column, self.shape.type, self.problems)
        return self.labels.read(self.row, task_name(self.row), self.shape.classes, text) if text else None

    def box(self) -> Box | None:
        return _box(self.row, self.shape.type, self.problems)

    def points(self) -> Points | None:
        return _points(self.row, self.shape, self.rules, self.left_out, self.problems)


def _required(row: Row, column: str, task_type: TaskType, problems: Problems) -> str:
    """Text of a cell a row of this type must have; "" where it is missing, which is reported (a column once)."""
    text = row.cell(column)
    if text is None:
        hint = missing_hint(column, row.others)
        problems.error(row.file, 1, column, f"is missing{hint}; {task_type} rows need this column")
    elif not text:
        problems.row_error(row, column, f"is empty; {task_type} rows need a value", f"empty {column}")
    return text or ""


def _path(row: Row, column: str, task_type: TaskType, problems: Problems) -> str:
    """The path relative to the train folder; "" where it is missing or leaves that folder, which is reported."""
    text = _required(row, column, task_type, problems)
    if not text:
        return ""
    path = relative_path(text)
    if path is None:
        advice = "write a path relative to csv_files that stays inside the train folder"
        problems.row_error(row, column, f"{text!r} leaves the data folder; {advice}", f"leaves {column}")
    return path or ""


def _box(row: Row, task_type: TaskType, problems: Problems) -> Box | None:
    texts = [_required(row, column, task_type, problems) for column in BOX_COLUMNS]
    numbers = [finite_number(text) for text in texts]
    for column, text, number in zip(BOX_COLUMNS, texts, numbers, strict=True):
        if text and number is None:
            problems.row_error(
                row, column, f"is {text!r}; write a number in pixels{decimal_comma(text)}", f"number {column}"
            )
    if any(number is None for number in numbers):
        return None
    x_min, y_min, x_max, y_max = (number for number in numbers if number is not None)
    return x_min, y_min, x_max, y_max


def _points(row: Row, shape: Shape, rules: TargetRules, left_out: list[Row], problems: Problems) -> Points | None:
    points: list[tuple[float, float]] = []
    count = shape.classes
    for number in range(1, count + 1):
        column = f"point_{number}_xy"
        text = row.cell(column)
        if text is None:
            _required(row, column, shape.type, problems)
            continue
        point, empty = read_point(text), is_empty_point(text)
        if (empty and rules.missing_point == "empty") or (point is not None and point == rules.missing_point):
            left_out.append(row)
            message = "is a missing point (data.missing_point), so the case is left out"
            problems.row_warning(row, column, message, f"missing {task_name(row)}")
            return None
        if point is not None:
            points.append(point)
        elif empty:
            advice = "if the point is missing, write data.missing_point: empty in the study file"
            problems.row_error(row, column, f"is empty; Regression rows need a value, or {advice}", "empty point")
        else:
            problems.row_error(
                row, column, f'is {text!r}; write JSON text "[x, y]" in pixels{decimal_comma(text)}', "point"
            )
    beyond = f"point_{count + 1}_xy"
    if row.cell(beyond) and not is_empty_point(row.cell(beyond) or ""):
        message = f"is filled, but num_classes is {count}, so only {count} point(s) of task {task_name(row)} are used"
        problems.row_warning(row, beyond, f"{message}; num_classes is the number of points", f"beyond {task_name(row)}")
    return tuple(points) if len(points) == count else None
