"""Runs that start from the weights of another one: what keeps them from being trained."""

from aggregation_lab.run import STARTS_FROM, weights_file
from runners.store.run_folder import State, Status


def has_weights(status: Status) -> bool:
    """Whether a finished run has kept the weights that others start from."""
    return weights_file(STARTS_FROM) in status.kept


def held_back(status: Status, first: Status, title: str) -> Status:
    """The status of a run that nobody has claimed, by that of the run it starts from, called `title`."""
    if first.state is State.DONE and has_weights(first):
        return status
    if first.state is State.DONE:
        return Status(State.WAITING, f"starts from {title}, which has kept no weights; run-grid trains that again")
    if first.state is State.FAILED:
        return Status(State.BLOCKED, f"starts from {title}, which has failed: {first.reason}")
    return Status(State.WAITING, f"starts from {title}")
