"""Predictions of a model for the cases of one task, and the quick validation score of the learning curve."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from aggregation_lab.model.m2dino import M2DINO
from aggregation_lab.tasks import Task
from aggregation_lab.tasks.geometry import sides
from aggregation_lab.tasks.same_answer import same_answer
from aggregation_lab.training.batches import ImageStore, TaskCases
from aggregation_lab.training.out_of_memory import with_less_memory

EVALUATION_BATCH = 64
"""Images predicted at once, where memory allows."""


@dataclass(frozen=True)
class Predictions:
    """`values`: one normalised prediction per case (see `cases.task.type`). `usage`: block -> mean gate per expert."""

    values: np.ndarray
    usage: dict[int, np.ndarray]


@dataclass(frozen=True)
class Validation:
    """The unit-free `score` of the validation cases of a task, NaN where it is undefined, and whether all of them got
    the `same_answer`, None where that cannot be told."""

    score: float
    same_answer: bool | None


def predict_batch(
    model: M2DINO, inputs: Tensor, task: Task, precision: torch.dtype, tokens: Tensor | None = None
) -> np.ndarray:
    """Normalised predictions of one task for B x 3 x S x S normalised images; `tokens` as the model takes them."""
    with torch.autocast(inputs.device.type, precision, enabled=precision != torch.float32):
        return model.predict(inputs, task, tokens).cpu().numpy()


class Evaluator:
    """Runs a model over cases in evaluation mode, at the precision of the run.

    `to_input` makes the model's input of the store's images.
    """

    def __init__(self, model: M2DINO, store: ImageStore, to_input: Callable[[Tensor], Tensor], precision: torch.dtype):
        self.model, self.store, self.to_input, self.precision = model, store, to_input, precision
        self._at_once = EVALUATION_BATCH

    def predict(self, cases: TaskCases) -> Predictions:
        was_training = self.model.training
        self.model.eval()
        values: list[np.ndarray] = []
        usage: dict[int, list[np.ndarray]] = {block: [] for block in self.model.moe}
        start = 0
        while start < len(cases):
            work, what = partial(self._predict, cases, start), f"prediction of {cases.task.name}"
            predicted, self._at_once = with_less_memory(work, self._at_once, self.store.device, what)
            values.append(predicted)
            for block, layer in self.model.moe.items():
                usage[block].append(layer.usage.cpu().numpy())
            start += len(predicted)
        self.model.train(was_training)
        return Predictions(
            np.concatenate(values), {block: np.concatenate(gates).mean(0) for block, gates in usage.items()}
        )

    def _predict(self, cases: TaskCases, start: int, count: int) -> np.ndarray:
        rows = cases.image_rows[start : start + count]
        images, tokens = self.store.images(rows), self.store.tokens(rows)
        return predict_batch(self.model, self.to_input(images), cases.task, self.precision, tokens)

    def validate(self, cases: TaskCases) -> Validation:
        """One point of the learning curve, at the training resolution.

        It leaves out what only the final scoring needs: Hausdorff distances and masks of the original size.
        """
        masked = cases.task.type.masked
        targets = (self.store.masks(cases.targets).cpu() if masked else cases.targets).numpy()
        predicted = self.predict(cases).values
        score = cases.task.type.validation_score(predicted, targets, cases.task.classes, sides(cases.cases))
        return Validation(score, same_answer(predicted, targets))
