"""Digests of what a run is trained on: cases, targets and split of its tasks, a data set, a checkpoint."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aggregation_lab.errors import StudyError
from aggregation_lab.files import file_digest

if TYPE_CHECKING:
    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.splits.split import Split


class Digests:
    """Digest of what the data contributes to a run: cases, targets and split of its tasks at its fraction."""

    def __init__(self, cases: Mapping[str, str], split: "Split"):
        self._split, self._cases = split, cases
        self._known: dict[tuple[str, float], tuple[str, int]] = {}

    def _task(self, task: str, fraction: float) -> tuple[str, int]:
        if (task, fraction) not in self._known:
            train = sorted(self._split.cases("train", task, fraction))
            parts = [train, sorted(self._split.cases("val", task)), sorted(self._split.cases("test", task))]
            text = json.dumps([[self._cases[case] for case in part] for part in parts])
            self._known[task, fraction] = hashlib.sha256(text.encode()).hexdigest(), len(train)
        return self._known[task, fraction]

    def train_cases(self, task: str, fraction: float) -> int:
        return self._task(task, fraction)[1]

    def unit(self, tasks: Iterable[str], fraction: float) -> str:
        text = "".join(self._task(task, fraction)[0] for task in tasks)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def weights_digest(weights: str) -> str:
    """Digest of a local checkpoint's content; "" for a random start or the hub. Raises `StudyError` if unreadable."""
    if weights in ("random", "hub"):
        return ""
    try:
        if Path(weights).exists() and not Path(weights).is_file():  # a pipe or a device would be read forever
            raise StudyError(f"model.weights: {weights} is no regular file; give the file of a checkpoint")
        return file_digest(Path(weights))[:16]
    except OSError as error:
        advice = "give `random`, `hub` or the path of a checkpoint"
        raise StudyError(f"model.weights: {weights} cannot be read ({error.strerror}); {advice}") from error


_DEFINING = ("case", "content", "mask_content", "label", "box", "points", "height", "width", "subject")


def case_digests(dataset: "Dataset") -> dict[str, str]:
    """Digest of each case's image, target and subject, by case id."""
    columns = [dataset.cases[name].tolist() for name in _DEFINING]
    return {
        row[0]: hashlib.sha256(json.dumps(row, default=list).encode()).hexdigest() for row in zip(*columns, strict=True)
    }


def dataset_digest(dataset: "Dataset") -> str:
    """Digest of all cases and tasks: two folders with the same digest give the same study."""
    tasks = [[task.name, str(task.type), task.classes] for _, task in sorted(dataset.tasks.items())]
    text = json.dumps([tasks, sorted(case_digests(dataset).values())])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
