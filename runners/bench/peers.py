"""The same study by agglab and by two peers, each in a process of its own: time in all, and peak memory."""

import json
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from runners.bench.plain import Trained
from runners.bench.process import CommandFailed, Measured, measure
from runners.bench.setting import Setting
from runners.bench.study import StudyRun, run_study
from runners.bench.tables import Cell, Table

GIB = 1024**3
PLAIN, LIBMTL = "plain PyTorch, decoding each time", "LibMTL's trainer (HPS, EW)"
GOALS = {PLAIN: {"cpu": ">= 2", "cuda": ">= 5"}}
COLUMNS = (
    "the same study by", "runs", "steps", "images", "preparation s", "training s", "total s", "total / agglab's",
    "goal", "peak GiB", "device GiB",
)  # fmt: skip


@dataclass(frozen=True)
class Peer:
    """What a peer has done and what it took."""

    name: str
    done: Trained
    measured: Measured


def peers(setting: Setting) -> Table:
    """Time and memory of TS, CG and AU by agglab, by a plain pipeline, and by LibMTL where it is installed."""
    ours = run_study(setting)
    rows = [_own_row(ours)]
    device, faults = str(ours.runs["device"].iloc[0]), []
    for name, module in ((PLAIN, "runners.bench.plain"), (LIBMTL, "runners.bench.libmtl")):
        try:
            rows.append(_row(run_peer(name, module, ours, setting.scratch), ours, device))
        except CommandFailed as error:
            faults.append(f"{name} did not run: {error}")
    return Table("Peers", COLUMNS, tuple(rows), " ".join([_note(setting, ours), *faults]))


def run_peer(name: str, module: str, ours: StudyRun, scratch: Path) -> Peer:
    """Let a peer repeat the study. Raises `CommandFailed` with its last words."""
    result = scratch / f"{module}.json"
    command = [sys.executable, "-m", module, str(ours.out), str(result)]
    measured = measure(command, scratch / f"{module}.log")
    return Peer(name, Trained(**json.loads(result.read_text())), measured)


def _own_row(ours: StudyRun) -> tuple[Cell, ...]:
    runs, taken = ours.runs, ours.measured
    counts = (len(runs), int(runs["steps"].sum()), int(runs["images_seen"].sum()))
    times = (ours.preparation, ours.grid_seconds, taken.seconds)
    return ("agglab", *counts, *times, 1.0, "", taken.memory / GIB, taken.device_memory / GIB)


def _row(peer: Peer, ours: StudyRun, device: str) -> tuple[Cell, ...]:
    done, taken = peer.done, peer.measured
    ratio, goal = taken.seconds / ours.measured.seconds, GOALS.get(peer.name, {}).get(device, "")
    times = ("", taken.seconds, taken.seconds)
    memory = (taken.memory / GIB, taken.device_memory / GIB)
    return (peer.name, done.runs, done.steps, done.images, *times, ratio, goal, *memory)


def _note(setting: Setting, ours: StudyRun) -> str:
    data = "phantoms" if setting.data is None else f"{setting.data.name}, {setting.share:.0%} of its rows"
    precision = ", ".join(sorted(set(ours.runs["precision"])))
    try:
        libmtl = f"LibMTL {version('LibMTL')}"
    except PackageNotFoundError:
        libmtl = "LibMTL is not installed (pip install LibMTL==1.1.5)"
    return (
        f"TS, CG and AU on {data}, {setting.passes:g} passes, {setting.size} px. agglab: `run-grid` from nothing, "
        f"{ours.workers} worker(s), {precision}, scores of every test case and all tables; preparation is scan, split, "
        "cache and floor. The peers: one process, fp32, case table and split given to them, no scores, no tables. "
        f"{libmtl}; a step of its trainer takes a batch of every task. Memory: pages that processes share count once."
    )
