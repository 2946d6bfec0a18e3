"""One seed of a world as a study of its own: pictures, runs of all arms and seeds, and what the analysis says."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.splits.split import SPLIT_FILE, Split, find_components, split_table
from aggregation_lab.errors import AgglabError
from aggregation_lab.files import write_text
from analysis.arms.hypothesis import NUMBER
from analysis.pipeline import analyse
from analysis.questions.findings import WHOLE
from analysis.settings import Settings
from analysis.study import load_study
from runners.bench.worlds.encoders import encoder
from runners.bench.worlds.pictures import part_of, write_world
from runners.bench.worlds.planted import World
from runners.execution.engines import run_here
from runners.execution.worker import WorkerConfig
from runners.options import INTERRUPTED
from runners.planning.plan import PlannedRun
from runners.planning.study_file import parse_study
from runners.planning.study_schema import Study
from runners.store.collect import collect
from runners.store.prepare import prepare
from runners.store.study_folder import StudyFolder

DRAWS = 500


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


def judged(world: World, seed: int, folder: Path) -> dict[str, Any]:
    """Train the study of one seed of the world in `folder`, or the rest of it, and return what the analysis finds:
    `verdict` of the claim, its `parts` with their verdicts, estimates and limits, and `scores`, the mean test score by
    arm and aggregation.

    Raises `AgglabError` where a run fails, and `SystemExit` where it was interrupted; the next call continues.
    """
    study, source = _study(world, seed, folder)
    out = StudyFolder(folder / "out")
    out.path.mkdir(exist_ok=True)
    with out.preparing():
        runs = prepare(study, source, out, lambda *_: None).runs
    outcome = run_here(runs, WorkerConfig(out, threads=1, device="cpu"), Silent())
    if outcome.interrupted:
        raise SystemExit(INTERRUPTED)
    if outcome.failed:
        run, message = next(iter(outcome.failed.items()))
        raise AgglabError(f"{out}: {len(outcome.failed)} runs failed, {run} among them: {message}")
    collect(out, runs)
    return _found(out.path)


def _study(world: World, seed: int, folder: Path) -> tuple[Study, Path]:
    """The study and its file; pictures and split are drawn where they are not there yet."""
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
    arms = {f"width_{width}": {"model.encoder": encoder(width)} for width in world.widths}
    fields = {
        "name": f"{world.slug}-{seed}",
        "data": {"root": str(data.absolute()), "split": str((folder / SPLIT_FILE).absolute())},
        "aggregations": ["TS", "CG", "AU"],
        "seeds": world.seeds,
        "model": {"encoder": encoder(world.widths[0]), "moe": {"experts": 0}, "head_width": 8},
        "training": world.training,
        "arms": arms,
        "margins": {"default": world.margin},
    }
    file = folder / "study.yaml"
    write_text(file, yaml.safe_dump(fields, sort_keys=False))
    return parse_study(fields, str(file)), file


def _found(out: Path) -> dict[str, Any]:
    tables = load_study(out)
    rows = analyse(tables, Settings(draws=DRAWS)).frames["findings"]
    rows = rows[rows["finding"] == NUMBER]
    parts = rows.loc[rows["part"] != WHOLE, ["part", "verdict", "estimate", "low", "high"]]
    trained = tables.scores[(tables.scores["metric"] == "AUC") & (tables.scores["aggregation"] != FLOOR)]
    means = trained.groupby(trained["arm"] + " " + trained["aggregation"])["value"].mean()
    return {
        "verdict": str(rows.loc[rows["part"] == WHOLE, "verdict"].iloc[0]),
        "parts": parts.to_dict("records"),
        "scores": {str(model): float(mean) for model, mean in means.items()},
    }
