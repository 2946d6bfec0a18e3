"""One seed of a world as a study: its pictures and split, a grid of one worker in this process, and its tables."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.splits.split import SPLIT_FILE, Split, find_components, split_table
from aggregation_lab.errors import AgglabError
from aggregation_lab.files import write_text
from analysis.study import StudyTables, load_study
from runners.bench.worlds.encoders import encoder
from runners.bench.worlds.pictures import part_of, write_world
from runners.bench.worlds.planted import World
from runners.execution.engines import run_here
from runners.execution.worker import WorkerConfig
from runners.options import INTERRUPTED
from runners.planning.plan import PlannedRun
from runners.planning.study_file import parse_study
from runners.store.collect import collect
from runners.store.prepare import prepare
from runners.store.study_folder import StudyFolder


class Silent:
    """A watcher of a grid that shows nothing."""

    def started(self, run: PlannedRun) -> None: ...
    def progressed(self, run: PlannedRun, progress: object) -> None: ...
    def paused(self, run: PlannedRun) -> None: ...
    def finished(self, run: PlannedRun, status: object) -> None: ...
    def failed(self, run: PlannedRun, message: str) -> None: ...
    def blocked(self, run: PlannedRun) -> None: ...
    def noted(self, message: str) -> None: ...
    def ticked(self) -> None: ...


def train_world(world: World, seed: int, folder: Path, fields: Mapping[str, Any]) -> StudyTables:
    """Train the study of one seed of the world in `folder`, or the rest of it, and return its tables.

    `fields` are those of the study file that the world does not decide, such as its aggregations. Raises `AgglabError`
    where a run fails, and `SystemExit` where it was interrupted; the next call continues.
    """
    data = _drawn(world, seed, folder)
    whole = {
        "name": f"{world.slug}-{seed}",
        "data": {"root": str(data.absolute()), "split": str((folder / SPLIT_FILE).absolute())},
        "seeds": world.seeds,
        "model": {"encoder": encoder(world.widths[0]), "moe": {"experts": 0}, "head_width": 8},
        "training": world.training,
        "margins": {"default": world.margin},
        **fields,
    }
    file = folder / "study.yaml"
    write_text(file, yaml.safe_dump(whole, sort_keys=False))
    study, out = parse_study(whole, str(file)), StudyFolder(folder / "out")
    out.path.mkdir(exist_ok=True)
    with out.preparing():
        runs = prepare(study, file, out, lambda *_: None).runs
    outcome = run_here(runs, WorkerConfig(out, threads=1, device="cpu"), Silent())
    if outcome.interrupted:
        raise SystemExit(INTERRUPTED)
    if outcome.failed:
        run, message = next(iter(outcome.failed.items()))
        raise AgglabError(f"{out}: {len(outcome.failed)} runs failed, {run} among them: {message}")
    collect(out)
    return load_study(out.path)


def _drawn(world: World, seed: int, folder: Path) -> Path:
    """The pictures, which are drawn where they are not there yet, and their split beside them."""
    data = folder / "world"
    if not data.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        half = folder / "world.part"
        random = np.random.default_rng([seed, world.number])
        write_world(half, world.plan(random), random)
        os.replace(half, data)
    dataset = read_dataset(data)
    component = dataset.cases["content"].map(find_components(dataset)).to_numpy()
    part = dataset.cases["image"].map(part_of).to_numpy()
    Split(split_table(dataset.cases["case"], component, part, np.zeros(len(part)))).save(folder)
    return data
