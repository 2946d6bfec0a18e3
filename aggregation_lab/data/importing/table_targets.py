"""The target of an image from its rows in a plain table: a class, a mask, boxes or points."""

from collections.abc import Sequence
from pathlib import Path

from aggregation_lab.data.importing.documents.table import Line, box_of
from aggregation_lab.data.importing.files import Opened, Opener
from aggregation_lab.data.importing.label_names import in_order, index_labels
from aggregation_lab.data.importing.mask_values import certain_values, held_by_all
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import Report, Target
from aggregation_lab.data.importing.source_files import Classes, existing, one_object
from aggregation_lab.data.importing.table_columns import Columns
from aggregation_lab.data.importing.targets import Boxes, ClassMap, Label, Landmarks
from aggregation_lab.data.progress import Progress
from aggregation_lab.data.rows.point_text import decimal_comma, is_empty_point, read_point
from aggregation_lab.naming import clean_name
from aggregation_lab.tasks import TaskType
from aggregation_lab.text import printable


class _Targets:
    """Reads the targets of one type from the rows of an image. `classes` and `names` are those of the task."""

    classes: int | None = None
    names: tuple[str, ...] = ()

    def __init__(
        self,
        columns: Columns,
        table: Path,
        folder: Path,
        options: ImportOptions,
        report: Report,
        progress: Progress,
        opener: Opener,
        lines: Sequence[Line],
    ):
        self._columns, self._folder, self._options, self._opener = columns, folder, options, opener
        self._prepare(table, lines, report, progress)

    def _prepare(self, table: Path, lines: Sequence[Line], report: Report, progress: Progress) -> None: ...

    def of(self, file: Path, name: str, frame: int | None, lines: Sequence[Line]) -> list[tuple[Opened, Target]]:
        """The pictures of a file with their targets. Raises `ValueError` with a reason."""
        return [(each, self._one(lines)) for each in self._opener.open(file, name, frame)]

    def _one(self, lines: Sequence[Line]) -> Target:
        raise NotImplementedError


def _single(lines: Sequence[Line]) -> Line:
    """The one row of an image. Raises `ValueError` where others say something else."""
    if any(dict(line.cells) != dict(lines[0].cells) for line in lines):
        raise ValueError(
            f"has several rows with unlike cells (lines {', '.join(str(line.number) for line in lines[:4])})"
        )
    return lines[0]


def _mask_name(line: Line) -> str:
    """The mask file of a row, from its table on."""
    return line.cells.get("mask", "").strip().replace("\\", "/")


class _Labels(_Targets):
    def _prepare(self, table: Path, lines: Sequence[Line], report: Report, progress: Progress) -> None:
        found = [line.cell("label") for line in lines]
        self._index, self.names = index_labels([text for text in found if text], self._options.classes, table, report)
        self.classes = len(self.names)

    def _one(self, lines: Sequence[Line]) -> Target:
        line = _single(lines)
        text, written = line.cell("label"), clean_name(line.cells["label"])
        if not text and written:
            advice = "write another word where it is a class"
            raise ValueError(f"its label is {printable(written, 40)}, which means a missing value; {advice}")
        if not text:
            raise ValueError("has no label")
        if text not in self._index:
            raise ValueError(f"is of class {printable(text, 60)}, which --classes does not name")
        return Label(self._index[text])


class _Masks(_Targets):
    def _prepare(self, table: Path, lines: Sequence[Line], report: Report, progress: Progress) -> None:
        names = dict.fromkeys(map(_mask_name, lines))
        files = [existing(self._folder, name) for name in names if name]
        there = [file for file in files if file is not None]
        self._values = self._options.mask_values or certain_values(
            there, held_by_all(there, report, progress, self._opener.held_by_mask), report
        )

    def of(self, file: Path, name: str, frame: int | None, lines: Sequence[Line]) -> list[tuple[Opened, Target]]:
        mask = _mask_name(_single(lines))
        if not mask:
            raise ValueError("has no mask")
        mask_file = existing(self._folder, mask)
        if mask_file is None:
            raise ValueError(f"its mask file does not exist; paths of the table start at {self._folder}")
        pairs = self._opener.with_mask(file, name, frame, mask_file, self._values)
        return [(each, ClassMap(load)) for each, load in pairs]


class _Boxes(_Targets):
    """Boxes; where the table has labels, these say what a box marks, and every box needs one."""

    classes = 1

    def _prepare(self, table: Path, lines: Sequence[Line], report: Report, progress: Progress) -> None:
        self._kinds: Classes | None = None
        found = in_order({line.cell("label") for line in lines} - {""})
        if found or self._options.classes:
            one_object(tuple(found), self._options.classes, table)
            self._kinds = Classes(found, self._options.classes, table)
            self.names = self._kinds.names

    def _one(self, lines: Sequence[Line]) -> Target:
        if self._kinds is not None:
            bare = next(
                (line for line in lines if not line.cell("label") and any(map(line.cell, self._columns.box))), None
            )
            if bare is not None:
                raise ValueError(f"line {bare.number} holds a box without a label; write what it marks")
            lines = [line for line in lines if self._kinds.index(line.cell("label")) is not None]
            if not lines:
                raise ValueError("marks nothing of the classes that count")
        boxes = [box_of(line, self._columns.box) for line in lines]
        return Boxes(tuple(box for box in boxes if box is not None), self._options.each_box)


class _Points(_Targets):
    def _prepare(self, table: Path, lines: Sequence[Line], report: Report, progress: Progress) -> None:
        self.classes = self._columns.points

    def _one(self, lines: Sequence[Line]) -> Target:
        line = _single(lines)
        points: list[tuple[float, float] | None] = []
        for number in range(1, self._columns.points + 1):
            pair = [line.cell(f"point_{number}_{axis}") for axis in "xy"]
            text = line.cell(f"point_{number}_xy") or (f"[{', '.join(pair)}]" if all(pair) else "")
            points.append(read_point(text))
            if points[-1] is None and not is_empty_point(text):
                advice = decimal_comma(text) or "; write [x, y]"
                raise ValueError(
                    f"line {line.number}: point {number} is {printable(text, 40)!r}, no two numbers{advice}"
                )
        return Landmarks(tuple(points))


TARGETS: dict[TaskType, type[_Targets]] = {
    TaskType.CLASSIFICATION: _Labels,
    TaskType.SEGMENTATION: _Masks,
    TaskType.DETECTION: _Boxes,
    TaskType.REGRESSION: _Points,
}
