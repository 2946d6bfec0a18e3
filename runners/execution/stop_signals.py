"""The signals that ask a grid to stop."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

LEFT_TO_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)
"""What workers leave to their parent: Ctrl-C, the end of a session, a terminal that is gone, and Slurm's notice of a
time limit."""


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collects SIGINT, SIGTERM and, unless `nohup` has it ignored, SIGHUP instead of being torn out of the loop."""
    received: list[int] = []
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = [signal.signal(number, lambda number, frame: received.append(number)) for number in numbers]
    try:
        yield received
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
