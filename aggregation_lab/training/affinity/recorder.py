"""What a joint run records of its tasks at evenly spaced moments: the rows of the table `affinity`.

Everything is measured on training images, without augmentation and in evaluation mode, and nothing of it is left
behind: weights are restored bit by bit, gradients never enter the parameters, and batches are drawn from generators of
their own, so that a run is the same with and without. The losses of a look-ahead are computed in float32 whatever the
run's precision, at least in the last part of the model: what a step changes in a loss is a small difference.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aggregation_lab.model.last_part import Below, Entry, LastPart
from aggregation_lab.run import RunSpec
from aggregation_lab.training.affinity.gradients import GradientSum, Projection, flat
from aggregation_lab.training.affinity.image_divergence import image_divergence
from aggregation_lab.training.affinity.look_ahead import LookAhead
from aggregation_lab.training.affinity.settings import PROBE_IMAGES, AffinitySettings, moment_at
from aggregation_lab.training.affinity.similarity import cosines, feature_products, inner_products, unbiased_cka
from aggregation_lab.training.batches import Batch, ImageStore, TaskCases, make_batch
from aggregation_lab.training.device import exact_float32
from aggregation_lab.training.objective import Objective, mean_losses, pieces_of
from aggregation_lab.training.out_of_memory import with_less_memory

Matrices = dict[str, Tensor]
"""T x T values by signal, float64 on the CPU, NaN where undefined."""


class Moment(NamedTuple):
    """What was recorded after `step` steps."""

    moment: int
    step: int
    values: Matrices


class AffinityRecorder:
    """Looks at the tasks of a run of `steps` steps in its budget; `record` before each step, `table` at the end."""

    def __init__(
        self,
        settings: AffinitySettings,
        spec: RunSpec,
        objective: Objective,
        optimizer: torch.optim.AdamW,
        cases: Sequence[TaskCases],
        store: ImageStore,
        steps: int,
    ):
        self._settings, self._spec, self._objective = settings, spec, objective
        self._cases, self._store, self._steps = cases, store, steps
        self._names = [task.name for task in spec.tasks]
        self._count = settings.moments_of(len(spec.tasks), steps, spec.training.batch_size)
        model = objective.model
        self._last = LastPart(model)
        training = spec.training
        parameters = self._last.parameters
        self._look_ahead = LookAhead(parameters, optimizer, training.learning_rate, training.clip_norm)
        self._projection = Projection(sum(each.numel() for each in parameters), store.device)
        self._at_once = training.batch_size
        self._moments: list[Moment] = []

    def record(self, step: int) -> None:
        """Record a moment if one comes after `step` steps. Raises `TrainingError` where memory holds not one image."""
        moment = moment_at(step, self._steps, self._count)
        if moment is None:
            return
        model = self._objective.model
        was_training = model.training
        model.eval()
        size = min(self._at_once, self._objective.micro_batch)
        what = f"affinity after step {step}"
        values, self._at_once = with_less_memory(
            lambda size: self._measure(moment, size), size, self._store.device, what
        )
        model.forget()
        model.train(was_training)
        self._moments.append(Moment(moment, step, values))

    # ---- one moment --------------------------------------------------------------------------------------------------

    def _measure(self, moment: int, size: int) -> Matrices:
        """Every signal at a moment, `size` images at once."""
        random = np.random.default_rng([self._spec.seed, 3, moment])
        batch = self._draw(random)
        below = self._below(batch, size)
        entry, gates_below = self._enter(below, batch.task_index, size)
        before, gates_within = self._losses(batch, entry, size)
        projected, fall = [], []
        for _, rows in batch.parts:
            gradient = self._gradient(batch, entry, rows, size)
            projected.append(self._projection(flat(gradient)))
            with self._look_ahead.step(gradient):
                after, _ = self._losses(batch, entry, size)
            fall.append((1 - after / before).cpu())
        gramian = inner_products(projected)
        gates = torch.cat([gates_below, gates_within], 1).double().cpu()
        images = len(batch.images)
        probe = torch.from_numpy(np.sort(random.choice(images, min(PROBE_IMAGES, images), replace=False)))
        return {
            "gradient_cosine": cosines(gramian),
            "gradient_gramian": gramian,
            "lookahead": torch.stack(fall),
            "routing_similarity": cosines(inner_products([gates[rows].mean(0) for _, rows in batch.parts])),
            **self._probe(below.of(probe.to(self._store.device)), size),
        }

    def _draw(self, random: np.random.Generator) -> Batch:
        """Some training images of each task, none twice."""
        drawn = []
        for position, cases in enumerate(self._cases):
            count = min(self._settings.images, len(cases))
            drawn.append((position, random.choice(len(cases), count, replace=False)))
        return make_batch(drawn, self._cases, self._store)

    def _below(self, batch: Batch, size: int) -> Below:
        pieces = []
        for rows in pieces_of(slice(0, len(batch.images)), size):
            tokens = None if batch.tokens is None else batch.tokens[rows]
            with self._at_precision():
                pieces.append(self._last.below(self._objective.to_input(batch.images[rows]), tokens))
        return Below.joined(pieces)

    def _enter(self, below: Below, task_index: Tensor, size: int) -> tuple[Entry, Tensor]:
        """The entry of the last part, and the mean gates of all experts below it: B x gates."""
        pieces, gates = [], []
        for rows in pieces_of(slice(0, len(task_index)), size):
            with self._at_precision():
                pieces.append(self._last.enter(below.of(rows), task_index[rows]))
            gates.append(self._last.gates_below(rows.stop - rows.start))
        return Entry.joined(pieces), torch.cat(gates)

    def _at_precision(self) -> torch.autocast:
        precision = self._objective.precision
        return torch.autocast(self._store.device.type, precision, enabled=precision != torch.float32)

    @torch.no_grad()
    def _losses(self, batch: Batch, entry: Entry, size: int) -> tuple[Tensor, Tensor]:
        """The mean loss of each task, T, and the mean gates of all experts in the last part: B x gates."""
        pieces, gates = [], []
        for rows in pieces_of(slice(0, len(batch.images)), size):
            with exact_float32():
                pieces.append(self._per_image(batch.piece(rows), entry.of(rows)))
            gates.append(self._last.gates_within(rows.stop - rows.start))
        return mean_losses(pieces, batch).double(), torch.cat(gates)

    def _gradient(self, batch: Batch, entry: Entry, rows: slice, size: int) -> list[Tensor]:
        """The gradient of the mean loss of one task's images, by parameter of the last part."""
        total = GradientSum(self._last.parameters)
        for piece in pieces_of(rows, size):
            with self._at_precision():
                (losses,) = self._per_image(batch.piece(piece), entry.of(piece)).values()
            total.add(losses.sum() / (rows.stop - rows.start))
        return total.gradients

    def _per_image(self, batch: Batch, entry: Entry) -> Mapping[str, Tensor]:
        maps = self._last.maps(entry, batch.task_index)
        outputs = self._objective.model.read_out(maps, batch.parts, batch.images.shape[-1])
        return {name: self._objective.loss_of[name](outputs[name], batch.targets[name]) for name in batch.names}

    def _probe(self, below: Below, size: int) -> Matrices:
        """What all heads do with the same images, each under the experts of its own task and without labels.

        The gradient of a head is that of the entropy of its predictions (as minimised by Grandvalet and Bengio 2004,
        and Wang et al. 2021, arXiv 2006.10726). Cross-entropy against the model's own soft predictions has no gradient
        at all; that of the entropy is what it becomes, up to a factor, once these targets are made a little sharper.
        """
        count = len(below.images)
        projected: list[Tensor | None] = []
        products = []
        for position, task in enumerate(self._spec.tasks):
            index = torch.full((count,), position, device=self._store.device)
            entry, _ = self._enter(below, index, size)
            total, features = GradientSum(self._last.parameters), []
            for rows in pieces_of(slice(0, count), size):
                with self._at_precision():
                    view, output = self._last.head(task.name, entry.of(rows), index[rows], below.images.shape[-1])
                features.append(view.detach())
                if task.type.network.entropy is not None:
                    total.add(task.type.network.entropy(output).sum() / count)
            known = task.type.network.entropy is not None
            projected.append(self._projection(flat(total.gradients)) if known else None)
            products.append(feature_products(torch.cat(features)))
        return {"probe_gradient_cosine": cosines(inner_products(projected)), "feature_cka": unbiased_cka(products)}

    # ---- what is left of it ------------------------------------------------------------------------------------------

    def table(self) -> pd.DataFrame:
        """Rows of the run's table `affinity`, without what names the run: every ordered pair of different tasks whose
        value is defined."""
        static = Moment(0, 0, {"image_divergence": image_divergence(self._cases, self._store)})
        rows = [
            {"moment": moment, "step": step, "signal": signal, "task_i": one, "task_j": other, "value": float(value)}
            for moment, step, values in [static, *self._moments]
            for signal, matrix in values.items()
            for one, row in zip(self._names, matrix, strict=True)
            for other, value in zip(self._names, row, strict=True)
            if one != other and math.isfinite(value)
        ]
        return pd.DataFrame(rows)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"settings": self._settings.model_dump(), "moments": [tuple(moment) for moment in self._moments]}

    def restore(self, state: Mapping[str, Any], step: int) -> None:
        """Continue from what `state` gave after `step` steps. A run that began with other settings, or without any, has
        no earlier moments, and a line of its log says so."""
        if state.get("settings") == self._settings.model_dump():
            self._moments = [Moment(*moment) for moment in state["moments"]]
        elif any(moment_at(done, self._steps, self._count) is not None for done in range(step)):
            print(f"affinity: recorded from step {step} on, since the run began with other settings", flush=True)
