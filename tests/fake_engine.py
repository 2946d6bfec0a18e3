"""A stand-in for training that takes no time: counts steps, keeps a checkpoint, and misbehaves by task name.

`raises` stops with a `TrainingError`, `crashes` with a bug that breaks its process for later runs, `killed` dies by
SIGKILL at its third step, once, `doomed` always. `held` waits at its third step, with a checkpoint, until `release` is
called, or until it has to stop; `deaf` waits there, too, and ignores the order to stop. Starts and ends of runs
are lines of `trace.txt` in the output folder.
"""

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from aggregation_lab.errors import AgglabError, TrainingError
from aggregation_lab.files import file_digest, write_json
from aggregation_lab.run import STARTS_FROM, weights_file
from aggregation_lab.storage.sealed_json import write_sealed
from runners.execution.worker import WorkerConfig
from runners.store.study_folder import StudyFolder
from tests.waiting import wait_for

BROKEN: list[str] = []
"""Names of runs that have broken this process, as an error of CUDA would."""

GO = "go"
"""File in the output folder that releases the runs that wait."""


class Interruption(Exception):
    pass


def config(out: Path, **changes) -> WorkerConfig:
    names = {"load": "load", "train": "train", "interruption": "Interruption"}
    return WorkerConfig(
        StudyFolder(out), threads=1, **{field: f"tests.fake_engine:{name}" for field, name in names.items()} | changes
    )


def load(folder: StudyFolder) -> SimpleNamespace:
    return SimpleNamespace(dataset=None, split=lambda fold: None, cache_of=lambda image_size: None)


def load_broken(folder: StudyFolder) -> None:
    raise AgglabError("the data are gone")


def load_killed(folder: StudyFolder) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train(spec, dataset, split, cache, folder: Path, *, report, threads, device, keep, start, affinity) -> None:
    if BROKEN:
        raise RuntimeError(f"this process was broken by {BROKEN[0]}")
    name, steps = spec.tasks[0].name, spec.training.min_steps
    note(folder, f"start {spec.id}")
    if spec.start is not None:
        assert (start / weights_file(STARTS_FROM)).is_file(), "nothing to start from"
    checkpoint = folder / "checkpoint.pt"
    state = json.loads(checkpoint.read_text()) if checkpoint.is_file() else {"step": 0, "value": spec.id, "resumes": -1}
    state["resumes"] += 1
    while state["step"] < steps:
        time.sleep(0.001)
        state["step"] += 1
        state["value"] = hashlib.sha256(state["value"].encode()).hexdigest()
        write_json(checkpoint, state)
        say = partial(report, SimpleNamespace(step=state["step"], steps=steps, loss=0.5, score=0.5, phase="training"))
        if state["step"] >= 3:
            fail_or_wait(name, folder)
            stay(name, folder, say)
        say()
    write_json(folder / "result.json", {"value": state["value"], "resumes": state["resumes"]})
    for file in keep.files:
        (folder / file).write_text(state["value"])
    kept = {file: file_digest(folder / file) for file in keep.files}
    write_sealed(folder / "done.json", {"run": spec.id, "seconds": 0.1, "kept": kept})
    checkpoint.unlink()
    note(folder, f"end {spec.id}")


def stay(name: str, folder: Path, say: Callable[[], None]) -> None:
    """Stay at this step, if the name is one that does."""
    if name.startswith(("held", "deaf")):
        wait_for(lambda: (folder.parents[1] / GO).exists() or (name.startswith("held") and say()))


def release(out: Path) -> None:
    """Runs that stay go on."""
    (out / GO).touch()


def is_held(folder: Path) -> bool:
    """Whether the run of the folder has reached the step at which it waits."""
    checkpoint = folder / "checkpoint.pt"
    return checkpoint.is_file() and json.loads(checkpoint.read_text())["step"] == 3


def note(folder: Path, line: str) -> None:
    with open(folder.parents[1] / "trace.txt", "a") as trace:
        trace.write(f"{line} {os.getpid()}\n")


def trace(out: Path, kind: str) -> list[str]:
    """Ids of the runs that were started or ended, in order."""
    lines = (out / "trace.txt").read_text().splitlines() if (out / "trace.txt").is_file() else []
    return [line.split()[1] for line in lines if line.split()[0] == kind]


def fail_or_wait(name: str, folder: Path) -> None:
    if name == "raises":
        raise TrainingError("step 3: the loss of task raises is nan; lower training.learning_rate")
    if name == "crashes":
        BROKEN.append(name)
        raise ValueError("a bug\nof two lines")
    if name == "doomed" or (name == "killed" and not (folder / "killed-once").exists()):
        (folder / "killed-once").touch()
        os.kill(os.getpid(), signal.SIGKILL)
