"""Growth with the number of tasks and of images: time and memory of preparing a study, and of planning it again."""

import tempfile
from pathlib import Path

from runners.bench.growth import MIB, exponents
from runners.bench.made_up import write_study
from runners.bench.process import measure
from runners.bench.setting import Setting
from runners.bench.study import AGGLAB
from runners.bench.tables import Cell, Table
from runners.bench.timed import timed
from runners.store.study_folder import StudyFolder

COLUMNS = ("images", "tasks", "runs", "preparing s", "preparing MiB", "plan s", "plan MiB")


def more_data(setting: Setting) -> Table:
    """One row for each size: first more tasks, then more images of the same tasks, each with its exponents."""
    rows: list[tuple[Cell, ...]] = []
    for sizes in setting.data_sizes:
        measured = [_row(tasks, images, setting.scratch) for tasks, images in sizes]
        rows += [*measured, _exponents(measured)]
    note = (
        "Made-up classification tasks under TS, CG and AU with one seed. Preparing is scan, near-duplicates, split, "
        "cache, floor and plan from nothing; `plan` is the command on what is prepared, its start included. Exponents "
        "of the last step in the number of images: at most 1 is linear or better."
    )
    return Table("Growth with tasks and images", COLUMNS, tuple(rows), note)


def _exponents(rows: list[tuple[Cell, ...]]) -> tuple[Cell, ...]:
    times = exponents([(row[0], *row[3:]) for row in rows])
    return (times[0], "", "", *times[1:])


def _row(tasks: int, images: int, scratch: Path) -> tuple[Cell, ...]:
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        file = write_study(folder, tasks=tasks, images=images, seeds=1)
        out = folder / "out"
        seconds, preparing = timed("prepare", file, out, log=folder / "prepare.log")
        plan = measure([*AGGLAB, "plan", str(file), "--out", str(out)], folder / "plan.log")
        counts = (tasks * images, tasks, len(StudyFolder(out).read_plan()))
        return (*counts, seconds, preparing.memory / MIB, plan.seconds, plan.memory / MIB)
