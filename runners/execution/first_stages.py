"""What a grid trains besides what it is asked for, because other runs start from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aggregation_lab.errors import ResultsError
from aggregation_lab.kept.digests import read_kept
from aggregation_lab.run import STARTS_FROM, weights_file
from aggregation_lab.text import listed
from runners.planning.plan import PlannedRun
from runners.store.other_runs.starts import has_weights
from runners.store.run_folder import State, Status
from runners.store.run_store import SET_ASIDE, RunStore

_NAMED = 5


@dataclass(frozen=True)
class FirstStages:
    """Runs that runs to do start from: `unchosen` ones that are not finished, finished ones `without_weights`, and
    those that other grids have `claimed`, which are waited for."""

    unchosen: Sequence[PlannedRun] = ()
    without_weights: Sequence[PlannedRun] = ()
    claimed: Sequence[PlannedRun] = ()

    @property
    def to_train(self) -> list[PlannedRun]:
        return [*self.unchosen, *self.without_weights]

    @property
    def lines(self) -> list[str]:
        """What to say before anything starts."""
        said = []
        if self.unchosen:
            said.append(f"trained besides, as others start from {_them(self.unchosen)}: {titles(self.unchosen)}")
        if self.without_weights:
            runs = self.without_weights
            said.append(
                f"finished without weights that others can start from, trained again: {titles(runs)}; "
                f"what is there is kept in {SET_ASIDE}"
            )
        return said


def first_stages(
    todo: Sequence[PlannedRun], plan: Sequence[PlannedRun], states: Mapping[str, Status], store: RunStore
) -> FirstStages:
    """What of `plan` has to be trained so that the runs `todo` can start, and is not among them.

    Weights of finished runs are compared with their digests here: damaged ones are none.
    """
    chosen, needed = {run.id for run in todo}, {run.start for run in todo}
    starts = [run for run in plan if run.id in needed and run.id not in chosen]
    finished = [run for run in starts if states[run.id].state is State.DONE]
    folders = store.folders(finished)
    lacking = [run for run in finished if not (has_weights(states[run.id]) and _is_whole(folders[run.id]))]
    claimed = [run for run in starts if states[run.id].state is State.RUNNING]
    begun = (State.DONE, State.RUNNING)
    return FirstStages([run for run in starts if states[run.id].state not in begun], lacking, claimed)


def _is_whole(folder: Path) -> bool:
    try:
        read_kept(folder, weights_file(STARTS_FROM))
    except ResultsError:
        return False
    return True


def _them(runs: Sequence[PlannedRun]) -> str:
    return "it" if len(runs) == 1 else "them"


def titles(runs: Sequence[PlannedRun]) -> str:
    """The first of the runs by name, and how many more there are."""
    return listed([run.title for run in runs], _NAMED)
