"""From a study and its data to the runs it needs; equal units of two aggregations become one run."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregation_lab.errors import StudyError
from aggregation_lab.run import RunSpec
from aggregation_lab.text import printable
from runners.planning.cost import flops_per_image
from runners.planning.study_schema import Study

if TYPE_CHECKING:
    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.splits.folds import Folds
    from aggregation_lab.data.splits.split import Split

RunKey = tuple[tuple[str, ...], float, int]
MOST_RUNS = 50_000
"""Runs of one study; a grid of more could neither be listed nor be finished."""


@dataclass(frozen=True)
class PlannedRun:
    """One run and the units it counts as: `labels` holds (aggregation, unit).

    `n_train` cases of its unit, `steps`, `images` it will see, `flops` it will take by estimate: the most, where its
    training goes on until it has converged. `fold` is the one that it tests, None with one split.
    """

    spec: RunSpec
    labels: tuple[tuple[str, str], ...]
    n_train: int
    steps: int
    images: int
    flops: float
    fold: int | None = None

    @cached_property
    def id(self) -> str:
        return self.spec.id

    @property
    def key(self) -> RunKey:
        """What stays when the study's settings change: unit, fraction, seed."""
        return tuple(task.name for task in self.spec.tasks), self.spec.fraction, self.spec.seed

    @property
    def unit_title(self) -> str:
        units = " = ".join(f"{aggregation}/{unit}" for aggregation, unit in self.labels)
        return f"{units} f{self.spec.fraction:g}"

    @property
    def title(self) -> str:
        tested = "" if self.fold is None else f" (fold {self.fold})"
        return f"{self.unit_title} s{self.spec.seed}{tested}"

    @property
    def passes(self) -> float:
        """How often the run sees each of its training images, on average."""
        return self.images / self.n_train

    @property
    def is_open(self) -> bool:
        """Whether the run decides itself when it ends."""
        return self.spec.training.until == "converged"

    @property
    def least(self) -> float:
        """The share of `steps`, `images` and `flops` that the run takes at least."""
        return self.spec.training.span(self.n_train)[0] / self.steps if self.is_open else 1.0

    @property
    def lifted(self) -> bool:
        """Whether `min_steps` gives the run more passes than the study's; rounding up to whole batches is none."""
        training = self.spec.training
        budget = training.steps(self.n_train) * training.batch_size if self.is_open else self.images
        return budget >= training.passes * self.n_train + training.batch_size

    def flops_of(self, images: int) -> float:
        """Operations of the run once it has seen so many images; `flops` where 0 says that nobody knows."""
        return self.flops * images / self.images if images else self.flops

    @property
    def folder_name(self) -> str:
        slug = re.sub(r"[^A-Za-z0-9_]+", "_", self.labels[0][1])[:60]
        return f"{slug}-f{self.spec.fraction:g}-s{self.spec.seed}-{self.id}"

    def matches(self, pattern: str) -> bool:
        """Whether a shell pattern fits a label AGGREGATION/UNIT/fFRACTION/sSEED, or one of its parts, or the id."""
        for aggregation, unit in self.labels:
            parts = (aggregation, unit, f"f{self.spec.fraction:g}", f"s{self.spec.seed}")
            names = (*parts, "/".join(parts[:2]), "/".join(parts), self.id)
            if any(name == pattern or fnmatchcase(name, pattern) for name in names):  # a name may hold `[`
                return True
        return False

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "spec": self.spec.to_json(),
            "labels": [list(label) for label in self.labels],
            "n_train": self.n_train,
            "steps": self.steps,
            "images": self.images,
            "flops": self.flops,
            **({} if self.fold is None else {"fold": self.fold}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "PlannedRun":
        labels = tuple((aggregation, unit) for aggregation, unit in value["labels"])
        spec = RunSpec.from_json(value["spec"])
        return cls(spec, labels, value["n_train"], value["steps"], value["images"], value["flops"], value.get("fold"))


def plan_runs(study: Study, dataset: "Dataset", folds: "Folds") -> list[PlannedRun]:
    """Every run of the study, in the order of aggregations, fractions, seeds.

    Raises `StudyError` where aggregations do not fit the data's tasks, and `DataError` where a fraction leaves a task
    without training cases.
    """
    cases = case_digests(dataset)
    tested = {seed: study.fold(seed) for seed in study.seeds}
    by_fold = {fold: _Digests(cases, folds.split(fold)) for fold in set(tested.values())}
    checkpoint = weights_digest(study.model.weights)
    labels: dict[RunKey, list[tuple[str, str]]] = {}
    aggregations = study.partitions(dataset.tasks)
    planned = sum(len(aggregation.units) for aggregation in aggregations) * len(study.fractions) * len(study.seeds)
    if planned > MOST_RUNS:
        advice = "take fewer aggregations, fractions or seeds"
        raise StudyError(f"fractions, seeds: make {planned} runs, {MOST_RUNS} are the most; {advice}")
    for aggregation in aggregations:
        for unit in aggregation.units:
            for fraction in study.fractions:
                for seed in study.seeds:
                    labels.setdefault((unit.tasks, fraction, seed), []).append((aggregation.name, unit.name))
    runs = []
    for (names, fraction, seed), counted_as in labels.items():
        digests = by_fold[tested[seed]]
        counts = {name: digests.train_cases(name, fraction) for name in names}
        weights = {task: weight for task, weight in study.training.loss_weights.items() if task in names}
        training = study.training.model_copy(update={"loss_weights": weights})
        tasks = tuple(dataset.tasks[name] for name in names)
        data = digests.unit(names, fraction)
        spec = RunSpec(tasks, fraction, seed, study.model, training, data, checkpoint)
        _, steps = training.span(sum(counts.values()))
        images = steps * training.batch_size
        n_train = sum(counts.values())
        flops = images * flops_per_image(study.model, spec.training)
        runs.append(PlannedRun(spec, tuple(counted_as), n_train, steps, images, flops, tested[seed]))
    return runs


def select(runs: Sequence[PlannedRun], patterns: Iterable[str]) -> list[PlannedRun]:
    """Runs that fit one of the patterns; all where there is none. Raises `StudyError` for a pattern that fits none."""
    patterns = list(patterns)
    for pattern in patterns:
        if not any(run.matches(pattern) for run in runs):
            (aggregation, unit), spec = runs[0].labels[0], runs[0].spec
            example = f"{aggregation}/{unit}/f{spec.fraction:g}/s{spec.seed}"
            raise StudyError(
                f"--only {printable(pattern)}: fits no run; a run is named like {example}, and * is any text"
            )
    return [run for run in runs if not patterns or any(run.matches(pattern) for pattern in patterns)]


class _Digests:
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
        with open(weights, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
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
