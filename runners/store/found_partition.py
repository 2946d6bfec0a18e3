"""found.json: the partition that a grid has found, why, and the results that it rests on.

It is written once. A grid that is resumed reads it, and searches anew only where it is asked to; what has changed since
is said, in one line. The manifest has a copy, without the list of runs.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aggregation_lab.aggregation import FOUND
from aggregation_lab.errors import StudyError
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from runners.planning.found_settings import FoundSettings
from runners.planning.plan import PlannedRun
from runners.planning.study_schema import Study
from runners.store.run_folder import State, Status
from runners.store.run_store import RunStore

FORMAT = 1
"""Number of the form of found.json."""
TABLES = ("curves", "affinity", "runs")
"""Tables of runs that a partition is found from: validation scores, affinities, and what training takes."""
_COMPARED = ("curves", "affinity")
"""Those that are the same when a run is trained again."""
ANEW = "`agglab run-grid STUDY --rerun stale` searches anew"


@dataclass(frozen=True)
class FoundPartition:
    """`units` by name; `options` it was asked for with, `seed` of the draws behind its chances, `arm` it was found on;
    `runs` it rests on, with the digests of their tables by name, and `tables`, one digest over all runs of each;
    `why` in words, and `about`, what the search gave in numbers."""

    units: Mapping[str, Sequence[str]]
    options: Mapping[str, float | None]
    seed: int
    arm: str
    seeds: Sequence[int]
    runs: Mapping[str, Mapping[str, str]]
    tables: Mapping[str, str]
    dataset: str | None
    split: str | None
    version: str
    why: Sequence[str]
    about: Mapping[str, Any]

    def write(self, file: Path) -> None:
        write_sealed(file, {"format": FORMAT, **asdict(self)})

    def for_manifest(self, outdated: str) -> dict[str, Any]:
        """What the analysis is told of it."""
        kept = {name: value for name, value in asdict(self).items() if name != "runs"}
        return {**kept, "outdated": outdated}


def read_found(file: Path) -> FoundPartition | None:
    """The partition that was found; None where none was. Raises `StudyError` where the file is damaged."""
    try:
        value = read_sealed(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _damaged(file, error) from error
    if value.pop("format", None) != FORMAT:
        raise _damaged(file, ValueError(f"it has not the format {FORMAT} that this agglab reads"))
    try:
        return FoundPartition(**value)
    except TypeError as error:  # other fields than this agglab knows
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> StudyError:
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    return StudyError(
        f"{file}: cannot be used ({reason}); restore it (manifest.json has its units), or move it away to search anew"
    )


def evidence(runs: Sequence[PlannedRun], store: RunStore) -> dict[str, dict[str, str]]:
    """By id the digests of the tables that a partition is found from, of the runs that are finished."""
    return {
        run: {name: digests[name] for name in TABLES if name in digests}
        for run, digests in store.digests([run for run in runs if run.is_evidence]).items()
    }


def table_digests(runs: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """One digest for each table, over all runs that have it."""
    found = {}
    for name in TABLES:
        lines = [f"{run} {digests[name]}\n" for run, digests in sorted(runs.items()) if name in digests]
        if lines:
            found[name] = hashlib.sha256("".join(lines).encode()).hexdigest()
    return found


def outdated(found: FoundPartition, study: Study, runs: Sequence[PlannedRun], store: RunStore) -> str:
    """What has changed since the partition was found; empty where nothing has. `runs` is the whole plan."""
    parts = []
    asked = (study.found or FoundSettings()).model_dump()
    for name, now in asked.items():
        if found.options.get(name) != now:
            parts.append(f"found.{name}: {_shown(found.options.get(name))} -> {_shown(now)}")
    if found.arm != study.base_arm:
        parts.append(f"the base arm: {found.arm} -> {study.base_arm}")
    planned = {run.id for run in runs if run.is_evidence}
    gone, added = found.runs.keys() - planned, planned - found.runs.keys()
    if gone:
        parts.append(f"{len(gone)} of the {len(found.runs)} runs that it rests on are the study's no more")
    if added:
        parts.append(f"{len(added)} runs of the study are not among those that it rests on")
    other = [
        run
        for run, digests in evidence(runs, store).items()
        if run in found.runs and any(digests.get(name) != found.runs[run].get(name) for name in _COMPARED)
    ]
    if other:
        parts.append(f"{len(other)} of the runs that it rests on have other results now")
    return "; ".join(parts)


def outdated_line(reason: str) -> list[str]:
    """The line that says so; none without a reason."""
    return [f"{FOUND}: {reason}; the partition that was found before stands, {ANEW}"] if reason else []


def _shown(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def search_status(runs: Sequence[PlannedRun], states: Mapping[str, Status]) -> Status | None:
    """How far the search is, for a study whose partition is not found yet; None where nothing is sought.

    `runs` is the whole plan, `states` has those that the partition is found from.
    """
    needed = [run for run in runs if run.is_evidence]
    if not needed:
        return None
    for state, cause in ((State.FAILED, "has failed"), (State.STALE, "is outdated")):
        for run in needed:
            if states[run.id].state is state:
                reason = f"is found from {run.title}, which {cause}: {states[run.id].reason}"
                return Status(State.BLOCKED if state is State.FAILED else State.STALE, reason)
    done = sum(states[run.id].state is State.DONE for run in needed)
    if done == len(needed):
        return Status(State.PENDING, f"the {done} runs that it is found from are finished; the next run-grid searches")
    return Status(State.WAITING, f"{done} of the {len(needed)} runs that it is found from are finished")
