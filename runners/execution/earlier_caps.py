"""What a grid does first where the cap of `until: converged` has changed: runs get what those with another cap have."""

from collections.abc import Callable, Sequence

from aggregation_lab.errors import ResultsError
from runners.planning.plan import PlannedRun
from runners.store.other_runs.caps import cap_line
from runners.store.run_folder import Status
from runners.store.run_store import RunStore


def extend_others(
    runs: Sequence[PlannedRun], plan: Sequence[PlannedRun], store: RunStore, say: Callable[[str], None]
) -> dict[str, Status]:
    """Give those of the `runs` to be trained what finished ones of the `plan`'s folder with another cap have for them.

    Says so, and returns the states of the runs then. A damaged result is named, and its run is trained anew.
    Raises `AgglabError` where a run's folder cannot be written.
    """
    found = store.extensions(plan)
    extending = [run for run in runs if run.id in found]
    for line in cap_line(extending, found):
        say(line)
    if extending:
        from runners.store.other_runs.take_over import take_over
    folders = store.folders(extending)
    for run in extending:
        try:
            take_over(run, folders[run.id], found[run.id])
        except ResultsError as error:
            say(f"{run.title}: is trained anew, since {str(error).partition(';')[0]}")
    return store.present(runs)
