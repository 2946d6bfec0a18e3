"""What the fuzz tests share: how many examples, from which start, and that each one ends in time and in clear words.

`FUZZ_EXAMPLES` is the number of examples of each test (50), `FUZZ_SEED` a start other than the fixed one.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, seed, settings

from aggregation_lab.errors import AgglabError

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "50"))
LIMIT = 10.0
"""Seconds that one example may take."""


def fuzzed(test: Callable) -> Callable:
    """Decorator of a test with `@given`, above it: the same examples on every call, or those of FUZZ_SEED."""
    start = os.environ.get("FUZZ_SEED")
    slow = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large)
    setting = settings(
        max_examples=EXAMPLES,
        derandomize=start is None,
        database=None,
        deadline=None,
        suppress_health_check=slow,
    )
    return setting(test if start is None else seed(int(start))(test))


@contextmanager
def in_time(seconds: float = LIMIT) -> Iterator[None]:
    """Fail the test if the block takes longer than `seconds`; `pytest.fail` passes every `except Exception`."""

    def stop(number: int, frame: object) -> None:
        pytest.fail(f"the example took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def refused_clearly() -> Iterator[None]:
    """The block either succeeds, in time, or raises an error of agglab whose lines are printable and not endless."""
    try:
        with in_time():
            yield
    except AgglabError as error:
        lines = str(error).splitlines()
        assert lines and all(line.strip() and line.isprintable() for line in lines), repr(str(error))
        assert max(map(len, lines)) < 2000, f"a line of {max(map(len, lines))} characters"
