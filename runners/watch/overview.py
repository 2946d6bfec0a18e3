"""A study as one JSON object: its runs by state, the time left, and the curves of finished runs by task."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aggregation_lab import results
from aggregation_lab.aggregation import FOUND
from aggregation_lab.errors import AgglabError
from runners.execution.groups import outdated_lines, unfound
from runners.execution.look_stages import next_stage
from runners.execution.time_estimate import TimeEstimate, learn
from runners.planning.plan import PlannedRun
from runners.store.look_record import looks_line, read_looks
from runners.store.other_runs.caps import cap_line
from runners.store.run_folder import State, Status
from runners.store.run_store import unkept_line
from runners.store.study_folder import StudyFolder

ALL_TRAINED, NEXT_LOOK = "all planned runs are trained", "the next look at the verdicts"
"""Until when `seconds_left` counts."""


def overview(folder: StudyFolder) -> dict[str, Any]:
    """The state of every run that is not finished, how many are, and about how many seconds are left: until the next
    look where looks decide what is trained, else until all planned runs are trained, whatever a grid was asked for
    (`left_until`). Groups that are not found yet are one row, of which nobody knows how many runs it stands for;
    `seconds_left` is without them.

    Raises `StudyError` where `folder` is no study's output.
    """
    runs = folder.read_plan()
    states, study, record = folder.runs.statuses(runs), folder.read_study(), read_looks(folder)
    wanted = runs if record is None else next_stage(study, runs, record)
    search = unfound(folder, study, runs, states)
    rows = [_row(run, states[run.id]) for run in runs if states[run.id].state is not State.DONE]
    notes = [*unkept_line(runs, states), *outdated_lines(folder, study, runs), *looks_line(record)]
    notes += cap_line(runs, folder.runs.extensions(runs))
    if search:
        rows.append({"id": FOUND, "title": FOUND, "state": str(search.state), "reason": search.reason})
        notes.append(f"{FOUND}: {search.reason}; what its runs take is in no figure here")
    return {
        "study": study.name,
        "folder": str(folder),
        "runs": len(runs),
        "states": dict(Counter(str(states[run.id].state) for run in runs)),
        "seconds_left": seconds_left(folder, runs, states, wanted),
        "left_until": ALL_TRAINED if record is None else NEXT_LOOK,
        "unfinished": rows,
        "notes": notes,
        "looks": None if record is None else record.to_json(),
    }


def seconds_left(
    folder: StudyFolder, runs: Sequence[PlannedRun], states: Mapping[str, Status], wanted: Sequence[PlannedRun]
) -> float | None:
    """Time until the last of the `wanted` runs, and of those under way, ends at the pace of those that have on the same
    type of device, with as many at a time as there are now; None while none has ended or none is under way. The most,
    where runs decide themselves when they end, or are trained on devices of several types."""
    active = [run for run in runs if states[run.id].state is State.RUNNING]
    waiting = [run for run in wanted if states[run.id].state in (State.PENDING, State.WAITING)]
    at_work = [states[run.id].progress for run in active]
    paces = [learn(folder.runs, runs, device) for device in {at.device for at in at_work if at is not None}]
    if not paces or not all(pace.finished for pace in paces):
        return None

    def left(pace: TimeEstimate) -> float:
        return pace.makespan(
            [*active, *waiting], len(active), lambda run: pace.cost(run) * (1 - _share(states[run.id]))
        )

    return max(map(left, paces))


def _share(status: Status) -> float:
    return status.progress.step / status.progress.steps if status.progress else 0.0


def _row(run: PlannedRun, status: Status) -> dict[str, Any]:
    row: dict[str, Any] = {"id": run.id, "title": run.title, "state": str(status.state), "reason": status.reason}
    if status.progress:
        at = status.progress
        row |= {"step": at.step, "steps": at.steps, "phase": at.phase, "at_most": at.at_most}
        row |= {"loss": _finite(at.loss), "score": _finite(at.score)}
    return row


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


class Curves:
    """Validation curves of finished runs; a run's table is read once, since it does not change any more."""

    def __init__(self, folder: StudyFolder):
        self._folder = folder
        self._read: dict[Path, list[dict[str, Any]]] = {}

    def by_task(self) -> dict[str, list[dict[str, Any]]]:
        """For each task its curves, in the order of the plan: `models` that the run counts as, fraction, seed, and
        `points` (images seen, unit-free validation score). A table that cannot be read is left out."""
        runs = self._folder.read_plan()
        states, folders = self._folder.runs.present(runs), self._folder.runs.folders(runs)
        found: dict[str, list[dict[str, Any]]] = {}
        for run in runs:
            if states[run.id].state is not State.DONE:
                continue
            named = {"models": [label.model for label in run.labels], "fraction": run.spec.fraction}
            for curve in self._of(folders[run.id]):
                shown = named | {"seed": run.spec.seed, "points": curve["points"]}
                found.setdefault(curve["task"], []).append(shown)
        return found

    def _of(self, folder: Path) -> list[dict[str, Any]]:
        if folder not in self._read:
            try:
                table = results.read_table(folder / "curves.parquet", results.RUN_TABLES["curves"])
            except AgglabError:
                return []  # the grid sets it aside and trains its run again
            self._read[folder] = [
                {
                    "task": str(task),
                    "points": [
                        [int(seen), _finite(float(score))]
                        for seen, score in zip(rows["images_seen"], rows["score"], strict=True)
                    ],
                }
                for task, rows in table.sort_values("step").groupby("task", observed=True)
            ]
        return self._read[folder]
