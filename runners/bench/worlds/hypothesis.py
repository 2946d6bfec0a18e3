"""How often the claim on capacity comes out right where the truth is planted."""

from typing import Any

import numpy as np

from analysis.statistics.verdicts import UNDECIDED
from runners.bench.measuring import Cell, Table
from runners.bench.setting import Setting
from runners.bench.worlds.capacity_study import judged
from runners.bench.worlds.kept_worlds import kept_world
from runners.bench.worlds.planted import WORLDS, CapacityWorld


def hypothesis(setting: Setting) -> Table:
    """A row for each world: how many of its seeds come out right, undecided and wrong, and the parts of the claim.

    Results are kept in `setting.out` one by one; those that are there are not made again. With `setting.finished`
    nothing is trained.
    """
    out = setting.out or setting.scratch / "hypothesis"
    found: dict[CapacityWorld, list[dict[str, Any]]] = {world: [] for world in WORLDS}
    for seed in setting.world_seeds:
        for world in WORLDS:
            result = kept_world(world, seed, out, judged, only_finished=setting.finished)
            if result is not None:
                found[world].append(result)
                print(f"{world.name}, seed {seed}: {result['verdict']} ({_parts(result)})", flush=True)
    rows = tuple(_row(world, results) for world, results in found.items() if results)
    arms = "; ".join(f"{world.name}: widths {', '.join(map(str, world.widths))}" for world in WORLDS)
    note = (
        f"Each seed of a world is a study of its own: {WORLDS[0].seeds} seeds of TS, CG and AU, each width an arm "
        f"({arms}). Wanted: right in 9 of 10, wrong in none. Slopes are those of the gain per doubling of parameters; "
        "ranges are over the seeds of the world."
    )
    columns = ("world", "truth", "seeds", "right", UNDECIDED, "wrong", "slope CG", "slope AU", "|AU - CG|", "AUC")
    return Table("The claim on capacity in planted worlds", columns, rows, note)


def _parts(result: dict[str, Any]) -> str:
    return "; ".join(f"{part['verdict']} {part['estimate']:+.3f}" for part in result["parts"])


def _row(world: CapacityWorld, results: list[dict[str, Any]]) -> tuple[Cell, ...]:
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
