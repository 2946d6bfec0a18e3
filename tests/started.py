"""Processes for tests of what runs in them, not of how they start: torch is loaded once for all of them."""

import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing import forkserver, get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

LOADED = ["aggregation_lab.training.execution", "runners.cli", "runners.execution.grid"]


def torch_at_hand() -> ForkServerContext:
    """A context in place of "spawn": its first process loads torch and timm, which takes ten seconds of a core, the
    others are forked from it."""
    context = get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    return context


class Started:
    """A function as a process of its own, forked from the one that has loaded torch; the workers that it starts are
    forked from the same one. Looks like a `subprocess.Popen`, as far as tests look at one.

    `output` is the file of what it and its workers print, `environment` what is added to their environment.
    """

    def __init__(
        self, function: Callable, *arguments: Any, output: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.output = output
        output.write_text("")
        work = (function, arguments, output, dict(environment or {}))
        self._process = torch_at_hand().Process(target=_run, args=work)
        self._process.start()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    poll = returncode.fget

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self._process.pid or 0, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        assert self.returncode is not None, f"still there after {timeout} s"
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """All that was printed, once it has ended."""
        self.wait(timeout)
        return self.output.read_text(), None


def _run(function: Callable, arguments: tuple, output: Path, environment: dict[str, str]) -> None:
    from runners.execution import pool

    _begin(output, environment)
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign]  # this process comes from it
    pool.get_context = lambda method: _SameStart(output)  # type: ignore[assignment]
    function(*arguments)


def _begin(output: Path, environment: dict[str, str]) -> None:
    """What a process has from its parent where it is started, and not where it is forked from another one."""
    os.environ.update(environment)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


class _SameStart(ForkServerContext):
    """Forks from the process that this one comes from."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def Process(self, target: Callable, args: tuple, daemon: bool) -> Any:  # type: ignore[override]
        return super().Process(target=_work, args=(self._output, dict(os.environ), target, args), daemon=daemon)


def _work(output: Path, environment: dict[str, str], target: Callable, args: tuple) -> None:
    _begin(output, environment)
    target(*args)
