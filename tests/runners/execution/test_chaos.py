"""A short storm over a small real grid; `make chaos` makes a long one (docs/chaos.md)."""

import pytest

from tests.chaos import interrupt_repeatedly


@pytest.mark.slow
def test_scores_survive_a_storm(tmp_path):
    assert interrupt_repeatedly(tmp_path, interruptions=6, seed=1, seeds=1, at_hand=True).total() >= 6
