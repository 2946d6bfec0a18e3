"""How much disk the files take that runs keep beside their tables, by estimate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from aggregation_lab.config import ModelConfig
from aggregation_lab.tasks import TaskType
from runners.planning.dry_model import dry_model
from runners.planning.plan import PlannedRun

if TYPE_CHECKING:
    from torch import Tensor

    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.splits.folds import Folds

HEADER_BYTES = 110
"""A tensor's entry in the header of a safetensors file: name, type, shape and place."""


@dataclass(frozen=True)
class DiskUse:
    """So many runs keep something that takes so many bytes in all; `case` says when, if not for certain."""

    what: str
    runs: int
    bytes: float
    case: str = ""

    def __str__(self) -> str:
        return f"{self.what} of {self.runs} runs {size_text(self.bytes)}{self.case}"


def kept_files(runs: Sequence[PlannedRun], predictions: Mapping[str, float] | None = None) -> list[DiskUse]:
    """What the runs will keep, by kind; nothing of a kind that none keeps. Models are counted, which takes torch.

    `predictions` are the `prediction_bytes` of the runs; without them these are left out.
    """
    uses = []
    if predicting := [run for run in runs if run.id in (predictions or {})]:
        uses.append(DiskUse("predictions", len(predicting), sum((predictions or {})[run.id] for run in predicting)))
    if keeping := [run for run in runs if run.leaves.models]:
        total = sum(len(run.leaves.models) * model_bytes(run) for run in keeping)
        uses.append(DiskUse("models", len(keeping), total))
    if is_open := [run for run in runs if run.is_open]:
        total = sum(map(checkpoint_bytes, is_open))
        uses.append(DiskUse("checkpoints", len(is_open), total, " if the cap ends all of them"))
    return uses


def prediction_bytes(runs: Sequence[PlannedRun], dataset: "Dataset", folds: "Folds") -> dict[str, float]:
    """Bytes of the predictions of every run that keeps them, by id: those of made-up predictions of its test cases.

    Runs that test the same cases of the same tasks take the same.
    """
    from aggregation_lab.kept.prediction_size import mask_bytes, run_bytes

    by_case = dataset.cases.set_index("case", drop=False)
    masks: dict[tuple[str, int], float] = {}
    known: dict[tuple[tuple[str, ...], int | None, int], float] = {}
    found = {}
    for run in runs:
        tasks, size = run.spec.tasks, run.spec.training.image_size
        key = (tuple(task.name for task in tasks), run.fold, size)
        if run.keep.predictions and key not in known:
            cases = [by_case.loc[folds.split(run.fold).cases("test", task.name)] for task in tasks]
            for task in tasks:
                if (task.name, size) not in masks:
                    own = dataset.cases[dataset.cases["task"] == task.name]
                    masks[task.name, size] = mask_bytes(task, own, dataset.root, size)
            known[key] = run_bytes(tasks, cases, [masks[task.name, size] for task in tasks])
        if run.keep.predictions:
            found[run.id] = known[key]
    return found


def disk_line(runs: Sequence[PlannedRun], predictions: Mapping[str, float] | None = None) -> list[str]:
    """One line on the disk that kept files take; none where nothing is kept."""
    uses = kept_files(runs, predictions)
    return [f"kept on disk: {', '.join(map(str, uses))}"] if uses else []


def model_bytes(run: PlannedRun) -> float:
    """Bytes of one kind of a run's weights: all tensors of its model, frozen ones too."""
    spec = run.spec
    shared, view_sizes, width = _shared(spec.model, spec.training.image_size)
    of_heads = (_head(task.type, task.classes, spec.model.head_width, *view_sizes) for task in spec.tasks)
    return shared + sum(head + width for head in of_heads)


def checkpoint_bytes(run: PlannedRun) -> float:
    """Bytes of a run's checkpoint, at most: its weights, two moments of each, and the best ones where it has them."""
    keeps_best = run.spec.training.checkpoint == "best" or "best" in run.leaves.models
    return (4 if keeps_best else 3) * model_bytes(run)


@cache
def _shared(model: ModelConfig, image_size: int) -> tuple[float, tuple[tuple[str, int], ...], float]:
    """Bytes of all but heads and task embeddings, channels of the views that heads read, bytes of an embedding."""
    from aggregation_lab.model.shared_maps import View

    dry = dry_model(model, image_size)
    own = ("heads.", "task_embedding.")
    tensors = [value for name, value in dry.state_dict().items() if not name.startswith(own)]
    sizes = tuple((str(view), dry.fusion.size(view)) for view in View)
    return sum(map(_bytes, tensors)), sizes, _bytes(dry.task_embedding.weight)


@cache
def _head(task_type: TaskType, classes: int, width: int, *view_sizes: tuple[str, int]) -> float:
    import torch

    network = task_type.network
    with torch.device("meta"):
        head = network.head(dim=dict(view_sizes)[str(network.view)], classes=classes, width=width)
    return sum(map(_bytes, head.state_dict().values()))


def _bytes(tensor: "Tensor") -> float:
    return tensor.numel() * tensor.element_size() + HEADER_BYTES


def size_text(count: float) -> str:
    """Rounded for reading: 850 kB, 42 MB, 3.1 GB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}" if count < 10 * size else f"{count / size:.0f} {unit}"
    return f"{count / 1e3:.0f} kB"
