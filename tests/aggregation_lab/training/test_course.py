"""The two courses of a run: the budget as it always was, and training to its end by a rule that is a pure function of
the validation curve."""

import math
from itertools import product

import numpy as np
import pytest

from aggregation_lab.config import COOLDOWN, TrainingConfig, before_cooldown, with_cooldown
from aggregation_lab.training.convergence import allowance, noise, rise, rising, smoothed
from aggregation_lab.training.course import Course, OpenCourse, is_evaluated, open_course
from aggregation_lab.training.optimizer import schedule

N_TRAIN, BUDGET = 100, 50  # two passes of 100 images in batches of four
NEVER = math.nan


def config(**changes) -> TrainingConfig:
    settings = {"passes": 2, "min_steps": 1, "batch_size": 4, "evaluations": 5, "until": "converged"}
    return TrainingConfig.model_validate(settings | changes)


def run_through(scores, **changes) -> tuple[OpenCourse, list[dict]]:
    """A course to its end; `scores` gives a score for each task by the step."""
    course, curve, step = OpenCourse(config(**changes), N_TRAIN), [], 0
    while step < course.steps:
        step += 1
        if course.evaluates(step):
            curve += [{"task": task, "step": step, "score": score(step)} for task, score in scores.items()]
            course.follow(curve)
    return course, curve


def settles(at: int):
    """A curve that rises in a line until a step and stays."""
    return lambda step: 0.5 * min(step, at) / at


def rises_always(step: int) -> float:
    return step / 1000


def test_the_budget_is_as_it_was():
    course = open_course(config(until="budget"), N_TRAIN)
    assert type(course) is Course and course.steps == BUDGET and not course.is_open(0)
    assert [course.rate(step) for step in range(BUDGET)] == [schedule(step, BUDGET, 0.1) for step in range(BUDGET)]
    assert [step for step in range(1, BUDGET + 1) if course.evaluates(step)] == [10, 20, 30, 40, 50]


@pytest.mark.parametrize(("steps", "count"), [*product((1, 5, 12, 97, 100, 1234), (3, 8, 12)), (7, 10_000)])
def test_validation_is_evenly_spaced_and_the_last_step_is_on_the_curve(steps, count):
    points = [step for step in range(1, 2 * steps + 1) if is_evaluated(step, steps, count)]
    assert points == sorted({math.ceil(steps * (index + 1) / count) for index in range(2 * count)})
    assert steps in points and 2 * steps in points


def test_a_run_ends_when_its_worst_task_has_settled():
    early, _ = run_through({"a": settles(10)})
    late, curve = run_through({"a": settles(10), "b": settles(100)})
    assert early.cooldown_start == BUDGET and early.steps == with_cooldown(BUDGET) == 60
    # b stops rising after step 100; the best of its smoothed curve is reached by 110, and 0.7 x 160 is the first beyond
    assert late.cooldown_start == 160
    assert late.still_rising(curve) == {"a": False, "b": False}


def wavers(seed: int):
    """A flat curve with noise, as small validation sets have it."""
    scores = np.random.default_rng(seed).normal(0.7, 0.05, 10_000)
    return lambda step: float(scores[step])


def test_ten_flat_and_noisy_tasks_end_as_early_as_each_alone():
    """The task that rises most decides; without an allowance for noise one of ten always seems to rise."""
    alone = [run_through({"a": wavers(seed)})[0].steps for seed in range(100)]
    together = []
    for first in range(0, 100, 10):
        course, curve = run_through({f"t{index}": wavers(first + index) for index in range(10)})
        together.append(course.steps)
        if course.steps < course.config.span(N_TRAIN)[1]:
            assert not any(course.still_rising(curve).values())
    assert np.mean(together) <= 1.3 * np.mean(alone)
    assert np.mean(together) < 0.7 * config().span(N_TRAIN)[1]


def test_a_rise_beyond_the_noise_still_decides_among_ten():
    steady = {f"t{index}": wavers(index) for index in range(9)}
    course, curve = run_through({**steady, "riser": lambda step: step / 300})
    assert course.steps == with_cooldown(course.cooldown_start) and course.cooldown_start > 3 * BUDGET
    assert course.still_rising(curve)["riser"]


def test_what_all_tasks_gain_little_by_little_shows_in_their_mean():
    random, steps = np.random.default_rng(4), range(1, 13)
    slow = {f"t{index}": list(np.linspace(0.6, 0.7, 12) + random.normal(0, 0.05, 12)) for index in range(20)}
    rises = {task: rise(steps, scores, 0.3) for task, scores in slow.items()}
    beyond = {task for task in slow if rises[task] > 0.01 + allowance(slow[task], 20)}
    assert not beyond, "each rise by itself may be noise"
    assert rising(steps, slow, 0.3, 0.01) == {task for task in slow if rises[task] > 0.01} != set()
    gap = {task: [NEVER, *scores[1:]] for task, scores in slow.items()}
    assert rising(steps, gap, 0.3, 0.01) == set(), "a mean of other tasks at every step says nothing"
    assert rising(steps, {"only": [0.5] * 9 + [0.9] * 3}, 0.3, 0.01) == {"only"}


def test_a_task_without_a_score_is_not_counted_among_those_that_decide():
    noisy, silent = {"a": wavers(3)}, {f"n{index}": lambda step: NEVER for index in range(9)}
    assert run_through(noisy)[0].steps == run_through(noisy | silent)[0].steps


def test_noise_is_told_from_a_rise():
    random = np.random.default_rng(0)
    found = [noise(np.linspace(0, 1, 30) + random.normal(0, 0.03, 30)) for _ in range(200)]
    assert np.mean(found) == pytest.approx(0.03, rel=0.1, abs=0)
    assert noise([0.1, 0.2, 0.3, NEVER, 0.4]) == pytest.approx(0, rel=0, abs=1e-12)
    assert noise([0.1, 0.9]) == noise([]) == noise([NEVER] * 5) == 0
    assert allowance([0.1, 0.9, 0.1, 0.9], 1) == 0 < allowance([0.1, 0.9, 0.1, 0.9], 2)


def test_the_cap_ends_a_run_and_says_what_still_rose():
    course, curve = run_through({"a": settles(10), "b": rises_always}, most_passes=8)
    assert course.steps <= 8 * N_TRAIN / 4 < course.steps + 3
    assert course.steps == with_cooldown(course.cooldown_start)
    assert course.still_rising(curve) == {"a": False, "b": True}


def test_a_jump_in_the_cooldown_is_no_sign_of_too_little_training():
    course, curve = run_through({"a": lambda step: 0.5 if step <= BUDGET else 0.9})
    assert course.steps == with_cooldown(BUDGET) and curve[-1]["score"] == 0.9
    assert course.still_rising(curve) == {"a": False}


def test_a_task_without_a_score_keeps_nobody_waiting_and_has_not_converged():
    course, curve = run_through({"a": settles(10), "b": lambda step: NEVER})
    assert course.steps == with_cooldown(BUDGET)
    assert course.still_rising(curve) == {"a": False, "b": True}


@pytest.mark.parametrize("changes", [{}, {"rise": 0}, {"patience": 0.9}, {"min_steps": 77}, {"most_passes": 2.4}])
def test_no_run_is_shorter_than_its_budget_nor_longer_than_its_cap(changes):
    random = np.random.default_rng(0)
    settings = config(**changes)
    least, most = settings.span(N_TRAIN)
    assert least == with_cooldown(settings.steps(N_TRAIN))
    for _ in range(5):
        noise = {step: random.normal(0.5, 0.05) for step in range(1, most + 1)}
        course, _ = run_through({"a": noise.get, "b": settles(int(random.integers(1, most)))}, **changes)
        assert least <= course.steps <= most


def test_the_rate_warms_up_stays_and_cools_down_to_zero():
    course, _ = run_through({"a": settles(100)})
    rates = np.array([course.rate(step) for step in range(course.steps)])
    start = course.cooldown_start
    np.testing.assert_allclose(rates[:5], [0.2, 0.4, 0.6, 0.8, 1.0], rtol=1e-12, atol=0)
    assert (rates[5:start] == 1).all() and len(rates) - start == math.ceil(start / COOLDOWN)
    falls = np.diff(rates[start - 1 :])
    np.testing.assert_allclose(falls, -1 / (course.steps - start + 1), rtol=1e-9, atol=0)
    assert rates[-1] == pytest.approx(-falls[0], rel=1e-9, abs=0)


def test_the_end_is_open_until_the_cooldown_begins():
    course = OpenCourse(config(), N_TRAIN)
    most = course.steps
    assert course.is_open(0) and most == config().span(N_TRAIN)[1]
    assert not course.is_open(before_cooldown(most)) and course.is_open(before_cooldown(most) - 1)
    course, _ = run_through({"a": settles(10)})
    assert not course.is_open(BUDGET) and course.steps < most


def test_where_the_cooldown_begins_is_read_off_the_curve_at_any_time():
    """Also in the middle of the cooldown, whose own validations do not count."""
    whole, curve = run_through({"a": settles(100)})
    for known in range(1, len(curve) + 1):
        again = OpenCourse(config(), N_TRAIN)
        again.follow(curve[:known])
        decided = curve[known - 1]["step"] >= whole.cooldown_start
        assert again.steps == (whole.steps if decided else again.config.span(N_TRAIN)[1])


@pytest.mark.parametrize("steps", [*range(1, 40), 999, 1000, 1001])
def test_a_cooldown_that_ends_at_the_cap_begins_as_late_as_it_can(steps):
    assert before_cooldown(with_cooldown(steps)) == steps
    assert with_cooldown(before_cooldown(steps)) <= steps < with_cooldown(before_cooldown(steps) + 1)


def test_lonely_jumps_are_smoothed_away():
    np.testing.assert_array_equal(smoothed([0.1, 0.9, 0.2, 0.3, NEVER, 0.3]), [0.1, 0.5, 0.2, 0.3, 0.25, 0.3])
    assert np.isnan(smoothed([NEVER, NEVER])).all()
    lucky_once = [0.2, 0.3, 0.9, 0.4, 0.4, 0.5, 0.6, 0.7, 0.7, 0.7]  # whose best so far never rises again
    assert rise(range(1, 11), lucky_once, 0.3) == pytest.approx(0.2, rel=1e-9, abs=0)
    assert rise(range(1, 11), [0.5] * 9 + [0.9], 0.3) == 0


def test_rise_without_a_before_or_without_any_score():
    assert math.isinf(rise([1, 2, 3, 4], [NEVER, NEVER, NEVER, 0.4], 0.3))
    assert math.isnan(rise([1, 2, 3, 4], [NEVER] * 4, 0.3))
