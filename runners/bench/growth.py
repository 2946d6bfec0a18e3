"""Growth with the number of finished runs: time and memory of `status`, of `plan`, and of collecting."""

import math
import tempfile
from pathlib import Path

from runners.bench.made_up import make_up, write_study
from runners.bench.process import measure
from runners.bench.setting import Setting
from runners.bench.study import AGGLAB
from runners.bench.tables import Cell, Table
from runners.bench.timed import timed

MIB = 1024**2
TASKS, IMAGES, RUNS_PER_SEED = 7, 64, 10
"""Seven tasks in two groups: seven units of TS, two of CG and one of AU are ten runs for each seed."""
COLUMNS = ("runs", "status s", "status MiB", "plan s", "plan MiB", "collecting s", "collecting MiB")


def growth(setting: Setting) -> Table:
    """One row for each number of runs, and how the last step grows: the exponent of time or memory in their number."""
    rows = [_row(seeds, setting.scratch) for seeds in setting.growth_seeds]
    note = (
        f"Made-up finished runs of {TASKS} classification tasks with {IMAGES} images each: tables of the real schema, "
        "no training. `status` and `plan` are commands, their start and imports included; collecting reads the five "
        "tables of every run and writes those of the study, in a process that has its imports behind it. Goals: below "
        "2 s at 1,000 runs, exponents of at most 1."
    )
    return Table("Growth with runs", COLUMNS, (*rows, exponents(rows)), note)


def exponents(rows: list[tuple[Cell, ...]]) -> tuple[Cell, ...]:
    """log(ratio of a column) / log(ratio of the first one) over the last two rows; 1 is linear growth."""
    before, after = ([float(cell) for cell in row] for row in rows[-2:])
    base = math.log(after[0] / before[0])
    return ("exponent", *(math.log(one / other) / base for one, other in zip(after[1:], before[1:], strict=True)))


def _row(seeds: int, scratch: Path) -> tuple[Cell, ...]:
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        file = write_study(folder, tasks=TASKS, images=IMAGES, seeds=seeds)
        out = folder / "out"
        runs = make_up(file, out)
        assert len(runs) == RUNS_PER_SEED * seeds
        status = measure([*AGGLAB, "status", str(out)], folder / "status.log")
        plan = measure([*AGGLAB, "plan", str(file), "--out", str(out)], folder / "plan.log")
        seconds, collecting = timed("collect", out, log=folder / "collect.log")
        return (
            len(runs), status.seconds, status.memory / MIB, plan.seconds, plan.memory / MIB, seconds,
            collecting.memory / MIB,
        )  # fmt: skip
