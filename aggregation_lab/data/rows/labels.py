"""Labels of classification tasks: class indices, or what a study says they mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aggregation_lab.config import yaml_key
from aggregation_lab.data.rows.csv_rows import UNKNOWN
from aggregation_lab.data.rows.problems import Problems, rule
from aggregation_lab.data.rows.row import Row
from aggregation_lab.naming import clean_name


@dataclass
class _TaskLabels:
    classes: int
    texts: dict[str, None] = field(default_factory=dict)
    unknown: list[tuple[Row, str]] = field(default_factory=list)


class Labels:
    """Reads the labels of all rows and reports, task by task, those that are no class."""

    def __init__(self, values: Mapping[str, Mapping[str, int]]):
        self._values = values
        self._tasks: dict[str, _TaskLabels] = {}

    def read(self, row: Row, task: str, classes: int, text: str) -> int:
        """The class index of a label; -1 where it is none, which `report` reports."""
        known = self._tasks.setdefault(task, _TaskLabels(classes))
        text = clean_name(text)
        known.texts[text] = None
        number = _whole(text)
        values = self._values.get(task)
        label = number if values is None else values.get(text, values.get(str(number)))
        if label is None or not 0 <= label < classes:
            known.unknown.append((row, text))
            return -1
        return label

    def report(self, problems: Problems) -> None:
        """One error for each task with labels that are no class: the first row, the number of others, the remedy."""
        for task, known in self._tasks.items():
            if not known.unknown:
                continue
            row, text = known.unknown[0]
            takes = f"label is {text!r}; it takes a whole number from 0 to {known.classes - 1}"
            if task in self._values:
                takes = f"label is {text!r}; data.label_values.{task} gives it no class below {known.classes}"
            rows = f" ({len(known.unknown)} rows of task {task})" if len(known.unknown) > 1 else ""
            problems.row_error(row, "mask", f"{takes}{rows}{self._remedy(task, known)}")

    def _remedy(self, task: str, known: _TaskLabels) -> str:
        if task in self._values:
            return ""
        texts = sorted(known.texts, key=lambda text: (_whole(text) is None, _whole(text) or 0, text.casefold(), text))
        names = list(dict.fromkeys(text.casefold() for text in texts))
        if len(names) != known.classes:
            unlabelled = all(text.casefold() in UNKNOWN or _whole(text) == -1 for _, text in known.unknown)
            return "; if it stands for no label, take such rows out" if unlabelled else ""
        why = "the labels count from 1" if [_whole(text) for text in texts] == [*range(1, known.classes + 1)] else ""
        values = {yaml_key(text): names.index(text.casefold()) for text in texts}
        return f"; {why or 'to name classes'}, write {rule('label_values', task, values)} in the study file"


def _whole(text: str) -> int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() else None
