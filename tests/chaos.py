"""A grid under fire: `make chaos`, or `python -m tests.chaos --interruptions 100 --write docs/chaos.md`.

A small real grid is interrupted at random and continued by the same command, again and again. At its end its tables
must equal those of an undisturbed grid bit by bit; then the next grid starts, until enough interruptions were made.

Faults come from outside (signals, damaged files, a second grid) and from inside: a `Fault` in the environment makes the
grid or one of its workers die or fail at a chosen write (tests/faults.py).
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import pandas as pd

from tests import ROOT
from tests.faults import FAULT, INSIDE, Fault
from tests.started import Started

MEASURED = ("seconds", "train_seconds", "peak_memory", "started", "resumes", "versions")
"""Columns of the table of runs that tell of time, memory, the interruptions themselves and the state of the code."""
RUNS_PER_SEED = 12
"""Of the grid: six units, two fractions."""
PATIENCE = 3600.0
"""Seconds after which a grid counts as hanging."""
Process = subprocess.Popen[str] | Started

GRID = """
import sys
sys.path.insert(0, {project!r})
if __name__ == "__main__":
    from tests import chaos
    chaos.run_agglab(*sys.argv[1:])
"""


def run_agglab(*arguments: str) -> None:
    """`agglab` with these arguments, and the fault of the environment in it and in its workers."""
    from runners import cli
    from runners.execution import grid
    from tests import faults

    faults.plant("grid")
    grid.WorkerConfig = partial(grid.WorkerConfig, load="tests.faults:load", train="tests.faults:train")  # type: ignore
    cli.main(arguments)


@dataclass
class GridUnderTest:
    """One grid and what is done to it. `counts` are interruptions by kind; see `interrupt_repeatedly` for `at_hand`."""

    study: Path
    data: Path
    out: Path
    random: random.Random
    seeds: int = 2
    at_hand: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    started: int = 0

    @property
    def planned(self) -> int:
        """Runs of the grid."""
        return RUNS_PER_SEED * self.seeds

    def start(self, fault: Fault | None = None) -> Process:
        command = [*map(str, ("run-grid", self.study, "--data", self.data, "--out", self.out))]
        command += ["--device", "cpu", "--jobs", "2"]
        environment = {} if fault is None else {FAULT: json.dumps(asdict(fault))}
        if self.at_hand:
            self.started += 1
            log = self.out.with_name(f"{self.out.name}-{self.started}.log")
            return Started(run_agglab, *command, output=log, environment=environment)
        script = self.out.with_name("grid.py")
        script.write_text(GRID.format(project=str(ROOT)))
        return subprocess.Popen(
            [sys.executable, script, *command],
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self) -> None:
        """The grid, left alone, finishes."""
        self.wait(self.start(), ended=0)

    def wait(self, process: Process, ended: int | None = None) -> str:
        """What the grid has printed; its exit code must be `ended` where one is given."""
        text, _ = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in text and ended in (None, process.returncode), text
        return text

    def workers(self) -> list[int]:
        """Processes that train at this moment."""
        from runners.store.claims import holder, latest

        folders = [folder for folder in self.out.glob("runs/*") if folder.is_dir()]
        held = [holder(folder, latest(os.listdir(folder))) for folder in folders]
        return [process for process in held if process is not None and Path(f"/proc/{process}").exists()]

    def until_work_begins(self, process: Process) -> None:
        while process.poll() is None and not self.workers():
            time.sleep(0.05)
        time.sleep(self.random.uniform(0.0, 1.0))

    # ---- what is done to it --------------------------------------------------------------------------------------

    def interrupt_once(self) -> None:
        """Start the grid, sometimes twice, with a fault inside; kill workers; kill or stop it; damage what it left."""
        name, (where, action, files) = self.random.choice(list(INSIDE.items()))
        with tempfile.TemporaryDirectory() as folder:
            mark = Path(folder) / "struck"
            fault = Fault(where, action, str(mark), self.random.choice(files), self.random.randint(1, 2))
            grids = [self.start(fault)]
            if self.random.random() < 0.25:
                grids.append(self.start())
            for _ in range(self.random.randint(0, 3)):
                self.kill_a_worker(grids[0])
            end = time.monotonic() + 10
            while not mark.exists() and grids[0].poll() is None and time.monotonic() < end:
                time.sleep(0.05)
            self.counts[name] += mark.exists()
            if self.random.random() < 0.15:
                self.until_work_begins(grids[0])
                self.turn(self.pick("cache/*.npy", "cache/*/*.npy"), "of a cache that is in use")
            for process in grids:
                self.stop(process)
        self.damage("runs/*/checkpoint.pt")
        for action, chance in self.damages.items():
            if self.random.random() < chance:
                action()

    def kill_a_worker(self, grid: Process) -> None:
        self.until_work_begins(grid)
        for worker in self.workers()[:1]:
            os.kill(worker, signal.SIGKILL)
            self.counts["SIGKILL of a worker"] += 1

    def stop(self, grid: Process) -> None:
        self.until_work_begins(grid)
        number = self.random.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        if grid.poll() is None:
            grid.send_signal(number)
            self.counts[f"{number.name} of the grid"] += 1
        self.wait(grid)

    @property
    def damages(self) -> dict[Callable[[], None], float]:
        """What is done to the files that a stopped grid has left, and how likely."""
        cut = ("runs/*/*.parquet", "runs/*/done.json", "floor/*.parquet", "cache/scan*", "prepared/*.parquet")
        turned = ("cache/images-*.npy", "cache/masks-*.npy", "cache/trunk-*/*.npy")
        return {
            **{partial(self.damage, pattern): 0.1 for pattern in cut},
            **{partial(self.turn_one, pattern): 0.15 for pattern in turned},
            self.copy_results: 0.15,
            self.take_name: 0.15,
            self.lose_split: 0.15,
            self.change_type: 0.2,
            self.change_identity: 0.1,
        }

    def pick(self, *patterns: str) -> Path | None:
        found = sorted(file for pattern in patterns for file in self.out.glob(pattern) if file.is_file())
        return self.random.choice(found) if found else None

    def damage(self, pattern: str) -> None:
        """Cut a file, or turn one of its bits."""
        file = self.pick(pattern)
        if file is None or self.random.random() < 0.5:
            self.turn(file, f"of {pattern}")
            return
        os.truncate(file, self.random.randint(0, max(0, file.stat().st_size - 1)))
        self.counts[f"{pattern} cut"] += 1

    def turn_one(self, pattern: str) -> None:
        self.turn(self.pick(pattern), f"of {pattern}")

    def turn(self, file: Path | None, what: str) -> None:
        """Turn a bit of the file where it lies, as a failing disk or memory would."""
        if file is None or not file.stat().st_size:
            return
        with open(file, "r+b") as stream:
            at = self.random.randrange(file.stat().st_size)
            stream.seek(at)
            byte = stream.read(1)[0] ^ (1 << self.random.randrange(8))
            stream.seek(at)
            stream.write(bytes([byte]))
        self.counts[f"a bit {what} turned"] += 1

    def copy_results(self) -> None:
        """The results of a run into the folder of another one."""
        source, target = self.pick("runs/*/done.json"), self.pick("runs/*/done.json", "runs/*/spec.json")
        if source is None or target is None or source.parent == target.parent:
            return
        for file in source.parent.iterdir():
            shutil.copy(file, target.parent)
        self.counts["results of another run copied into a run's folder"] += 1

    def take_name(self) -> None:
        """The name that a damaged run would get where it is set aside is taken."""
        file = self.pick("runs/*/scores.parquet")
        if file is None:
            return
        for number in range(1, 4):
            (self.out / "runs-set-aside" / f"{file.parent.name}.{number}" / "here").mkdir(parents=True, exist_ok=True)
        self.turn(file, "of scores.parquet, and the name of its run in runs-set-aside taken,")

    def lose_split(self) -> None:
        if (self.out / "split.csv").is_file():
            (self.out / "split.csv").unlink()
            self.counts["split.csv deleted"] += 1

    def change_type(self) -> None:
        """A state file holds valid JSON of another kind; claims stay, since a damaged one is waited for."""
        file = self.pick("plan.json", "manifest.json", "prepared/tasks.json", "runs/*/[!c]*.json")
        if file is None:
            return
        file.write_text(
            self.random.choice(["null", "[]", "{}", "3", '"x"', '{"run": [], "process": {}, "message": 1}'])
        )
        self.counts["state file of another type"] += 1

    def change_identity(self) -> None:
        """What nothing else tells, such as the study of the folder, is refused in one line until it is restored."""
        file = self.pick("study.json", "threads.json")
        if file is None:
            return
        whole = file.read_bytes()
        file.write_text(self.random.choice(["null", "[]", '{"threads": "many"}', "{"]))
        process = self.start()
        text = self.wait(process, ended=2)
        assert str(file) in text.splitlines()[-1], text
        file.write_bytes(whole)
        self.counts["study.json or threads.json damaged, refused and restored"] += 1

    def complete(self) -> bool:
        """Whether nothing is left to interrupt."""
        started = list(self.out.glob("runs/*"))
        return len(started) == self.planned and all((folder / "done.json").is_file() for folder in started)

    # ---- the end -------------------------------------------------------------------------------------------------

    def compare(self, reference: Path) -> None:
        """The same command once more, undisturbed: then everything is there, once, and equal to the reference."""
        from aggregation_lab import results
        from runners.store.run_folder import State
        from runners.store.study_folder import StudyFolder

        self.run()
        runs = StudyFolder(self.out).read_plan()
        assert {status.state for status in StudyFolder(self.out).runs.statuses(runs).values()} == {State.DONE}
        assert len(list(self.out.glob("runs/*"))) == len(runs) == self.planned
        for name, table in results.TABLES.items():
            mine, other = (results.read_table(out / f"{name}.parquet", table) for out in (self.out, reference))
            if name == "runs":
                mine, other = (frame.drop(columns=list(MEASURED)) for frame in (mine, other))
            pd.testing.assert_frame_equal(mine, other, check_exact=True)
        assert not list(self.out.rglob(".*.part")), "half-written files are left"


def interrupt_repeatedly(
    folder: Path, interruptions: int, seed: int, *, seeds: int = 2, at_hand: bool = False
) -> Counter[str]:
    """Make at least so many interruptions, over as many grids as it takes. Returns how often each kind struck.

    The grid has runs of so many `seeds`. With `at_hand` it and its workers are forked from a process that has loaded
    torch, which otherwise takes most of the time of a storm.
    """
    from numpy.random import default_rng

    from tests.conftest import _draw_heads, _draw_kinds  # the data of the other tests
    from tests.tiny import STUDY, write_study

    rng, data = default_rng(0), folder / "data"
    _draw_heads(data / "train", rng)
    _draw_kinds(data / "train", rng)
    draw, counts = random.Random(seed), Counter[str]()
    for turn, (name, model, training) in enumerate(cycle(_kinds_of_study(folder, STUDY))):
        if counts.total() >= interruptions:
            break
        sizes = {"fractions": [0.5, 1.0], "seeds": seeds}
        study = write_study(folder / f"{name}.yaml", model=model, training=training, **sizes)
        reference = GridUnderTest(study, data, folder / f"{name}-reference", draw, seeds, at_hand)
        if turn < 2:
            reference.run()
        grid = GridUnderTest(study, data, folder / "grid", draw, seeds, at_hand)
        while counts.total() + grid.counts.total() < interruptions and not grid.complete():
            grid.interrupt_once()
            print(f"{counts.total() + grid.counts.total()} interruptions, {dict(grid.counts)}", flush=True)
        grid.compare(reference.out)
        counts += grid.counts
        shutil.rmtree(grid.out)
    return counts


def _kinds_of_study(folder: Path, study: dict[str, Any]) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, model and training of the studies that take turns: one trains all blocks, one reads a frozen trunk."""
    import torch

    from aggregation_lab.model.backbones.build import build_backbone

    torch.save(build_backbone(study["model"]["encoder"]).network.state_dict(), folder / "weights.pt")
    frozen = {"weights": "weights.pt", "frozen_blocks": 6}
    plain = ("plain", study["model"], study["training"])
    return [plain, ("frozen", study["model"] | frozen, study["training"] | {"augment": False})]


def report(counts: Counter[str], seconds: float) -> str:
    from aggregation_lab.training.recording import versions

    rows = "\n".join(f"| {name} | {count} |" for name, count in sorted(counts.items(), key=lambda item: -item[1]))
    when = time.strftime("%Y-%m-%d", time.gmtime())
    return (
        "# Interrupted at random\n\n"
        f"`make chaos`, {when}, {versions()}:\n{counts.total()} interruptions in {seconds / 60:.0f} minutes. "
        "After every few of them the grid was completed by the same\ncommand, without any cleaning; its scores, cases, "
        "curves and routing were then equal bit by bit to those of an\nundisturbed grid, no run missing and none there "
        "twice.\n\n"
        f"| what happened | times |\n|---|---|\n{rows}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interruptions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help="Markdown file for the counts.")
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="agglab-chaos-") as folder:
        counts = interrupt_repeatedly(Path(folder), options.interruptions, options.seed)
    text = report(counts, time.monotonic() - start)
    print(text)
    if options.write:
        options.write.write_text(text)


if __name__ == "__main__":
    main()
