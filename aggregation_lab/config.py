"""What defines the result of one run besides its data: typed, frozen, checked on construction."""

import json
import math
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from aggregation_lab.config_fields import Config, LastingConfig, TaskName, clean_keys
from aggregation_lab.method_names import Aggregator, Weighting
from aggregation_lab.naming import clean_name


def _text_keys(value: Any) -> Any:
    """YAML reads 255 as a number and no as a truth value; names of values are text."""
    if not isinstance(value, dict):
        return value
    for key in value:
        if isinstance(key, bool):
            raise ValueError(f"holds the truth value {key}; write it in quotes, as the file has it")
    return {clean_name(str(key)): item for key, item in value.items()}


ClassIndex = Annotated[int, Field(ge=0, le=255)]
ByValue = Annotated[dict[str, ClassIndex], BeforeValidator(_text_keys), Field(min_length=1)]


class TargetRules(Config):
    """How targets are written in files that differ from the challenge's, by task."""

    mask_values: dict[TaskName, ByValue] = Field(default_factory=dict)
    """Class by value of a task's masks, {0: 0, 255: 1}; "128-255" names all values from 128 to 255."""
    label_values: dict[TaskName, ByValue] = Field(default_factory=dict)
    """Class by label of a classification task, {1: 0, 2: 1} or {benign: 0, malignant: 1}."""
    box_format: dict[TaskName, Literal["xyxy", "xywh", "cxcywh"]] = Field(default_factory=dict)
    """What x_min, y_min, x_max, y_max hold: two corners (xyxy), the upper left corner or the centre and then width
    and height."""
    coordinates: dict[TaskName, Literal["pixels", "normalised"]] = Field(default_factory=dict)
    """Unit of a task's boxes or points: pixels of the image, or shares of its sides from 0 to 1."""
    missing_point: tuple[float, float] | Literal["empty"] | None = None
    """What stands for a point that could not be marked: [0, 0], or empty cells. Cases with one are left out."""

    @field_validator("mask_values")
    @classmethod
    def _readable(cls, tasks: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
        for task, values in tasks.items():
            taken: set[int] = set()
            for text in values:
                span = value_span(text)
                if taken & set(span):
                    raise ValueError(f"{task} names {text} twice; each value has one class")
                taken |= set(span)
        return tasks


def yaml_key(text: str) -> str:
    """A name as it can be written in a study file: in quotes where YAML would read it as something else."""
    plain = re.fullmatch(r"[A-Za-z_][\w.-]*|\d{1,10}", text) and text.lower() not in _YAML_WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


_YAML_WORDS = {"yes", "no", "on", "off", "true", "false", "y", "n", "null", "nan"}


def value_span(text: str) -> range:
    """The values that "255" or "128-255" names. Raises `ValueError` where it names none."""
    match = re.fullmatch(r"(-?\d{1,10})(?:-(\d{1,10}))?", text.strip())
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
    if not 0 <= last - first < 2**16:
        raise ValueError(f"names the value {text!r}; write a number as in 255, or two as in '128-255'")
    return range(first, last + 1)


class MoEConfig(LastingConfig):
    """Mixture-of-Experts in the last blocks of the encoder (arXiv 2603.18123, method)."""

    always_written = ("experts", "kind", "blocks", "top_k", "balance_weight")

    experts: int = Field(4, ge=0, le=64)
    """Number of experts; 0 is the plain encoder, the only kind for networks other than plain ViTs."""
    kind: Literal["split", "copy"] = "split"
    """`split` divides the FFN's hidden units among the experts and keeps its size and cost; `copy` starts every
    expert as the whole FFN and adds capacity, the paper's reading."""
    blocks: int = Field(6, ge=1, le=1000)
    """How many of the last transformer blocks carry experts."""
    top_k: int | None = Field(None, ge=1, le=64)
    """Keep only the k largest gates per token; needs `kind: copy`. Empty is the paper's dense mixture."""
    balance_weight: float = Field(0.0, ge=0, le=1e6)
    """Weight of the load-balance term; only of use with `top_k`."""

    @model_validator(mode="after")
    def _consistent(self) -> "MoEConfig":
        if self.top_k is not None and self.kind != "copy":
            raise ValueError("top_k needs kind: copy (dropping parts of a split FFN would change the encoder's start)")
        if self.balance_weight and self.top_k is None:
            raise ValueError("balance_weight needs top_k; a dense mixture has no load to balance")
        if self.top_k is not None and self.top_k > self.experts:
            raise ValueError(f"top_k is {self.top_k} but there are {self.experts} experts; it takes 1 to experts")
        return self


class ModelConfig(LastingConfig):
    """M2DINO: encoder, experts, heads."""

    always_written = ("encoder", "weights", "moe", "head_width", "drop_path", "frozen_blocks")

    encoder: str = "vit_small_patch16_dinov3"
    """A network of timm by name: a plain ViT (DINOv3, DINOv2, Eva, ...), beside which the model puts its image path, or
    one with maps at strides 4, 8 and 16 (ResNet, ConvNeXt, Swin, EfficientNet, ...), which are read in its place."""
    weights: str = "random"
    """`random`, `hub` (timm downloads them) or the path of a local checkpoint."""
    moe: MoEConfig = MoEConfig()
    head_width: int = Field(64, ge=8, le=4096, multiple_of=8)
    """Channels of the maps that all heads read, and inside heads; a multiple of 8, as they are normalised in groups."""
    drop_path: float = Field(0.0, ge=0, lt=1)
    """Stochastic depth rate of the encoder."""
    frozen_blocks: int = Field(0, ge=0, le=1000)
    """How many of the first transformer blocks keep the weights they start with, the patch embedding below them
    included. Their output is kept on disk once per image, so that runs train only what is above and beside them. Needs
    `weights` other than random and `training.augment: false`."""

    @model_validator(mode="after")
    def _worth_freezing(self) -> "ModelConfig":
        if self.frozen_blocks and self.weights == "random":
            raise ValueError(
                "frozen_blocks needs weights: hub or a checkpoint (frozen random blocks would be noise of the seed)"
            )
        return self


COOLDOWN = 5
"""Steps of constant learning rate to one of the cooldown that ends a run of `until: converged`."""
MOST_BUDGETS = 5
"""The cap of `until: converged` over `passes` where a study names none."""
ALLOWED_NOISE = 0.6
"""Rise, in standard deviations of a validation score, that `until: converged` allows to each of several tasks, times
the logarithm of their number: by it a task of a joint unit ends as near its best as one alone (docs/convergence.md)."""
_UNTIL_CONVERGED = ("rise", "patience", "most_passes")
"""Fields that `until: budget` has no use for."""

_ONE_TASK = {"aggregator": "none", "weighting": "fixed"}
"""Fields that a unit of one task has no use for, as they are in its runs."""


def with_cooldown(steps: int) -> int:
    """Steps of a run whose cooldown begins after `steps`."""
    return steps - (-steps // COOLDOWN)


def before_cooldown(steps: int) -> int:
    """The latest step after which a cooldown may begin that ends within `steps`."""
    return steps * COOLDOWN // (COOLDOWN + 1)


class TrainingConfig(LastingConfig):
    """Optimisation, the same for every unit of every aggregation."""

    always_written = (
        *("image_size", "passes", "min_steps", "batch_size", "sampling", "temperature", "learning_rate"),
        *("encoder_rate", "weight_decay", "warmup", "clip_norm", "augment", "loss_weights", "evaluations"),
        *("checkpoint", "precision", "compile"),
    )

    image_size: int = Field(224, ge=32, le=1024, multiple_of=16)
    """Side of the square the images are resized to, in pixels."""
    passes: float = Field(30, gt=0, le=1e6)
    """How often every training image is seen, in every aggregation: the matched budget. Units that the floor
    `min_steps` lifts see theirs more often; the table `runs` has the passes of each run."""
    min_steps: int = Field(100, ge=1, le=10_000_000)
    """Floor on the optimiser steps of a unit, so that tiny units get a chance to fit."""
    until: Literal["budget", "converged"] = "budget"
    """`budget` ends every run after `passes`; `converged` goes on from there until the validation score of none of the
    unit's tasks rises any more, and then cools the learning rate down (aggregation_lab.training.course)."""
    rise: float = Field(0.01, ge=0, lt=1)
    """Rise of the unit-free validation score up to which a task counts as converged; needs `until: converged`. In units
    of several tasks the noise of each one's scores is allowed for besides."""
    patience: float = Field(0.3, ge=0.05, le=0.9)
    """Share of the passes done over which the score must not have risen by more; needs `until: converged`."""
    most_passes: float | None = Field(None, gt=0, le=1e7)
    """Cap on the passes of a run that does not converge, its cooldown included; needs `until: converged`. Empty: five
    times `passes`. The cap of a unit that `min_steps` lifts is lifted alike."""
    batch_size: int = Field(16, ge=1, le=65_536)
    """Images per optimiser step."""
    sampling: Literal["proportional", "uniform", "temperature"] = "proportional"
    """How a unit's tasks share the steps: by their images, equally, or by images to the power 1/temperature."""
    temperature: float = Field(2.0, ge=1, le=1e6)
    """Temperature of `sampling: temperature`; 1 is proportional; the higher, the closer to uniform."""
    learning_rate: float = Field(5e-4, gt=0, le=10)
    """Peak learning rate of AdamW."""
    encoder_rate: float = Field(1.0, gt=0, le=1)
    """Factor on the learning rate for the encoder; below 1 when it starts from pretrained weights."""
    weight_decay: float = Field(0.05, ge=0, le=100)
    """Weight decay of AdamW; not applied to biases, norms and embeddings."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises linearly before its cosine descent."""
    clip_norm: float = Field(1.0, gt=0, le=1e9)
    """Largest gradient norm."""
    augment: bool = True
    """Random shift, scale, intensity, and flips where the task allows them."""
    loss_weights: Annotated[dict[str, float], BeforeValidator(clean_keys)] = Field(default_factory=dict)
    """lambda_t of the loss, by task; 1 where not given."""
    aggregator: Aggregator = "none"
    """How the tasks' gradients of the shared parameters are combined where a unit has several tasks: added (`none`), or
    by a method of TorchJD; docs/methods.md has all. Heads get their own task's gradient. Needs `weighting: fixed`."""
    weighting: Weighting = "fixed"
    """How the weights of the tasks' losses change while a unit of several tasks is trained, on top of `loss_weights`:
    not at all (`fixed`), or by a method of docs/methods.md. Needs `aggregator: none`."""
    evaluations: int = Field(8, ge=3, le=10_000)
    """Points of the validation curve."""
    checkpoint: Literal["last", "best"] = "last"
    """Which weights are scored: the last, or those with the best mean validation score."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto` takes bf16 where the device computes it natively."""
    compile: bool = False
    """Compile the encoder with torch.compile; docs/benchmarks.md says when it pays."""

    @property
    def sampling_power(self) -> float:
        """A task is drawn in proportion to its images to this power."""
        return {"proportional": 1.0, "uniform": 0.0, "temperature": 1.0 / self.temperature}[self.sampling]

    def steps(self, n_train: int) -> int:
        """Optimiser steps of a unit with `n_train` training cases: the matched passes, but at least `min_steps`."""
        return max(self.min_steps, math.ceil(self.passes * n_train / self.batch_size))

    def span(self, n_train: int) -> tuple[int, int]:
        """Fewest and most steps of a unit; they differ with `until: converged`, whose end is known late in the run."""
        budget = self.steps(n_train)
        if self.until == "budget":
            return budget, budget
        cap = max(self.min_steps * self.cap / self.passes, self.cap * n_train / self.batch_size)
        return with_cooldown(budget), with_cooldown(max(budget, before_cooldown(math.ceil(cap))))

    @property
    def cap(self) -> float:
        """The most passes of a run of `until: converged`."""
        return MOST_BUDGETS * self.passes if self.most_passes is None else self.most_passes

    @model_validator(mode="after")
    def _positive_weights(self) -> "TrainingConfig":
        for task, weight in self.loss_weights.items():
            if not 0 < weight <= 1e6:
                raise ValueError(f"loss_weights.{task} is {weight:g}; a weight is greater than 0, and 1e6 at most")
        return self

    @model_validator(mode="after")
    def _one_method(self) -> "TrainingConfig":
        if self.aggregator != "none" and self.weighting != "fixed":
            both = f"aggregator: {self.aggregator} and weighting: {self.weighting}"
            raise ValueError(f"{both} exclude each other; leave one of them out")
        return self

    @property
    def one_task(self) -> "TrainingConfig":
        """The same training of a single task: nothing to combine, and no losses to weigh against each other."""
        return self.model_copy(update=_ONE_TASK)

    @model_validator(mode="after")
    def _reachable_end(self) -> "TrainingConfig":
        given = [name for name in _UNTIL_CONVERGED if name in self.model_fields_set]
        if self.until == "budget" and given:
            raise ValueError(f"{given[0]} needs until: converged (a run of until: budget ends after its passes)")
        least = self.passes * (1 + 1 / COOLDOWN)
        if self.until == "converged" and self.cap < least:
            reason = f"a fifth of the {self.passes:g} passes comes on top, to cool down"
            raise ValueError(f"most_passes is {self.cap:g}; it takes {least:g} or more ({reason})")
        return self

    def is_always_written(self, name: str) -> bool:
        """What ends a run of `until: converged` is written in every such run, and in no other."""
        return super().is_always_written(name) or (self.until == "converged" and name in _UNTIL_CONVERGED)


def check_frozen(model: ModelConfig, training: TrainingConfig) -> None:
    """Raises `ValueError` where the training would need more of the frozen blocks than their kept output."""
    if model.frozen_blocks and training.augment:
        raise ValueError(
            "augment must be false with model.frozen_blocks (the output of frozen blocks is kept once per image)"
        )
