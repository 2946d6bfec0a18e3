"""The progress display of a grid: bars on a terminal, plain lines elsewhere; and the tables kept up to date."""

import math
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from aggregation_lab.errors import AgglabError
from aggregation_lab.text import escaped
from runners.planning.plan import PlannedRun
from runners.store.run_files import RunProgress
from runners.store.run_folder import Status, same_answer_lines

HEARTBEAT = 30.0
"""Seconds between the plain lines that show that the grid still works."""
COLLECTION_SHARE = 0.05
"""Largest share of time that goes into collecting tables while runs are under way."""

_KNOWN_SHARE, _KNOWN_SECONDS = 0.05, 300.0
"""Of the work, and of its time: after one of them a pace tells what the rest takes. Before that most of the time was
that of workers and first steps, which start slowly."""

WARNINGS_SHOWN = 5
"""Most warnings on the data that a grid or a plan shows."""


class GridDisplay:
    """A `Watcher`: prints, and calls `collect` after finished runs as often as it is cheap."""

    def __init__(
        self,
        runs: Sequence[PlannedRun],
        console: Console,
        collect: Callable[[], object],
        begun: Collection[str] = (),
    ):
        """`begun`: ids of the runs of which a part was trained before, or is being trained elsewhere."""
        self._console, self._collect = console, collect
        self._runs = runs
        self._count = len(runs)
        self._begun = begun
        self._before: dict[str, float] = {}
        """Operations of these when they were first seen, which took none of this grid's time."""
        self._ended: dict[str, float] = {}
        """Operations that were left to each run when it ended, for which nobody waits any more: 0 but for those that
        stopped before their cap."""
        self._active: dict[str, tuple[PlannedRun, RunProgress | None]] = {}
        self._start = self._last_print = time.monotonic()
        self._next_collection = 0.0
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("[bold]grid"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[eta]}"),
            console=console,
        )
        self._bar_task = self._bar.add_task("grid", total=self._count, eta="")
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)

    def __enter__(self) -> "GridDisplay":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def started(self, run: PlannedRun) -> None:
        self._ended.pop(run.id, None)  # another grid may take up a run that failed here
        self._active[run.id] = run, None

    def progressed(self, run: PlannedRun, progress: RunProgress) -> None:
        self._active[run.id] = run, progress
        if run.id in self._begun and progress.step:  # step 0 while a frozen trunk is computed
            done = _done(run, progress)  # fewer where it was set aside meanwhile, and began anew
            self._before[run.id] = min(self._before.get(run.id, done), done)

    def paused(self, run: PlannedRun) -> None:
        self._active.pop(run.id, None)
        self._ended.pop(run.id, None)

    def finished(self, run: PlannedRun, status: Status) -> None:
        self._end(run, run.flops - run.flops_of(status.images))
        self._say(f"done    {self._counter()}  {run.title}  ({duration(status.seconds)}; {self._eta()})")
        for line in same_answer_lines(run, status):
            self._say(line)
        if time.monotonic() >= self._next_collection:
            before = time.monotonic()
            try:
                self._collect()
            except AgglabError as error:
                say(self._console, f"tables not updated: {error}")  # the runs continue; the grid tries again at its end
            now = time.monotonic()
            self._next_collection = now + (now - before) / COLLECTION_SHARE

    def failed(self, run: PlannedRun, message: str) -> None:
        self._end(run)
        line = escaped(f"  {self._counter()}  {run.title}: {message}", keep="\n")
        self._say(Text.assemble(("FAILED", "red"), line))

    def blocked(self, run: PlannedRun) -> None:
        self._end(run)  # why is said with the failure of the run that it starts from, and at the end of the grid

    def noted(self, message: str) -> None:
        self._say(message)

    def ticked(self) -> None:
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_print >= HEARTBEAT:
            active = ", ".join(f"{run.title} {_where(progress)}" for run, progress in self._active.values())
            self._say(f"working {self._counter()}  {active or 'workers start'}  ({self._eta()})")

    def _end(self, run: PlannedRun, spared: float = 0.0) -> None:
        self._active.pop(run.id, None)
        self._ended[run.id] = spared

    def _say(self, line: str | Text) -> None:
        self._last_print = time.monotonic()
        say(self._console, line)

    def _counter(self) -> str:
        return f"{len(self._ended)}/{self._count}"

    def _eta(self) -> str:
        """Time left, were the rest to go at the pace so far; runs in hand count by the share of their steps, without
        those that were made before this grid looked. A run that decides itself when it ends counts with the most it may
        take until it has decided."""
        done = left = 0.0
        at_most = False
        for run in self._runs:
            at = self._active[run.id][1] if run.id in self._active else None
            before = self._before.get(run.id, 0.0)
            if run.id in self._ended:
                done += max(0.0, run.flops - self._ended[run.id] - before)
            elif at:
                done += max(0.0, _done(run, at) - before)
                left += _whole(run, at) - _done(run, at)
                at_most |= at.at_most
            else:
                left += run.flops
                at_most |= run.is_open
        elapsed = time.monotonic() - self._start
        if done <= 0 or elapsed < 1 or (done < _KNOWN_SHARE * (done + left) and elapsed < _KNOWN_SECONDS):
            return "time left unknown yet; `agglab plan` estimates it"
        return f"{'at most ' if at_most and left else ''}{duration(elapsed * left / done)} left"

    def _render(self) -> Group:
        self._bar.update(self._bar_task, completed=len(self._ended), eta=self._eta())
        lines = Table.grid(padding=(0, 2))
        for run, progress in self._active.values():
            lines.add_row("  ", Text(escaped(run.title)), _where(progress))
        return Group(self._bar, lines)


def _whole(run: PlannedRun, at: RunProgress) -> float:
    """Operations of a run under way, the most it may take where it has not decided yet when it ends."""
    return run.flops * (at.steps / run.steps if run.is_open else 1)


def _done(run: PlannedRun, at: RunProgress) -> float:
    return _whole(run, at) * at.step / at.steps


def _where(progress: RunProgress | None) -> str:
    if progress is None:
        return "starts"
    if progress.phase != "training":
        return progress.phase
    loss = f"  loss {progress.loss:.3f}" if math.isfinite(progress.loss) else ""
    score = f"  val {progress.score:.3f}" if math.isfinite(progress.score) else ""
    return f"{progress.where}{loss}{score}"


def duration(seconds: float) -> str:
    """Rounded for reading: 42 s, 7 min, 3 h 05 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def say(console: Console, line: str | Text) -> None:
    """Print one line as it is: no markup, no colours on numbers, no breaks."""
    shown = escaped(line, keep="\n") if isinstance(line, str) else line
    console.print(shown, soft_wrap=True, markup=False, highlight=False, emoji=False)


def waiting(console: Console, folder: object) -> Callable[[], None]:
    """What to call where another grid holds the lock of an output folder."""
    return partial(say, console, f"another run-grid prepares {folder}; waiting for it")


def say_warnings(console: Console, warnings: Sequence[object], notes: Sequence[str] = ()) -> None:
    """The first warnings, and how many more there are; all notes."""
    for warning in warnings[:WARNINGS_SHOWN]:
        say(console, f"warning  {warning}")
    if len(warnings) > WARNINGS_SHOWN:
        say(console, f"and {len(warnings) - WARNINGS_SHOWN} more; `agglab validate` lists all")
    for note in notes:
        say(console, note)


def _bar(done: int, total: int, width: int = 24) -> str:
    """In signs that every terminal has."""
    full = width * min(done, total) // max(1, total)
    return f"{'#' * full}{'.' * (width - full)}"


def preparation(console: Console) -> Callable[[str, int, int], None]:
    """A progress callback for data work: one line per kind of work, with a bar and rewritten in place on a terminal."""
    in_place, last_what, last_print = console.is_terminal, "", 0.0

    def show(what: str, done: int, total: int) -> None:
        nonlocal last_what, last_print
        now = time.monotonic()
        is_due = what != last_what or now - last_print >= (0.1 if in_place else HEARTBEAT)
        if is_due or (in_place and done >= total):
            end = "\r" if in_place and done < total else "\n"
            bar = f" [{_bar(done, total)}]" if in_place else ""
            console.print(f"{what}{bar} {done}/{total}", end=end, soft_wrap=True, markup=False, highlight=False)
            last_what, last_print = what, now

    return show
