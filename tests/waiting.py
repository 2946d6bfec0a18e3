"""Waiting for a condition, never for a time: a busy machine may take as long as it likes."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 900.0
"""Seconds after which something counts as hanging. Nothing that works comes near, however busy the machine is."""


def wait_for(condition: Callable[[], Any], pause: float = 0.02) -> Any:
    """What the condition says as soon as it holds; fails where it never does."""
    end = time.monotonic() + PATIENCE
    while not (said := condition()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(pause)
    return said
