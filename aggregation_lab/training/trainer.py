"""Training of one run: the same recipe for every unit, exact resume, and an honest end.

Validation cases serve the learning curve and, if the study asks for it, the choice of the checkpoint. Test cases
are touched once, after training.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aggregation_lab.config import TrainingConfig, before_cooldown
from aggregation_lab.data.cache import ImageCache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import Split
from aggregation_lab.model.m2dino import M2DINO, build_m2dino
from aggregation_lab.model.start import take_start
from aggregation_lab.run import BEFORE_COOLDOWN, CHECKPOINT, RunSpec
from aggregation_lab.training.affinity.recorder import AffinityRecorder
from aggregation_lab.training.affinity.settings import AffinitySettings
from aggregation_lab.training.augmentation import augment, to_model_input
from aggregation_lab.training.batches import ImageStore, Sampler, TaskCases, make_batch
from aggregation_lab.training.checkpoint import is_of, write_checkpoint
from aggregation_lab.training.course import open_course
from aggregation_lab.training.device import compute_as_named, pick_precision, random_state, set_random_state
from aggregation_lab.training.evaluation import Evaluator
from aggregation_lab.training.flops import count_flops
from aggregation_lab.training.frozen_trunk import open_trunk
from aggregation_lab.training.keep import NOTHING, Keep
from aggregation_lab.training.loss_monitor import LossWatch
from aggregation_lab.training.methods.choice import open_objective
from aggregation_lab.training.optimizer import make_optimizer


@dataclass(frozen=True)
class Progress:
    """Where a run stands: `loss` of the last checked step, `score` the mean validation score so far.

    `at_most`: the end is not known yet, the run may take `steps` at most. `device` is the type of the one that trains.
    """

    step: int
    steps: int
    loss: float = math.nan
    score: float = math.nan
    phase: str = "training"
    at_most: bool = False
    device: str = ""


class RunInterrupted(Exception):
    """Raised by a `report` callback to end the run now; a checkpoint is left behind."""


@dataclass
class Ledger:
    """What a run has used and seen so far; travels with the checkpoint."""

    images_seen: dict[str, int]
    curve: list[dict[str, Any]] = field(default_factory=list)
    train_seconds: float = 0.0
    seconds: float = 0.0
    resumes: int = 0
    started: str = ""


class Trainer:
    """State of one run: `train()`, `take_best()`, and `model` is what is to be scored.

    `report` is called while the frozen trunk, if there is one, is computed. `keep` may ask for the best weights where
    the last ones are scored, `affinity` for a record of how the tasks bear on each other. `start` is the folder of the
    run that the spec starts from, if it does.
    """

    def __init__(
        self,
        spec: RunSpec,
        dataset: Dataset,
        split: Split,
        cache: ImageCache,
        folder: Path,
        device: torch.device,
        report: Callable[[Progress], None] = lambda progress: None,
        keep: Keep = NOTHING,
        start: Path | None = None,
        affinity: AffinitySettings | None = None,
    ):
        self.keeps_best = spec.training.checkpoint == "best" or "best" in keep.models
        self.spec, self.folder, self.device = spec, folder, device
        self.config: TrainingConfig = spec.training
        self.precision = pick_precision(self.config.precision, device)
        compute_as_named(self.precision)
        self.tasks = {task.name: task for task in spec.tasks}
        by_case = dataset.cases.set_index("case", drop=False)

        def cases_of(part: str, fraction: float = 1.0) -> list[TaskCases]:
            return [TaskCases(task, by_case.loc[split.cases(part, task.name, fraction)], cache) for task in spec.tasks]

        self.train_cases, self.val_cases = cases_of("train", spec.fraction), cases_of("val")
        self.test_cases = cases_of("test")
        self.sampler = Sampler(tuple(len(cases) for cases in self.train_cases), self.config, spec.draws)
        self.course = open_course(self.config, sum(self.sampler.sizes))
        size = self.config.image_size
        self.model: M2DINO = build_m2dino(spec.model, spec.tasks, spec.seed, size, spec.weights).to(device)
        if spec.start is not None:
            take_start(self.model, spec.start, start)
        self.model.backbone.check_batch(self.config.batch_size, self.config.aggregator)
        self.model.backbone.choose_attention(self.config.image_size, device, self.precision)
        if self.config.compile:
            self.model.compile_encoder()
        pixel_statistics = self.model.encoder.pretrained_cfg
        mean, std = (torch.tensor(pixel_statistics[name], device=device).view(1, 3, 1, 1) for name in ("mean", "std"))
        self.to_input: Callable[[Tensor], Tensor] = partial(to_model_input, mean=mean, std=std)
        tokens = None
        if spec.model.frozen_blocks:
            count = len(cache.images)

            def alive(ready: int) -> None:
                at = f"frozen trunk, image {ready}/{count}"
                report(Progress(0, self.steps, phase=at, device=device.type))

            tokens = open_trunk(self.model, spec.model.encoder, cache, self.to_input, self.precision, alive)
        self.store = ImageStore(cache, [*self.train_cases, *self.val_cases, *self.test_cases], device, tokens)
        self.evaluator = Evaluator(self.model, self.store, self.to_input, self.precision)
        self.optimizer = make_optimizer(self.model, self.config, device)
        images = sum(self.sampler.sizes)
        self.objective = open_objective(spec, self.model, self.to_input, self.precision, images)
        if self.objective.learned:
            own = {"params": self.objective.learned, "weight_decay": 0.0, "rate": 1.0}
            self.optimizer.add_param_group(own)
        self.affinity = None
        if affinity is not None and len(spec.tasks) > 1:  # one task has nothing to compare
            self.affinity = AffinityRecorder(
                affinity, spec, self.objective, self.optimizer, self.train_cases, self.store, self.course.budget
            )
        self.step = 0
        self.ledger = Ledger(
            {name: 0 for name in self.tasks}, started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        )
        self.best: tuple[float, dict[str, Tensor] | None] | None = None
        self.losses = LossWatch(self.tasks)
        torch.manual_seed(spec.draws)

    @property
    def steps(self) -> int:
        """Steps of the whole run; the most it may take while its end is not known."""
        return self.course.steps

    # ---- one step ----------------------------------------------------------------------------------------------

    def train_step(self) -> None:
        drawn = self.sampler.draw(self.step)
        batch = make_batch(drawn, self.train_cases, self.store)
        if self.config.augment:
            random = torch.Generator().manual_seed(_step_seed(self.spec.draws, self.step))
            batch = augment(batch, self.tasks, random)
        rate = self.config.learning_rate * self.course.rate(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["rate"]
        per_task = self.objective.gradients(batch, f"step {self.step}")
        nn.utils.clip_grad_norm_(self.objective.parameters, self.config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.objective.after_step(f"step {self.step}")
        for name, rows in batch.parts:
            self.ledger.images_seen[name] += rows.stop - rows.start
        self.losses.add(self.step, batch.names, per_task)
        self.step += 1

    # ---- the whole run -----------------------------------------------------------------------------------------

    def train(self, report: Callable[[Progress], None], checkpoint_seconds: float) -> None:
        """Train from where the run stands to its end. `report` is called after every step."""
        self.model.train()
        saved = time.monotonic()
        try:
            while self.step < self.steps:
                if self.course.is_capped(self.step):
                    self.save_before_cooldown()
                start = time.monotonic()
                if self.affinity is not None:
                    self.affinity.record(self.step)
                begun = time.monotonic()
                self.train_step()
                now = time.monotonic()
                self.ledger.train_seconds += now - begun
                if self.course.evaluates(self.step):
                    self.evaluate()
                self.ledger.seconds += time.monotonic() - start
                if now - saved >= checkpoint_seconds:
                    self.save()
                    saved = now
                report(self.progress())
        except RunInterrupted:
            self.save()
            raise

    @property
    def was_capped(self) -> bool | None:
        """Whether its cap ended the run, so that it has left a checkpoint for a larger one; None where no rule could
        have ended it before."""
        return self.course.is_capped(before_cooldown(self.steps)) if self.config.until == "converged" else None

    def progress(self, phase: str = "training") -> Progress:
        """Where the run stands now."""
        is_open = self.course.is_open(self.step)
        return Progress(self.step, self.steps, self.losses.last, self.mean_score(), phase, is_open, self.device.type)

    def take_best(self) -> None:
        """Put the best weights into the model if the study asks for them to be scored."""
        if self.config.checkpoint == "best" and self.best is not None and self.best[1] is not None:
            self.model.load_state_dict(self.best[1])

    @property
    def best_step(self) -> int:
        """The step at which the best weights were taken; 0 before the first evaluation."""
        scores = mean_scores(self.ledger.curve)
        return _best_of(scores)[1] if scores else 0

    def evaluate(self) -> None:
        """One point of the learning curve for every task, and the best weights so far if the study wants them."""
        self.losses.check()
        for cases in self.val_cases:
            losses, seen = self.losses.since[cases.task.name], self.evaluator.validate(cases)
            self.ledger.curve.append(
                {
                    "task": cases.task.name,
                    "step": self.step,
                    "images_seen": sum(self.ledger.images_seen.values()),
                    "loss": float(np.mean(losses)) if losses else math.nan,
                    "score": seen.score,
                    "same_answer": seen.same_answer,
                }
            )
            losses.clear()
        self.course.follow(self.ledger.curve)
        score = self.mean_score()
        if self.keeps_best and (self.best is None or not score <= self.best[0]):
            self.best = score, {key: value.detach().clone() for key, value in self.model.state_dict().items()}

    def mean_score(self) -> float:
        """Mean unit-free validation score over tasks at the last point of the curve; NaN before the first."""
        return _mean(row["score"] for row in self.ledger.curve[-len(self.tasks) :])

    def flops(self) -> float:
        """Operations of training so far: those of one image of each task, counted, times the images seen."""
        was_training = self.model.training
        self.model.eval()
        total = 0.0
        for position, seen in enumerate(self.ledger.images_seen.values()):
            batch = make_batch([(position, np.array([0]))], self.train_cases, self.store)
            total += seen * count_flops(lambda drawn: self.objective.losses(drawn)[0], batch)
        self.model.train(was_training)
        self.optimizer.zero_grad()
        return total

    # ---- resume ------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint. Raises `AgglabError` where it cannot be written, or the run has read damaged files."""
        write_checkpoint(self.folder / CHECKPOINT, self._state())

    def save_before_cooldown(self) -> None:
        """Write the checkpoint from which a run with a larger cap goes on. Raises as `save` does."""
        state = self._state() | {"before_cooldown": self.spec.but_for_cap}
        write_checkpoint(self.folder / BEFORE_COOLDOWN, state)

    def _state(self) -> dict[str, Any]:
        self.losses.check()
        self.store.check()
        return {
            "run": self.spec.id,
            "step": self.step,
            "micro_batch": self.objective.micro_batch,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "accelerator_random": random_state(self.device),
            "best": self.best,
            "losses_since": self.losses.since,
            "method": self.objective.state(),
            "ledger": vars(self.ledger),
            "affinity": {} if self.affinity is None else self.affinity.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `save` wrote. Raises whatever a state of another kind, or of another run, leads to."""
        if not is_of(state, self.spec):
            raise ValueError(f"it is of run {state['run']}")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        if state["accelerator_random"] is not None:
            set_random_state(self.device, state["accelerator_random"])
        self.best = state["best"]
        scores = mean_scores(state["ledger"]["curve"])
        if self.keeps_best and self.best is None and scores:  # asked for since: those of the best step so far are gone
            self.best = _best_of(scores)[0], None
        self.losses.since = state["losses_since"]
        self.ledger = Ledger(**state["ledger"])
        self.ledger.resumes += 1
        self.course.follow(self.ledger.curve)
        self.objective.micro_batch = state["micro_batch"]
        self.objective.restore(state.get("method", {}))  # a run that began before there were methods has none
        if self.affinity is not None:
            self.affinity.restore(state.get("affinity", {}), state["step"])
        self.step = state["step"]


def mean_scores(curve: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """Mean unit-free validation score over the tasks at each step of a curve that has one; NaN where none has any."""
    steps: dict[int, list[float]] = {}
    for row in curve:
        steps.setdefault(row["step"], []).append(row["score"])
    return {step: _mean(scores) for step, scores in steps.items()}


def _best_of(scores: Mapping[int, float]) -> tuple[float, int]:
    """The best of the scores and its step, the earliest of equals: as `evaluate` takes the best weights."""
    best: tuple[float, int] | None = None
    for step, score in scores.items():
        if best is None or not score <= best[0]:
            best = score, step
    assert best is not None
    return best


def _mean(scores: Iterable[float]) -> float:
    values = list(scores)
    return float(np.nanmean(values)) if not np.isnan(values).all() else math.nan


def _step_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, 2, step]).generate_state(1, np.uint64)[0] >> 1)
