"""When moments come: evenly spaced, inside the run, and no more of them than the run can pay for."""

import pytest

from aggregation_lab.training.affinity.settings import AffinitySettings, moment_at


def steps_of(steps: int, moments: int, end: int | None = None) -> dict[int, int]:
    """The step of each moment."""
    found = {step: moment_at(step, steps, moments) for step in range(end or steps)}
    return {moment: step for step, moment in found.items() if moment is not None}


@pytest.mark.parametrize(("steps", "moments"), [(344, 3), (100, 20), (7, 7), (1001, 20), (3, 1)])
def test_moments_lie_in_the_middle_of_equal_parts_of_the_budget(steps, moments):
    found = steps_of(steps, moments)
    assert list(found) == list(range(moments))
    for moment, step in found.items():
        assert abs(step - (moment + 0.5) * steps / moments) < 1


def test_beyond_the_budget_they_go_on_at_the_same_pace():
    within, beyond = steps_of(97, 5), steps_of(97, 5, end=400)
    assert {moment: step for moment, step in beyond.items() if moment < 5} == within
    gaps = {beyond[moment + 1] - beyond[moment] for moment in range(max(beyond))}
    assert gaps <= {19, 20} and max(beyond) == 20


def test_no_more_moments_than_the_run_can_pay_for():
    settings = AffinitySettings(moments=20, share=0.05)
    for tasks, steps in ((11, 700), (27, 20_000), (2, 300), (9, 3000), (11, 198), (11, 120)):
        assert settings.cost(tasks, steps, 16) <= 0.05
    assert settings.moments_of(27, 20_000, 16) == 20
    assert 1 < settings.moments_of(11, 700, 16) < 20


def test_a_run_too_short_to_pay_for_one_moment_has_one_and_none_has_more_than_steps():
    settings = AffinitySettings()
    assert settings.moments_of(11, 30, 16) == settings.moments_of(11, 1, 16) == 1
    assert AffinitySettings(share=10).moments_of(2, 2, 64) == 2
    assert settings.moments_of(1, 30_000, 16) == 0


def test_a_larger_share_gives_the_moments_that_were_asked_for():
    assert AffinitySettings(moments=20, share=10).moments_of(11, 100, 16) == 20
