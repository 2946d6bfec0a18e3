"""A run trains one unit at one fraction with one seed. `RunSpec` is everything that defines its result."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from aggregation_lab.config import ModelConfig, TrainingConfig, check_frozen
from aggregation_lab.errors import ModelError
from aggregation_lab.tasks import Task, TaskType

SPEC = "spec.json"
"""File in a run's folder that says what the run is."""
CHECKPOINT = "checkpoint.pt"
"""File in a run's folder from which an unfinished run continues."""
BEFORE_COOLDOWN = "before-cooldown.pt"
"""File in the folder of a run that its cap ended: its checkpoint where the cooldown began. A run with a larger cap goes
on from there."""
DONE = "done.json"
"""File in a run's folder that is written last: the run is finished and its tables lie beside it."""

SAME_ANSWER = "same_answer"
"""Field of done.json: tasks of which every validation case got the same answer at the end, and since which step."""

MODEL = "model.json"
"""File in a finished run's folder that says what its kept weights are and how they are used."""

PREDICTIONS, MASKS = "predictions.parquet", "predictions.zip"
"""Files in a finished run's folder with its test predictions: numbers, and the class maps among them."""

RECIPE = 4
"""Raised whenever the code changes so that the same spec gives other scores: older results then become stale."""
SHARED_MAPS_RECIPE = 4
"""The least recipe of models with an image path, maps that all heads share, and heat maps (docs/recipe.md)."""
JOINT_CONVERGENCE_RECIPE = 5
"""The least recipe of units of several tasks with `until: converged`, whose end allows for noise since then."""


_CAP = "most_passes"
"""Field of the training that says when the cooldown begins at the latest, and nothing of what comes before it."""


def weights_file(kind: str) -> str:
    """File in a finished run's folder with the weights of a kind, `last` or `best`."""
    return f"model-{kind}.safetensors"


STARTS_FROM: Literal["last"] = "last"
"""Which kept weights of a run another one starts from, whichever of them the study scores."""


@dataclass(frozen=True)
class Start:
    """The finished run whose weights another one starts from: its id, and the names of its tasks, sorted.

    The id stands for everything that the weights depend on. The tasks follow from it; they tell of which unit the run
    was once its settings have changed.
    """

    run: str
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class RunSpec:
    """Everything that defines the result of one run.

    `data` is the digest of its cases, targets and split, `weights` that of a local checkpoint ("" without one). `start`
    is the run of the first stage where this one is the second of a sequential aggregation. A unit of one task has no
    use for a multi-task method: its run is the same one whatever the study asks for.
    Raises `ModelError` where model and training do not go together.
    """

    tasks: tuple[Task, ...]
    fraction: float
    seed: int
    model: ModelConfig
    training: TrainingConfig
    data: str
    weights: str = ""
    start: Start | None = None

    def __post_init__(self) -> None:
        try:
            check_frozen(self.model, self.training)
        except ValueError as error:
            raise ModelError(f"training: {error}") from error
        if len(self.tasks) == 1:
            object.__setattr__(self, "training", self.training.one_task)

    @property
    def id(self) -> str:
        """Twelve hex digits. Clinical groups are labels of a study, not part of a run, and do not enter; nor does
        the path of a local checkpoint, only its content."""
        return spec_id(self.to_json())

    @property
    def but_for_cap(self) -> str:
        """What runs have in common that differ in `training.most_passes` alone: they are the same run up to the first
        cooldown (aggregation_lab.training.course)."""
        return id_but_for_cap(self.to_json())

    @property
    def recipe(self) -> int:
        """Which way of training gave its scores, as far as that enters its id."""
        ends_jointly = len(self.tasks) > 1 and self.training.until == "converged"
        return max(RECIPE, JOINT_CONVERGENCE_RECIPE) if ends_jointly else RECIPE

    @property
    def draws(self) -> int:
        """Seed of what training draws: the order of images, their augmentation, stochastic depth.

        A second stage draws anew, else a unit that stays as it was (TS>TS) would see its images once more in the same
        order. It follows from the seed alone, so that second stages of one seed draw alike whatever they start from.
        """
        if self.start is None:
            return self.seed
        return int.from_bytes(hashlib.sha256(f"{self.seed}/second stage".encode()).digest()[:4], "big")

    def to_json(self) -> dict[str, Any]:
        tasks = [{key: value for key, value in asdict(task).items() if key != "group"} for task in self.tasks]
        names = {task.name for task in self.tasks}
        training = self.training.model_dump()
        training["loss_weights"] = {task: weight for task, weight in training["loss_weights"].items() if task in names}
        return {
            "recipe": self.recipe,
            "tasks": sorted(tasks, key=lambda task: task["name"]),
            "fraction": self.fraction,
            "seed": self.seed,
            "model": self.model.model_dump(),
            "training": training,
            "data": self.data,
            "weights": self.weights,
            **({} if self.start is None else {"start": {"run": self.start.run, "tasks": list(self.start.tasks)}}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "RunSpec":
        """The spec that `to_json` wrote. Tasks get their name as group, since a run knows of no groups."""
        tasks = tuple(
            Task(task["name"], TaskType.of(task["type"]), task["classes"], task["name"], task["laterality"])
            for task in value["tasks"]
        )
        return cls(
            tasks,
            value["fraction"],
            value["seed"],
            ModelConfig.model_validate(value["model"]),
            TrainingConfig.model_validate(value["training"]),
            value["data"],
            value["weights"],
            Start(start["run"], tuple(start["tasks"])) if (start := value.get("start")) else None,
        )


def spec_id(spec: Mapping[str, Any]) -> str:
    """The id of the run that `RunSpec.to_json` has written, whether or not this version trains it."""
    unread = ("weights",) if spec["weights"] else ()
    model = {name: value for name, value in spec["model"].items() if name not in unread}
    return hashlib.sha256(json.dumps({**spec, "model": model}, sort_keys=True).encode()).hexdigest()[:12]


def id_but_for_cap(spec: Mapping[str, Any]) -> str:
    """The same for all runs that differ in `training.most_passes` alone."""
    training = {name: value for name, value in spec["training"].items() if name != _CAP}
    return spec_id({**spec, "training": training})


def run_folders(root: Path) -> dict[str, Path]:
    """The run folders in `root` by the id that their name ends with, whatever their unit was called."""
    names = sorted(os.listdir(root)) if root.is_dir() else []
    return {name.rsplit("-", 1)[-1]: root / name for name in names}
