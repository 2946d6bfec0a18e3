"""How often the claim on capacity comes out right where the truth is planted."""

import hashlib
import shutil
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from aggregation_lab.run import RECIPE
from analysis.statistics.verdicts import UNDECIDED
from runners.bench.kept_results import keep_result, read_result
from runners.bench.measuring import Cell, Table
from runners.bench.setting import Setting
from runners.bench.worlds.planted import WORLDS, World
from runners.bench.worlds.world_study import judged

DRAWN = 1
"""Raised whenever pictures are drawn otherwise from the same settings: earlier results then count no more."""


def hypothesis(setting: Setting) -> Table:
    """A row for each world: how many of its seeds come out right, undecided and wrong, and the parts of the claim.

    Results are kept in `setting.out` one by one; those that are there are not made again. With `setting.finished`
    nothing is trained.
    """
    out = setting.out or setting.scratch / "hypothesis"
    found: dict[World, list[dict[str, Any]]] = {world: [] for world in WORLDS}
    for seed in range(setting.worlds):
        for world in WORLDS:
            result = _kept(world, seed, out, only_finished=setting.finished)
            if result is not None:
                found[world].append(result)
                print(f"{world.name}, seed {seed}: {result['verdict']} ({_parts(result)})", flush=True)
    rows = tuple(_row(world, results) for world, results in found.items() if results)
    arms = "; ".join(f"{world.name}: widths {', '.join(map(str, world.widths))}" for world in WORLDS)
    note = (
        f"Each seed of a world is a study of its own: {WORLDS[0].seeds} seeds of TS, CG and AU in three arms ({arms}). "
        "Wanted: right in 9 of 10, wrong in none. Slopes are those of the gain per doubling of parameters; ranges are "
        "over the seeds of the world."
    )
    columns = ("world", "truth", "seeds", "right", UNDECIDED, "wrong", "slope CG", "slope AU", "|AU - CG|", "AUC")
    return Table("The claim on capacity in planted worlds", columns, rows, note)


def _kept(world: World, seed: int, out: Path, *, only_finished: bool) -> dict[str, Any] | None:
    """The result of one seed of the world, made where it is not there yet; None where it is not to be made."""
    condition = hashlib.sha256(f"{world.name} {astuple(world)} {RECIPE} {DRAWN}".encode()).hexdigest()[:10]
    file = out / f"{world.slug}-{seed}-{condition}.json"
    found = read_result(file)
    if found is not None or only_finished:
        return found
    folder = out / "studies" / file.stem
    folder.mkdir(parents=True, exist_ok=True)
    result = keep_result(file, judged(world, seed, folder))
    shutil.rmtree(folder, ignore_errors=True)
    return result


def _parts(result: dict[str, Any]) -> str:
    return "; ".join(f"{part['verdict']} {part['estimate']:+.3f}" for part in result["parts"])


def _row(world: World, results: list[dict[str, Any]]) -> tuple[Cell, ...]:
    verdicts = [result["verdict"] for result in results]
    right, undecided = verdicts.count(world.truth), verdicts.count(UNDECIDED)
    cg, au, between = ([result["parts"][place]["estimate"] for result in results] for place in range(3))
    # a part on capacity is the margin less the slope
    slopes = [_range([world.margin - each for each in part]) for part in (cg, au)]
    means = {key: np.mean([result["scores"][key] for result in results]) for key in results[0]["scores"]}
    scores = ", ".join(f"{key.removeprefix('width_')} {mean:.2f}" for key, mean in means.items())
    counts = (len(results), right, undecided, len(results) - right - undecided)
    return (world.name, world.truth, *counts, *slopes, _range(between), scores)


def _range(values: list[float]) -> str:
    return f"{min(values):+.3f} to {max(values):+.3f}"
