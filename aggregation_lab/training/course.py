"""The course of a run: its learning rate, when it is validated, and when it ends.

`Course` is the matched budget. `OpenCourse` goes on until validation has stopped rising: warm-up, constant rate,
cooldown. Nothing before the cooldown depends on when it will begin, so a run with a later end extends one with an
earlier end and never repeats it (Hägele et al., arXiv 2405.18392; Hu et al., arXiv 2404.06395). Where the cooldown
begins is a function of the validation curve, which travels with the checkpoint: resuming needs no further state.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aggregation_lab.config import TrainingConfig, before_cooldown, with_cooldown
from aggregation_lab.training.convergence import rising, still_improving
from aggregation_lab.training.optimizer import schedule, warmup_steps

Curve = Sequence[Mapping[str, Any]]
"""Rows with task, step, score and whether all cases got the `same_answer`, in the order of steps."""


def is_evaluated(step: int, steps: int, count: int) -> bool:
    """Whether validation is scored after `step`: `count` times in `steps`, evenly spaced, the last step among them;
    at the same pace beyond them."""
    return step * count // steps * steps > (step - 1) * count


class Course:
    """The matched budget of a unit with `n_train` training cases: warm-up, cosine to zero, end."""

    def __init__(self, config: TrainingConfig, n_train: int):
        self.config, self.budget = config, config.steps(n_train)

    @property
    def steps(self) -> int:
        """Steps of the whole run, as far as they are known: the most it may take where `is_open`."""
        return self.budget

    def is_open(self, step: int) -> bool:
        """Whether it is not known yet, after `step`, when the run ends."""
        return False

    def is_capped(self, step: int) -> bool:
        """Whether it is the cap that begins the cooldown after `step`: with a larger one the run would go on."""
        return False

    def rate(self, step: int) -> float:
        """Factor on the learning rate."""
        return schedule(step, self.steps, self.config.warmup)

    def evaluates(self, step: int) -> bool:
        """Whether validation is scored after `step`."""
        return step == self.steps or is_evaluated(step, self.budget, self.config.evaluations)

    def follow(self, curve: Curve) -> None:
        """Take note of the curve so far. The budget does not look at it."""

    def still_rising(self, curve: Curve) -> dict[str, bool]:
        """Which tasks had not converged at the end of the run."""
        return {task: still_improving(scores) for task, scores in _by_task(curve).items()}


class OpenCourse(Course):
    """Warm-up and constant rate, for the budget and from there until no task rises; then linearly to zero.

    The cooldown begins after the first validation, from the budget's last step on, at which the best smoothed score of
    no task has risen by more than `rise` over the last `patience` of the steps, so the task that still rises most
    decides; at the latest where it ends at the cap. A task whose score is undefined throughout keeps nobody waiting.
    Where several tasks decide, the noise of each one's curve is allowed for, and their mean decides as well
    (`convergence.rising`).
    """

    def __init__(self, config: TrainingConfig, n_train: int):
        super().__init__(config, n_train)
        self._latest = before_cooldown(config.span(n_train)[1])
        self._converged: int | None = None

    @property
    def cooldown_start(self) -> int:
        """The step after which the cooldown begins; the latest possible one while that is not known."""
        return self._latest if self._converged is None else self._converged

    @property
    def steps(self) -> int:
        return with_cooldown(self.cooldown_start)

    def is_open(self, step: int) -> bool:
        return self._converged is None and step < self._latest

    def is_capped(self, step: int) -> bool:
        return self._converged is None and step == self._latest

    def rate(self, step: int) -> float:
        risen = warmup_steps(self.budget, self.config.warmup)
        if step < risen:
            return (step + 1) / risen
        return min(1.0, (self.steps - step) / (self.steps - self.cooldown_start + 1))

    def follow(self, curve: Curve) -> None:
        if self._converged is None:
            ends = (step for step in _steps(curve) if self.budget <= step <= self._latest)
            self._converged = next((step for step in ends if not self._rising(curve, step)), None)

    def still_rising(self, curve: Curve) -> dict[str, bool]:
        """Which tasks had not converged when the cooldown began, whose own rise says nothing of the training; a task
        whose score is undefined throughout has not shown that it had."""
        at = max(step for step in _steps(curve) if step <= self.cooldown_start)
        up = self._rising(curve, at)
        return {task: task in up or bool(np.isnan(scores).all()) for task, scores in _by_task(curve, at).items()}

    def _rising(self, curve: Curve, step: int) -> set[str]:
        known = [each for each in _steps(curve) if each <= step]
        return rising(known, _by_task(curve, step), self.config.patience, self.config.rise)


def open_course(config: TrainingConfig, n_train: int) -> Course:
    """The course that a run's settings ask for."""
    return Course(config, n_train) if config.until == "budget" else OpenCourse(config, n_train)


def same_answer_since(curve: Curve, end: int) -> dict[str, int]:
    """Tasks of which all validation cases got the same answer at step `end`, and the step of the first validation since
    which they always did. Rows of a run that began before that was looked at do not say."""
    since: dict[str, int] = {}
    for row in curve:
        if row["step"] > end:
            break
        if row.get("same_answer"):
            since.setdefault(row["task"], row["step"])
        else:
            since.pop(row["task"], None)
    return since


def _steps(curve: Curve) -> list[int]:
    return list(dict.fromkeys(row["step"] for row in curve))


def _by_task(curve: Curve, end: float = math.inf) -> dict[str, list[float]]:
    """The scores of each task up to the step `end`."""
    tasks: dict[str, list[float]] = {}
    for row in curve:
        if row["step"] <= end:
            tasks.setdefault(row["task"], []).append(row["score"])
    return tasks
