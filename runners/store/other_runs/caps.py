"""Runs that differ in their cap alone (`training.most_passes`): what a finished one has that another need not train.

Up to the cooldown of the shorter one they are the same run, bit by bit (`aggregation_lab.training.course`). Where
validation ended the finished run, and would have ended the other one there, too, its result is the other's. Where the
cap ended it, the other one goes on from its checkpoint before the cooldown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aggregation_lab.config import TrainingConfig, before_cooldown, with_cooldown
from aggregation_lab.results import AFFINITY
from aggregation_lab.run import BEFORE_COOLDOWN, id_but_for_cap, spec_id, weights_file
from runners.planning.plan import PlannedRun
from runners.store.run_files import Done
from runners.store.run_folder import read_done

_MADE_IN_TRAINING = frozenset({weights_file("best"), f"{AFFINITY.name}.parquet"})
"""Files that a run which goes on from a checkpoint has only if they were asked for before it."""


@dataclass(frozen=True)
class Extension:
    """The folder of a finished run with another cap that this one extends: from the checkpoint after `step` steps, or
    as it is where `step` is None."""

    folder: Path
    step: int | None = None

    @property
    def is_whole(self) -> bool:
        return self.step is None

    @property
    def words(self) -> str:
        of = f"{self.folder.name}, which has another cap"
        return f"takes over {of}" if self.step is None else f"goes on from step {self.step} of {of}"

    def left(self, run: PlannedRun) -> tuple[float, float]:
        """What is left of the run at least and at most, as shares of the most that it may take."""
        if self.step is None:
            return 0.0, 0.0
        return (with_cooldown(self.step) - self.step) / run.steps, 1 - self.step / run.steps


def extensions(runs: Sequence[PlannedRun], finished: Sequence[tuple[Path, Mapping[str, Any]]]) -> dict[str, Extension]:
    """What the runs extend, by id, of `finished` ones, which are folders and specs: a whole one, else the longest."""
    alike: dict[str, list[tuple[Path, Mapping[str, Any]]]] = {}
    for folder, spec in finished if any(run.is_open for run in runs) else ():
        try:
            alike.setdefault(id_but_for_cap(spec), []).append((folder, spec))
        except (KeyError, TypeError, AttributeError):
            continue  # not written by agglab
    found = {}
    for run in runs:
        others = alike.get(run.spec.but_for_cap, []) if run.is_open else []
        known = [each for folder, spec in others if (each := _extension(run, folder, spec)) is not None]
        if known:
            found[run.id] = max(known, key=lambda each: (each.is_whole, each.step or 0))
    return found


def _extension(run: PlannedRun, folder: Path, spec: Mapping[str, Any]) -> Extension | None:
    done = read_done(folder, spec_id(spec))
    if done is None:
        return None
    before = TrainingConfig.model_validate(spec["training"])
    start, latest, latest_now = _cooldown_start(done, before), _latest(before, run), _latest(run.spec.training, run)
    asked = run.files | run.leaves.files
    if start is None or not before.steps(run.n_train) <= start <= latest:
        return None
    by_rule = start < latest or done.capped is False
    if latest == latest_now or (by_rule and start <= latest_now):
        return Extension(folder) if asked <= done.files else None
    goes_on = not by_rule and latest < latest_now and BEFORE_COOLDOWN in done.kept
    if goes_on and (folder / BEFORE_COOLDOWN).is_file() and asked & _MADE_IN_TRAINING <= done.files:
        return Extension(folder, start)
    return None


def _cooldown_start(done: Done, training: TrainingConfig) -> int | None:
    """After which step the cooldown of a finished run began; None where its result does not say."""
    start = before_cooldown(done.images_seen // training.batch_size)
    return start if with_cooldown(start) * training.batch_size == done.images_seen else None


def _latest(training: TrainingConfig, run: PlannedRun) -> int:
    """After which step the cooldown of the run begins at the latest."""
    return before_cooldown(training.span(run.n_train)[1])


def cap_line(runs: Sequence[PlannedRun], found: Mapping[str, Extension]) -> list[str]:
    """One line on how many of the runs extend others, and how; none where none does."""
    of_runs = [found[run.id] for run in runs if run.id in found]
    whole = sum(each.is_whole for each in of_runs)
    parts = [f"taken over from runs with another cap, as validation ended them: {whole}"] if whole else []
    if longer := len(of_runs) - whole:
        parts.append(f"continued from where another cap ended them: {longer}")
    return [f"training.most_passes: {'; '.join(parts)}"] if parts else []
