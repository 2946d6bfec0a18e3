"""From a study and its data to the runs it needs; what is equal in two aggregations or two arms becomes one run."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import permutations, product
from typing import TYPE_CHECKING, Any, NamedTuple

from aggregation_lab.aggregation import FOUND, Aggregation, rests_on_found
from aggregation_lab.errors import StudyError
from aggregation_lab.results import AFFINITY
from aggregation_lab.run import STARTS_FROM, RunSpec, Start
from aggregation_lab.text import printable
from aggregation_lab.training.affinity.settings import AffinitySettings
from aggregation_lab.training.keep import NOTHING, Keep
from runners.planning.arms import Arm
from runners.planning.cost import flops_per_image
from runners.planning.data_digests import Digests, case_digests, weights_digest
from runners.planning.study_schema import Study

if TYPE_CHECKING:
    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.splits.folds import Folds

RunKey = tuple[tuple[str, ...], float, int, tuple[str, ...]]
"""Tasks, fraction and seed of a run, and the tasks of the run that it starts from, if any."""
MOST_RUNS = 50_000
"""Runs of one study; a grid of more could neither be listed nor be finished."""


class Label(NamedTuple):
    """What a run counts as: a unit of an aggregation, in an arm. `arm` is empty where the study has one arm alone."""

    aggregation: str
    unit: str
    arm: str = ""

    @property
    def model(self) -> str:
        """The aggregation with its arm, as in wide/TS; units of one are compared with those of another."""
        return f"{self.arm}/{self.aggregation}" if self.arm else self.aggregation


@dataclass(frozen=True)
class PlannedRun:
    """One run and the units it counts as.

    `n_train` cases of its unit, `steps`, `images` it will see, `flops` it will take by estimate: the most, where its
    training goes on until it has converged. `fold` is the one that it tests, None with one split; `keep` what the
    study keeps of it beside its tables, `affinity` what it records of its tasks, None with one task. `is_start`: other
    runs start from its weights. `is_evidence`: the partition `found` is found from its results.
    """

    spec: RunSpec
    labels: tuple[Label, ...]
    n_train: int
    steps: int
    images: int
    flops: float
    fold: int | None = None
    keep: Keep = NOTHING
    affinity: AffinitySettings | None = None
    is_start: bool = False
    is_evidence: bool = False

    @cached_property
    def id(self) -> str:
        return self.spec.id

    @property
    def leaves(self) -> Keep:
        """What the run leaves beside its tables: what the study keeps, and weights where others start from them."""
        return self.keep.with_weights(STARTS_FROM) if self.is_start else self.keep

    @property
    def start(self) -> str | None:
        """The id of the run whose weights this one starts from, which has to be finished before; None without one."""
        return self.spec.start.run if self.spec.start else None

    @property
    def key(self) -> RunKey:
        """What stays when the study's settings change: unit, fraction, seed, unit of the first stage. Arms differ in
        settings alone."""
        first = self.spec.start.tasks if self.spec.start else ()
        return tuple(task.name for task in self.spec.tasks), self.spec.fraction, self.spec.seed, first

    @property
    def rests_on_found(self) -> bool:
        """Whether the run would not be there without the partition `found`."""
        return all(rests_on_found(label.aggregation) for label in self.labels)

    @property
    def holds_found(self) -> bool:
        """Whether the run counts as a unit of `found`, or of a sequence with it, and maybe as another one, too."""
        return any(rests_on_found(label.aggregation) for label in self.labels)

    @property
    def unit_title(self) -> str:
        units = " = ".join(f"{label.model}/{label.unit}" for label in self.labels)
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

    @property
    def files(self) -> frozenset[str]:
        """Files that the study asks for beside the tables that every run leaves."""
        return self.keep.files | ({f"{AFFINITY.name}.parquet"} if self.affinity else frozenset())

    @property
    def moments(self) -> int:
        """At how many moments of its budget the run records its tasks."""
        training = self.spec.training
        if self.affinity is None:
            return 0
        return self.affinity.moments_of(len(self.spec.tasks), training.steps(self.n_train), training.batch_size)

    @property
    def recording(self) -> float:
        """What that takes, as a share of the operations of the run."""
        training = self.spec.training
        if self.affinity is None:
            return 0.0
        return self.affinity.cost(len(self.spec.tasks), training.steps(self.n_train), training.batch_size)

    def flops_of(self, images: int) -> float:
        """Operations of the run once it has seen so many images; `flops` where 0 says that nobody knows."""
        return self.flops * images / self.images if images else self.flops

    @property
    def folder_name(self) -> str:
        slug = re.sub(r"[^A-Za-z0-9_]+", "_", self.labels[0].unit)[:60]
        return f"{slug}-f{self.spec.fraction:g}-s{self.spec.seed}-{self.id}"

    def matches(self, pattern: str) -> bool:
        """Whether a shell pattern fits a label AGGREGATION/UNIT/fFRACTION/sSEED, with or without its arm in front, or
        one of its parts, or the id."""
        for label in self.labels:
            parts = (label.aggregation, label.unit, f"f{self.spec.fraction:g}", f"s{self.spec.seed}")
            names = [*parts, "/".join(parts[:2]), "/".join(parts), self.id]
            if label.arm:
                names += [label.arm, label.model, *(f"{label.arm}/{name}" for name in names[4:6])]
            if any(name == pattern or fnmatchcase(name, pattern) for name in names):  # a name may hold `[`
                return True
        return False

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "spec": self.spec.to_json(),
            "labels": [[text for text in label if text] for label in self.labels],
            "n_train": self.n_train,
            "steps": self.steps,
            "images": self.images,
            "flops": self.flops,
            **({} if self.fold is None else {"fold": self.fold}),
            **({} if self.keep == NOTHING else {"keep": self.keep.to_json()}),
            **({} if self.affinity is None else {"affinity": self.affinity.model_dump()}),
            **({"is_start": True} if self.is_start else {}),
            **({"is_evidence": True} if self.is_evidence else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "PlannedRun":
        labels = tuple(Label(*label) for label in value["labels"])
        spec = RunSpec.from_json(value["spec"])
        size = (value["n_train"], value["steps"], value["images"], value["flops"])
        keep = Keep.from_json(value["keep"]) if "keep" in value else NOTHING
        affinity = AffinitySettings.model_validate(value["affinity"]) if "affinity" in value else None
        marks = (value.get(name, False) for name in ("is_start", "is_evidence"))
        return cls(spec, labels, *size, value.get("fold"), keep, affinity, *marks)


def plan_runs(
    study: Study, dataset: "Dataset", folds: "Folds", found: Mapping[str, Sequence[str]] | None = None
) -> list[PlannedRun]:
    """Every run of the study, in the order of arms, aggregations, fractions, seeds; those that rest on the partition
    `found`, where the grid finds it, once its units are given.

    Raises `StudyError` where aggregations do not fit the data's tasks, or an arm has no run that another has not, and
    `DataError` where a fraction leaves a task without training cases.
    """
    cases, arms, aggregations = case_digests(dataset), study.variants, study.partitions(dataset.tasks, found)
    by_fold = {fold: Digests(cases, folds.split(fold)) for fold in set(map(study.fold, study.seeds))}
    units = sum(len(part.units) for arm in arms.values() for part in aggregations if arm.holds(part.name))
    planned = units * len(study.fractions) * len(study.seeds)
    if planned > MOST_RUNS:
        advice = "take fewer aggregations, fractions or seeds"
        raise StudyError(f"fractions, seeds: make {planned} runs, {MOST_RUNS} are the most; {advice}")
    checkpoints = {weights: weights_digest(weights) for weights in {arm.model.weights for arm in arms.values()}}
    of_arms = {}
    for name, arm in arms.items():
        held = [aggregation for aggregation in aggregations if arm.holds(aggregation.name)]
        of_arms[name] = _plan_arm(study, arm, name, held, dataset, by_fold, checkpoints[arm.model.weights])
    _check_different(of_arms)
    later = study.starts_of_unknown if found is None else frozenset()
    return _with_starts(_trained_once([run for runs in of_arms.values() for run in runs]), later)


def _plan_arm(
    study: Study,
    arm: Arm,
    arm_name: str,
    aggregations: Sequence[Aggregation],
    dataset: "Dataset",
    by_fold: Mapping[int | None, "Digests"],
    checkpoint: str,
) -> list[PlannedRun]:
    """The runs of one arm, a unit that two aggregations share once. `checkpoint` is the digest of its weights."""
    label = arm_name if len(study.variants) > 1 else ""
    labels: dict[RunKey, list[Label]] = {}
    for aggregation in sorted(
        aggregations, key=lambda partition: partition.first is not None
    ):  # a start before its use
        for unit in aggregation.units:
            held_by = aggregation.start_of(unit)
            for fraction, seed in product(study.fractions, study.seeds):
                counted_as = Label(aggregation.name, unit.name, label)
                key = unit.tasks, fraction, seed, held_by.tasks if held_by else ()
                labels.setdefault(key, []).append(counted_as)
    runs: dict[RunKey, PlannedRun] = {}
    for key, counted in labels.items():
        names, fraction, seed, first = key
        start = Start(runs[first, fraction, seed, ()].id, first) if first else None
        settings = study.second_stage(arm) if start else arm.training
        fold = study.fold(seed)
        counts = {name: by_fold[fold].train_cases(name, fraction) for name in names}
        weights = {task: weight for task, weight in settings.loss_weights.items() if task in names}
        training = settings.model_copy(update={"loss_weights": weights})
        tasks = tuple(dataset.tasks[name] for name in names)
        data = by_fold[fold].unit(names, fraction)
        spec = RunSpec(tasks, fraction, seed, arm.model, training, data, checkpoint, start)
        n_train = sum(counts.values())
        _, steps = training.span(n_train)
        images = steps * training.batch_size
        keep = study.keep.of_run(fraction, study.fractions)
        evidence = any(study.informs_found(counts_as.aggregation, arm_name, fraction) for counts_as in counted)
        affinity = study.recorded(evidence) if len(tasks) > 1 else None
        recording = affinity.cost(len(tasks), training.steps(n_train), training.batch_size) if affinity else 0.0
        flops = images * flops_per_image(arm.model, spec.training) * (1 + recording)
        size = (n_train, steps, images, flops)
        runs[key] = PlannedRun(spec, tuple(counted), *size, fold, keep, affinity, is_evidence=evidence)
    return list(runs.values())


def _check_different(of_arms: Mapping[str, Sequence[PlannedRun]]) -> None:
    """Raises `StudyError` where every run of an arm is that of another one, too."""
    if len(of_arms) == 1:
        return
    trained = {
        name: {(label.aggregation, label.unit, run.id) for run in runs for label in run.labels}
        for name, runs in of_arms.items()
    }
    for (name, runs), (other, others) in permutations(trained.items(), 2):
        if runs <= others and (len(runs) < len(others) or list(trained).index(name) > list(trained).index(other)):
            raise StudyError(
                f"arms.{name}: needs the same runs as {other} in every unit, so there is nothing to compare; change it "
                "or take it out"
            )


def _trained_once(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The same runs, those of two arms that are one with the labels of both."""
    once: dict[str, PlannedRun] = {}
    for run in runs:
        known = once.get(run.id)
        if known is not None:  # one of both may be evidence, and record more for it
            run = replace(run if run.is_evidence else known, labels=(*known.labels, *run.labels))
        once[run.id] = run
    return list(once.values())


def _with_starts(runs: Sequence[PlannedRun], later: frozenset[str]) -> list[PlannedRun]:
    """The same runs, those that others start from marked as such; with them those of the aggregations `later`, from
    which units will start that are not known yet."""
    starts = {run.start for run in runs}
    return [
        replace(run, is_start=run.id in starts or any(label.aggregation in later for label in run.labels))
        for run in runs
    ]


def names_found(pattern: str) -> bool:
    """Whether a shell pattern asks for runs of `found`, or of sequences with it, whose units nobody knows yet."""
    first, *others = pattern.split("/")  # of an arm's runs the aggregation is the second part
    return fnmatchcase(FOUND, first) or any(map(rests_on_found, [first, *others[:1]]))


def select(runs: Sequence[PlannedRun], patterns: Iterable[str], *, unknown_found: bool = False) -> list[PlannedRun]:
    """Runs that fit one of the patterns; all where there is none. Raises `StudyError` for a pattern that fits none, but
    for those of `found` where its units are not known."""
    patterns = list(patterns)
    for pattern in patterns:
        if not any(run.matches(pattern) for run in runs) and not (unknown_found and names_found(pattern)):
            label, spec = runs[0].labels[0], runs[0].spec
            example = f"{label.model}/{label.unit}/f{spec.fraction:g}/s{spec.seed}"
            raise StudyError(
                f"--only {printable(pattern)}: fits no run; a run is named like {example}, and * is any text"
            )
    return [run for run in runs if not patterns or any(run.matches(pattern) for pattern in patterns)]
