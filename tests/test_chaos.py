"""A short storm over a small real grid; `make chaos` makes a long one (docs/chaos.md)."""

import pytest
from chaos import storm

KINDS = (
    "SIGKILL of the grid",
    "death of a worker while it writes results",
    "disk full for a worker",
    "checkpoint damaged",
    "result damaged",
    "death of the grid while it collects",
)
"""In the order in which they strike."""


@pytest.mark.slow
def test_scores_survive_a_storm(tmp_path):
    counts = storm(tmp_path, interruptions=len(KINDS), seed=1, kinds=KINDS[::-1])
    assert set(counts) <= set(KINDS) and counts.total() >= 4
