"""`agglab`, also as `python -m aggregation_lab`: looks first whose packages Python would import."""

import os
import signal
import sys
import time
from importlib import import_module

from aggregation_lab.shadowing import ShadowedError, check_packages, hidden_library

_AT_ONCE = 5.0
"""Seconds in which further signals add nothing to the first: a closed terminal or a batch system sends several."""


def main() -> None:
    """Run the command line; a file that hides a package or a library is one line on stderr and exit code 2.

    SIGTERM and SIGHUP end every command as Ctrl-C does: in one line, with exit code 130 and nothing left behind.
    """
    os.environ["PYTHONSAFEPATH"] = "1"  # workers and jobs import nothing from the folder that they are started in
    _interrupted_by_other_signals()
    try:
        check_packages()
        command_line = import_module("runners.cli").main  # by name: this package knows nothing of `runners`
        command_line()
    except KeyboardInterrupt:  # before the command line listens, or after
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except (ImportError, AttributeError) as error:
        line = str(error) if isinstance(error, ShadowedError) else hidden_library(error)
        if line is None:
            raise
        print(f"agglab: {line}", file=sys.stderr)
        sys.exit(2)


def _interrupted_by_other_signals() -> None:
    """Raise `KeyboardInterrupt` where this process is asked to end, unless it was started to ignore that (`nohup`).

    What is tidied up then is not interrupted by a second signal that comes with the first.
    """
    first = -_AT_ONCE

    def stop(number: int, frame: object) -> None:
        nonlocal first
        if time.monotonic() - first >= _AT_ONCE:
            first = time.monotonic()
            raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # not every system has SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, stop)


if __name__ == "__main__":
    main()
