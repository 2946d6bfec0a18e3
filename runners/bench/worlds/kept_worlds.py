"""Results of the seeds of worlds, one file each, so that a driver continues, and several share one folder."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any, TypeVar

from aggregation_lab.run import RECIPE
from runners.bench.kept_results import keep_result, read_result
from runners.bench.worlds.planted import World

DRAWN = 2
"""Raised whenever the same settings make other pictures or other results: earlier ones then count no more."""

AnyWorld = TypeVar("AnyWorld", bound=World)


def kept_world(
    world: AnyWorld,
    seed: int,
    out: Path,
    make: Callable[[AnyWorld, int, Path], dict[str, Any]],
    *,
    only_finished: bool,
) -> dict[str, Any] | None:
    """The result of one seed of the world, made by `make(world, seed, folder)` where it is not there yet; None where it
    is not to be made.

    Processes that make different seeds share `out`; two that make the same one get in each other's way.
    """
    condition = hashlib.sha256(f"{world.name} {astuple(world)} {RECIPE} {DRAWN}".encode()).hexdigest()[:10]
    file = out / f"{world.slug}-{seed}-{condition}.json"
    found = read_result(file)
    if found is not None or only_finished:
        return found
    folder = out / "studies" / file.stem
    folder.mkdir(parents=True, exist_ok=True)
    result = keep_result(file, make(world, seed, folder))
    shutil.rmtree(folder, ignore_errors=True)
    return result
