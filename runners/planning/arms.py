"""Arms: variants of model and training in one study, each a few settings that differ from the study's own.

In a study file an arm is written by what it changes, `wide: {model.encoder: vit_small_patch16_dinov3}`. Read, it has a
model and a training of its own, so that nothing has to know what it was a variant of.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from aggregation_lab.aggregation import FLOOR, PARADIGMS
from aggregation_lab.config import Config, ModelConfig, TrainingConfig, check_frozen
from runners.planning.fields import Name

MOST_ARMS = 100


class Arm(Config):
    """A variant of model and training, and the aggregations it is trained under."""

    aggregations: tuple[Name, ...] | None = Field(None, min_length=1)
    """Empty: all aggregations of the study."""
    model: ModelConfig
    training: TrainingConfig

    @field_validator("training")
    @classmethod
    def _fits_the_model(cls, training: TrainingConfig, info: ValidationInfo) -> TrainingConfig:
        if "model" in info.data:
            check_frozen(info.data["model"], training)
        return training

    def holds(self, aggregation: str) -> bool:
        """Whether the arm is trained under the aggregation."""
        return self.aggregations is None or aggregation in self.aggregations


class Base(Config):
    """What others are compared with."""

    aggregation: Name | None = None
    """Empty: TS, where the study has it."""
    arm: Name | None = None
    """Empty: every arm is compared with itself; a report is of the first arm."""


class Compare(Config):
    """Which comparison a report makes where nothing else is asked for."""

    base: Base = Base()


def overridden(model: ModelConfig, training: TrainingConfig, changes: Mapping[Any, Any]) -> dict[str, Any]:
    """The fields of an arm as plain values: those of `model` and `training` as they were given, with the `changes` at
    their dotted paths.

    A path may name a whole section, and an empty value brings a field back to its default. Nothing is checked.
    """
    arm: dict[str, Any] = {
        "model": model.model_dump(exclude_unset=True),
        "training": training.model_dump(exclude_unset=True),
    }
    by_path = {str(path): value for path, value in changes.items()}
    for path in sorted(by_path, key=lambda path: path.count(".")):  # a section before what it holds
        *parents, last = path.split(".")
        at = arm
        for parent in parents:
            if not isinstance(at.get(parent), dict):
                at[parent] = {}
            at = at[parent]
        if by_path[path] is None and _is_field(path):
            at.pop(last, None)
        else:
            at[last] = deepcopy(by_path[path])
    return arm


def _is_field(path: str) -> bool:
    """Whether the dotted path names a field of an arm's model or training."""
    first, *rest = path.split(".")
    section: Any = {"model": ModelConfig, "training": TrainingConfig}.get(first)
    for name in rest:
        info = section.model_fields.get(name) if isinstance(section, type) and issubclass(section, BaseModel) else None
        if info is None:
            return False
        section = info.annotation
    return bool(rest)


def reference_arm(encoder: str, model: ModelConfig, training: TrainingConfig) -> Arm:
    """A plain network under TS: `encoder` without experts, frozen blocks and stochastic depth, trained as the others.

    Raises `ValueError` where the others start from a checkpoint, which is of another encoder.
    """
    if model.weights not in ("random", "hub"):
        raise ValueError(
            f"{encoder} cannot start from model.weights, a checkpoint of another encoder; name an arm that has "
            "weights of its own"
        )
    plain = {
        "aggregations": ("TS",),
        "model.encoder": encoder,
        "model.moe": {"experts": 0},
        "model.frozen_blocks": None,
        "model.drop_path": None,
    }
    return Arm.model_validate(overridden(model, training, plain))


def name_clash(names: Iterable[str], aggregations: Iterable[str]) -> str | None:
    """What is wrong with the names of arms, where one could be taken for something else."""
    known = {name.lower(): f"the aggregation {name}" for name in (*PARADIGMS, *aggregations)}
    known[FLOOR] = "the name of the trivial predictors"
    taken: dict[str, str] = {}
    for name in names:
        if name.lower() in known:
            return f"{name} reads as {known[name.lower()]}; choose another name"
        if taken.setdefault(name.lower(), name) != name:
            return f"{name} differs from {taken[name.lower()]} in capitals alone; choose another name"
    return None
