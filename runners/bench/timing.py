"""Work timed side by side, so that the speed of the machine, and what else it does, cancels out."""

import statistics
import time
from collections.abc import Callable, Sequence

ROUNDS = 7


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def paired(*works: Callable[[], object], rounds: int = ROUNDS) -> list[list[float]]:
    """Seconds of each work over alternating rounds, after one round to warm up."""
    for work in works:
        work()
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for times, work in zip(taken, works, strict=True):
            times.append(seconds(work))
    return taken


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Median over the rounds."""
    return statistics.median(one / other for one, other in zip(numerators, denominators, strict=True))


def repeat(work: Callable[[], object], times: int) -> None:
    for _ in range(times):
        work()
