"""looks.json: the plan of looks of a grid that stops where verdicts are given, and the looks that were made.

The plan is written before anything is trained for it and never changes. A look is added once its verdicts are read,
with the comparisons that it closed; the manifest holds the same, for the analysis.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from aggregation_lab.errors import StudyError
from aggregation_lab.manifest import DEFAULT_MARGIN
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from aggregation_lab.text import listed, printable
from analysis.statistics.looks import Looks
from runners.options import UNTIL_DECIDED
from runners.planning.plan import PlannedRun
from runners.planning.study_schema import Study
from runners.store.study_folder import StudyFolder

RULE = "Lan and DeMets 1983, O'Brien-Fleming type; BH over families; alpha 0.05"
"""How error is spent, and what verdicts are corrected for: a word for readers of the file."""

_NAMED = 3
"""Differences that a message names."""

Key = tuple[str, str, float, str]
"""A comparison: joint aggregation, base, fraction, task."""


@dataclass(frozen=True)
class LookRecord:
    """`looks` with those that are made; `closed` what each of them closed, and why: a verdict, or that there is no
    prospect of one; `open` comparisons after the last. `plan`: what else is fixed, as `fixed_settings` gives it; None
    in a record from before that was kept."""

    looks: Looks
    closed: tuple[tuple[tuple[Key, str], ...], ...] = ()
    open: int | None = None
    plan: Mapping[str, Any] | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be trained: all is closed, or all looks are made."""
        return self.open == 0 or len(self.looks.made) == len(self.looks.planned)

    @property
    def next_count(self) -> int:
        """Seeds after which the next look is."""
        return self.looks.planned[len(self.looks.made)]

    @property
    def all_closed(self) -> set[Key]:
        """The comparisons that no run is needed for."""
        return {key for look in self.closed for key, _ in look}

    def with_look(self, found: Mapping[Key, str]) -> "LookRecord":
        """The same after one more look, at which `found` says of every comparison why it is closed, if it is."""
        known = self.all_closed
        fresh = tuple((key, why) for key, why in found.items() if why and key not in known)
        still = sum(not why and key not in known for key, why in found.items())
        looks = replace(self.looks, made=self.looks.planned[: len(self.looks.made) + 1])
        return LookRecord(looks, (*self.closed, fresh), still, self.plan)

    def to_json(self) -> dict[str, Any]:
        """As it stands in looks.json and in the manifest."""
        rows = [[[*key, why] for key, why in look] for look in self.closed]
        plan = {} if self.plan is None else {"plan": self.plan}
        ends = {"closed": rows, "open": self.open, "finished": self.finished}
        return {**asdict(self.looks), "rule": RULE, **ends, **plan}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "LookRecord":
        """Raises `KeyError`, `TypeError` or `ValueError` where it is none."""
        looks = Looks(*(tuple(map(int, value[name])) for name in ("seeds", "planned", "made")))
        closed = tuple(
            tuple(((joint, base, fraction, task), why) for joint, base, fraction, task, why in look)
            for look in value["closed"]
        )
        plan = value.get("plan")
        return cls(looks, closed, value["open"], None if plan is None else dict(plan))


def read_looks(folder: StudyFolder) -> LookRecord | None:
    """The record of a folder; None where its grid has no looks. Raises `StudyError` where it is damaged."""
    try:
        return LookRecord.from_json(read_sealed(folder.looks_file))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"{folder.looks_file}: cannot be read ({error}); restore it, since the looks so far cannot be made again"
        ) from error


def write_looks(folder: StudyFolder, record: LookRecord) -> None:
    """Replace the record of a folder, atomically."""
    write_sealed(folder.looks_file, record.to_json())


def wanted_runs(
    runs: Sequence[PlannedRun], record: LookRecord, compared: Iterable[tuple[str, str]]
) -> list[PlannedRun]:
    """The runs that the next look needs: up to its number of seeds, those of comparisons that are not closed, and what
    they start from. `compared` are the pairs of joint aggregation and base."""
    seeds, closed, pairs = record.looks.at(record.next_count), record.all_closed, list(compared)
    by_id = {run.id: run for run in runs}
    wanted: dict[str, PlannedRun] = {}
    for run in runs:
        names = {label.aggregation for label in run.labels}
        keys = ((*pair, run.spec.fraction, task.name) for pair in pairs if names & set(pair) for task in run.spec.tasks)
        if run.spec.seed in seeds and any(key not in closed for key in keys):
            wanted[run.id] = run
            if run.start:
                wanted[run.start] = by_id[run.start]
    return list(wanted.values())


def fixed_settings(study: Study) -> dict[str, Any]:
    """What verdicts and what they are of depend on, beside seeds, data and split: as it stands in looks.json.

    A checkpoint of the user's counts as one wherever it lies; runs know it by its content.
    """
    arm = study.variants[study.base_arm]
    model = arm.model.model_dump(mode="json")
    if model["weights"] not in ("random", "hub"):
        model["weights"] = "a checkpoint"
    parts = {"model": model, "training": arm.training.model_dump(mode="json")}
    partitions = {
        name: {unit: sorted(of) for unit, of in units.items()} if units else None
        for name, units in study.aggregations.items()
    }
    return {
        "aggregations": partitions,
        "compare.base": study.compare.base.aggregation,
        "fractions": list(study.fractions),
        "margins": {"default": DEFAULT_MARGIN, **study.margins},
        "data.groups": dict(study.data.groups),
        "data.laterality": sorted(study.data.laterality),
        "specialise": study.model_dump(mode="json").get("specialise", {}),
        **_by_path(parts),
    }


def _by_path(settings: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    """Settings by their dotted paths; a mapping of the user's, by task, is one value."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        nested = isinstance(value, Mapping) and name != "loss_weights"
        found |= _by_path(value, f"{start}{name}.") if nested else {f"{start}{name}": value}
    return found


def check_plan(folder: StudyFolder, study: Study, record: LookRecord) -> None:
    """Raise `StudyError`, one line, where the study differs from the plan of looks in seeds or anything else that is
    fixed with them."""
    if record.looks.seeds != study.seeds:
        raise StudyError(
            f"{folder.looks_file}: its looks are planned for {len(record.looks.seeds)} seeds "
            f"({_ends(record.looks.seeds)}), the study has {len(study.seeds)} ({_ends(study.seeds)}); the plan is "
            "fixed, so put the seeds back, or choose another --out"
        )
    planned, now = record.plan or {}, fixed_settings(study)
    # A newer agglab may know more settings than the one that made the plan.
    differing = [name for name, was in planned.items() if now.get(name) != was]
    if differing:
        said = [f"{name} {_shown(planned[name])} (now {_shown(now.get(name))})" for name in differing]
        raise StudyError(
            f"{folder.looks_file}: its looks are planned with {listed(said, _NAMED)}; the plan is fixed, so put the "
            "old settings back, or choose another --out"
        )


def _shown(value: Any) -> str:
    """A setting as one reads it: aggregations by their names, unless one has units of its own."""
    if isinstance(value, Mapping) and not any(value.values()):
        return ", ".join(sorted(value)) or "none"
    return printable(json.dumps(value, ensure_ascii=False), 120)


def check_without(folder: StudyFolder) -> None:
    """Raise `StudyError` where looks decide the seeds of a folder and a plain grid would train all of them."""
    if folder.looks_file.exists():
        raise StudyError(
            f"{folder.looks_file}: looks at the verdicts decide how many seeds are trained here; add {UNTIL_DECIDED}, "
            "or choose another --out"
        )


def looks_line(record: LookRecord | None) -> list[str]:
    """One line on the looks that decide how many seeds are trained; none where none do."""
    if record is None:
        return []
    looks = record.looks
    done = f"{len(looks.made)} of {len(looks.planned)} looks at the verdicts are made"
    if record.finished:
        return [f"{done}; nothing more is to be trained: runs that are pending would decide nothing"]
    still = "" if record.open is None else f"{record.open} comparisons are open, "
    return [f"{done}; {still}the next one is after {record.next_count} of at most {len(looks.seeds)} seeds"]


def _ends(seeds: Sequence[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}"
