"""Runs that start from the weights of another one: what keeps them from being trained."""

from pathlib import Path

from aggregation_lab.run import weights_file
from aggregation_lab.training.keep import STARTS_FROM
from runners.store.run_folder import State, Status, read_done, run_state


def first_state(folder: Path, run_id: str) -> Status:
    """State of the run of a first stage; one that is finished without weights for others counts as pending."""
    status = run_state(folder, run_id)
    if status.state is State.DONE and not has_weights(folder, run_id):
        return Status(State.PENDING, "has kept no weights; run-grid trains it again")
    return status


def has_weights(folder: Path, run_id: str) -> bool:
    """Whether the finished run in `folder` has kept the weights that another run starts from."""
    done = read_done(folder, run_id)
    name = weights_file(STARTS_FROM)
    return done is not None and name in done.kept and (folder / name).is_file()


def held_back(status: Status, first: Status, title: str) -> Status:
    """The status of a run that nobody has claimed, by that of the run it starts from, called `title`."""
    if first.state is State.DONE:
        return status
    if first.state is State.FAILED:
        return Status(State.BLOCKED, f"it starts from {title}, which has failed: {first.reason}")
    why = first.reason if first.state is State.PENDING and first.reason else "is not finished"
    return Status(State.WAITING, f"it starts from {title}, which {why}")
