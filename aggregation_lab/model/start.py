"""The start of a second stage: the weights of a finished run of a unit that holds its tasks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from aggregation_lab.errors import ModelError, ResultsError
from aggregation_lab.kept.model_files import read_weights
from aggregation_lab.model.heads.by_task import parameters_of
from aggregation_lab.model.m2dino import M2DINO
from aggregation_lab.run import DONE, STARTS_FROM, Start
from aggregation_lab.storage.sealed_json import read_sealed
from aggregation_lab.text import listed, printable

_HEADS, _EMBEDDING = "heads.", "task_embedding.weight"
_LISTED = 3


def take_start(model: M2DINO, start: Start, folder: Path | None) -> None:
    """Fill `model` with the weights of the run in `folder`: all but the heads and embeddings of tasks it has not.

    Raises `ResultsError` where the folder does not hold the last weights of that run, and `ModelError` where they do
    not fit.
    """
    if folder is None:
        raise ResultsError(f"the run that this one starts from, {start.run}, is not there; finish it first")
    named = printable(str(folder), 400)
    try:
        run = read_sealed(folder / DONE).get("run")
    except (OSError, ValueError) as error:
        raise ResultsError(f"{named}: the run to start from has no usable {DONE} ({error}); finish it first") from error
    if run != start.run:
        raise ResultsError(f"{named}: holds the run {printable(str(run), 40)}, not {start.run} to start from")
    weights = for_tasks(read_weights(folder, STARTS_FROM), start.tasks, [task.name for task in model.tasks])
    if faults := misfits(model.state_dict(), weights):
        raise ModelError(f"{named}: its weights do not fit the run that starts from them: {faults}; train it again")
    model.load_state_dict(weights)


def for_tasks(weights: Mapping[str, Tensor], held: Sequence[str], wanted: Sequence[str]) -> dict[str, Tensor]:
    """The weights of a model of the tasks `held` as a model of the tasks `wanted` has them, which are some of those."""
    others = tuple(_HEADS + parameters_of(task) for task in held if task not in wanted)
    kept = {name: value for name, value in weights.items() if not name.startswith(others)}
    if _EMBEDDING in kept:
        kept[_EMBEDDING] = kept[_EMBEDDING][[sorted(held).index(task) for task in wanted]]
    return kept


def misfits(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str:
    """What does not fit, in words; empty where all of it does."""
    shapes = [name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape]
    kinds = {
        "missing": own.keys() - weights.keys(),
        "unexpected": weights.keys() - own.keys(),
        "of another size": shapes,
    }
    return "; ".join(f"{kind}: {listed(sorted(names), _LISTED)}" for kind, names in kinds.items() if names)
