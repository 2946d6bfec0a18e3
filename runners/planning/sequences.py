"""Sequential aggregations in a study file: `AU>TS`, and what their second stage is trained with.

The second stage is trained as the first one is, but for the fields of `training` that `specialise` sets.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from aggregation_lab.aggregation import ARROW, PARADIGMS
from aggregation_lab.config import ModelConfig, TrainingConfig, check_frozen
from aggregation_lab.text import printable

_OF_BOTH_STAGES = {"image_size": "the weights of the first stage are of its size of images"}
"""Fields of `training` that a second stage cannot change, and why."""


def check_sequence(name: str, others: Iterable[str], owner: str) -> None:
    """Raises `ValueError` where `name` is not FIRST>SECOND of two aggregations, or `owner` does not train the first.

    `others` are the aggregations that the owner has.
    """
    known = [other for other in others if ARROW not in other]
    parts = name.split(ARROW)
    if len(parts) > 2:
        raise ValueError(f"{name} has {len(parts)} stages; a sequential aggregation has two, as AU{ARROW}TS")
    first, second = parts
    for stage in parts:
        if stage not in known and stage not in PARADIGMS:
            takes = ", ".join(dict.fromkeys([*PARADIGMS, *known]))
            raise ValueError(f"{name} names {printable(stage, 60)}, which is no aggregation; its stages may be {takes}")
    if first not in known:
        raise ValueError(f"{name} starts from the models of {first}, which {owner} does not train; add {first}")


def specialised(training: TrainingConfig, changes: Mapping[str, Any], preset: Mapping[str, float]) -> TrainingConfig:
    """The training of a second stage: `training` with some fields changed; empty ones get their default, or what the
    budget sets, which is `preset`. Raises `ValueError`, pydantic's among them."""
    if not changes:
        return training
    for name, reason in _OF_BOTH_STAGES.items():
        if name in changes:
            raise ValueError(f"{name} cannot be changed, {reason}; take it out")
    own = training.model_dump(exclude_unset=True) | dict(changes)
    emptied = {name for name, value in changes.items() if value is None and name in TrainingConfig.model_fields}
    return TrainingConfig.model_validate(
        {**preset, **{name: value for name, value in own.items() if name not in emptied}}
    )


def check_specialise(
    changes: Mapping[str, Any],
    aggregations: Iterable[str],
    variants: Mapping[str, tuple[ModelConfig, TrainingConfig]],
    preset: Mapping[str, float],
) -> None:
    """Raises `ValueError`, pydantic's among them, where no second stage could be trained so. `variants` are the model
    and training of every arm; the name of the only one is empty."""
    if not any(ARROW in name for name in aggregations):
        raise ValueError(f"is of a second stage, and no aggregation has one; add one such as AU{ARROW}TS")
    for arm, (model, training) in variants.items():
        try:
            check_frozen(model, specialised(training, changes, preset))
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            if fault["loc"] or not arm:
                raise  # the line names the field, whichever the arm
            message = str(fault["msg"]).removeprefix("Value error, ")
            raise ValueError(f"does not go with the arm {arm}: {message}") from error
