"""Arms: variants of model and training in one study, each a few settings that differ from the study's own.

In a study file an arm is written by what it changes, `wide: {model.encoder: vit_small_patch16_dinov3}`. Read, it has a
model and a training of its own, so that nothing has to know what it was a variant of.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from aggregation_lab.aggregation import ARROW, FLOOR, PARADIGMS
from aggregation_lab.config import ModelConfig, TrainingConfig, check_frozen
from aggregation_lab.config_fields import Config
from aggregation_lab.results import ONLY_ARM
from runners.planning.fields import AggregationName, Name
from runners.planning.sequences import check_sequence

MOST_ARMS = 100


class Arm(Config):
    """A variant of model and training, and the aggregations it is trained under."""

    aggregations: tuple[AggregationName, ...] | None = Field(None, min_length=1)
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

    aggregation: AggregationName | None = None
    """Empty: TS, where the study has it."""
    arm: Name | None = None
    """Empty: every arm is compared with itself; a report is of the first arm."""


class Compare(Config):
    """Which comparison a report makes where nothing else is asked for."""

    base: Base = Base()


Known = Mapping[str, Any]
"""Fields of a study that are checked already."""


def with_own_settings(value: Any, study: Known, preset: Mapping[str, float]) -> Any:
    """Arms as a file has them, each with the fields of a model and a training of its own; `preset` is what the budget
    sets in `training`.

    Anything else than arms comes back as it is. None at all where the study's own model or training is at fault, which
    is reported there.
    """
    if not isinstance(value, dict):
        return value
    if not {"model", "training"} <= study.keys():
        return {}
    own = {}
    for name, changes in value.items():
        own[name] = {} if changes is None else changes
        if isinstance(own[name], dict):
            own[name] = overridden(study["model"], study["training"], own[name])
            if isinstance(own[name]["training"], dict):
                own[name]["training"] = {**preset, **own[name]["training"]}
    return own


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


def check_arms(arms: Mapping[str, Arm], study: Known) -> None:
    """Raises `ValueError` where the name of an arm could be taken for something else, or an aggregation is unknown."""
    aggregations = study.get("aggregations", {})
    check_names(arms, aggregations)
    for name, arm in arms.items():
        unknown = [other for other in arm.aggregations or () if other not in aggregations]
        if unknown and aggregations:
            raise ValueError(f"{name}.aggregations holds {unknown[0]}; the study has {', '.join(aggregations)}")
        held = arm.aggregations or ()
        for sequence in (other for other in held if ARROW in other):
            try:
                check_sequence(sequence, held, "the arm")
            except ValueError as error:
                raise ValueError(f"{name}.aggregations: {error}") from error


def check_names(names: Iterable[str], aggregations: Iterable[str]) -> None:
    """Raises `ValueError` where a name could be taken for something else."""
    known = {name.lower(): f"the aggregation {name}" for name in (*PARADIGMS, *aggregations)}
    known[FLOOR] = "the name of the trivial predictors"
    taken: dict[str, str] = {}
    for name in names:
        if name.lower() in known:
            raise ValueError(f"{name} reads as {known[name.lower()]}; choose another name")
        if taken.setdefault(name.lower(), name) != name:
            raise ValueError(f"{name} differs from {taken[name.lower()]} in capitals alone; choose another name")


def check_reference(reference: str, study: Known) -> None:
    """Raises `ValueError` where the plain network cannot be compared with TS."""
    aggregations, arms = study["aggregations"], study["arms"]
    if "TS" not in aggregations:
        raise ValueError("is compared with TS, which the study does not train; add TS to aggregations")
    if reference not in arms:
        check_names([*arms, reference], aggregations)
        reference_arm(reference, study["model"], study["training"])
    elif not arms[reference].holds("TS"):
        raise ValueError(f"{reference} is an arm that is not trained under TS; add TS to its aggregations")
    elif len(arms) == 1:
        raise ValueError(f"{reference} is the only arm; add the one that it is compared with, such as {ONLY_ARM}: {{}}")


def check_base(base: Base, study: Known) -> None:
    """Raises `ValueError` where there is no such arm or aggregation to compare with."""
    aggregations, arms = study["aggregations"], study["arms"]
    if base.aggregation is not None and base.aggregation not in aggregations:
        raise ValueError(f"base.aggregation is {base.aggregation}; the study has {', '.join(aggregations)}")
    compared = [name for name in arms or (ONLY_ARM,) if name != study.get("reference")]
    if base.arm is not None and base.arm not in compared:
        raise ValueError(f"base.arm is {base.arm}; the study has {', '.join(compared)}")
    if base.aggregation is not None and base.arm in arms and not arms[base.arm].holds(base.aggregation):
        raise ValueError(f"base: the arm {base.arm} is not trained under {base.aggregation}")
