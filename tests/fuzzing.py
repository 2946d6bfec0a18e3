"""What the fuzz tests share: how many examples, from which start, damage, and that each ends in time and clear words.

`FUZZ_EXAMPLES` is the number of examples of each test (50, or 20 of costly ones), `FUZZ_SEED` a start other than the
fixed one.
"""

import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st

from aggregation_lab.errors import AgglabError
from aggregation_lab.storage.sealed_parquet import parsed

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "50"))
FEW = int(os.environ.get("FUZZ_EXAMPLES", "20"))
"""Examples of a test that takes a second for each."""

LIMIT = 10.0
"""Seconds of processor time that one example may take: a busy machine is no fault of it."""

WAITING = 30.0
"""How many times longer it may last on the clock; an example that waits for something that never comes ends so."""


def fuzzed(test: Callable, examples: int = EXAMPLES) -> Callable:
    """Decorator of a test with `@given`, above it: the same examples on every call, or those of FUZZ_SEED."""
    start = os.environ.get("FUZZ_SEED")
    slow = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large)
    setting = settings(
        max_examples=examples,
        derandomize=start is None,
        database=None,
        deadline=None,
        suppress_health_check=slow,
    )
    return setting(test if start is None else seed(int(start))(test))


def fuzzed_a_little(test: Callable) -> Callable:
    """As `fuzzed`, with `FEW` examples."""
    return fuzzed(test, FEW)


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


@st.composite
def damaged(draw: st.DrawFn, contents: Sequence[bytes], pieces: st.SearchStrategy[bytes]) -> bytes:
    """One of `contents` with some bytes changed, cut, doubled, or one of `pieces` put in; most near its start."""
    data = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(1, 6))):
        near = draw(st.booleans())
        where = draw(st.integers(0, min(len(data), 200 if near else len(data)) - 1)) if data else 0
        kind = draw(st.sampled_from(["set", "set", "set", "cut", "insert", "double"]))
        if kind == "set" and data:
            data[where] = draw(st.sampled_from([0, 1, 2, 127, 128, 255]) | st.integers(0, 255))
        elif kind == "cut":
            del data[where : where + draw(st.integers(1, 64))]
        elif kind == "insert":
            data[where:where] = draw(pieces)
        else:
            data[where:where] = data[where : where + draw(st.integers(1, 64))]
    return bytes(data)


def turn_bit(content: bytes, draw: random.Random) -> bytes:
    """`content` with one bit turned."""
    turned = bytearray(content)
    turned[draw.randrange(len(turned))] ^= 1 << draw.randrange(8)
    return bytes(turned)


def flip(file: Path, seed: int = 0) -> None:
    """Turn one bit; of a Parquet file one that matters, since some of those that describe its content do not."""
    whole, draw = file.read_bytes(), random.Random(seed)
    while file.read_bytes() == whole:
        content = turn_bit(whole, draw)
        if file.suffix != ".parquet" or not is_table(content):
            file.write_bytes(content)


def is_table(content: bytes) -> bool:
    try:
        parsed(content)
    except ValueError:
        return False
    return True
