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
"""Seconds of processor time that one example may take: a busy machine is no fault of it."""

WAITING = 30.0
"""How many times longer it may last on the clock; an example that waits for something that never comes ends so."""


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

    timers = ((signal.SIGPROF, signal.ITIMER_PROF, seconds), (signal.SIGALRM, signal.ITIMER_REAL, seconds * WAITING))
    before = {number: signal.signal(number, stop) for number, _, _ in timers}
    for _, timer, limit in timers:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for number, timer, _ in timers:
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


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
