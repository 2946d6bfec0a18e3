"""Runs the parts asked for, or all of them, and prints their tables."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from aggregation_lab.errors import AgglabError
from aggregation_lab.folds import FEWEST_FOLDS, MOST_FOLDS
from aggregation_lab.training.device import pick_device
from aggregation_lab.training.recording import versions
from runners.bench.analysis_speed import analysis
from runners.bench.attribution import attribution
from runners.bench.grid import overhead, peers
from runners.bench.growth import growth, more_data
from runners.bench.longer import flag
from runners.bench.measuring import Table, counts_processor_time
from runners.bench.methods import methods
from runners.bench.recipe.scores import recipe
from runners.bench.recording import recording
from runners.bench.setting import PASSES, SHARE, Setting
from runners.bench.stopping import joint_stopping, stopping
from runners.bench.training import bare, experts, frozen, loading, scoring, workers
from runners.bench.worlds.grouping import grouping
from runners.bench.worlds.hypothesis import hypothesis
from runners.planning import cost

PARTS: dict[str, Callable[[Setting], Table]] = {
    part.__name__: part
    for part in (
        bare,
        experts,
        frozen,
        loading,
        workers,
        scoring,
        recording,
        peers,
        attribution,
        overhead,
        growth,
        more_data,
        analysis,
        flag,
        stopping,
        joint_stopping,
        methods,
        recipe,
        hypothesis,
        grouping,
    )
}
ON_REQUEST = (recipe.__name__, hypothesis.__name__, grouping.__name__)
"""Parts that take hours, and so run where they are named."""
DATA = "AGGLAB_BENCH_DATA"


def _rounds(text: str) -> int:
    rounds = int(text)
    if rounds < 1:
        raise argparse.ArgumentTypeError(f"{rounds}: takes 1 or more")
    return rounds


def _seed(text: str) -> int:
    seed = int(text)
    if seed < 0:
        raise argparse.ArgumentTypeError(f"{seed}: takes 0 or more")
    return seed


def _folds(text: str) -> int:
    folds = int(text)
    if folds != 1 and not FEWEST_FOLDS <= folds <= MOST_FOLDS:
        raise argparse.ArgumentTypeError(f"{folds}: takes 1, or {FEWEST_FOLDS} to {MOST_FOLDS}")
    return folds


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("runners.bench", description="What a study costs, as ratios.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; else all but the last three")
    folder = os.environ.get(DATA)
    parser.add_argument(
        "--data", type=Path, default=Path(folder) if folder else None,
        help=f"folder in the challenge's layout, such as us-mini; else ${DATA}, else phantoms",
    )  # fmt: skip
    parser.add_argument("--share", type=float, default=SHARE, help="share of the rows of --data")
    parser.add_argument("--passes", type=float, default=PASSES, help="passes over them")
    parser.add_argument("--size", type=int, default=Setting.size, help="side of the images, pixels")
    parser.add_argument("--rounds", type=_rounds, default=Setting.rounds, help="turns that a ratio is the median of")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="of agglab's trainings")
    parser.add_argument("--folds", type=_folds, default=Setting.folds, help="recipe: rotating folds; 1 is one split")
    parser.add_argument("--tasks", nargs="+", default=(), metavar="TASK", help="recipe: these, in this order; else all")
    parser.add_argument("--out", type=Path, help="recipe, hypothesis, grouping: keeps results here and continues")
    parser.add_argument(
        "--finished", action="store_true", help="the same parts: the table of what --out holds; nothing is trained"
    )
    parser.add_argument("--worlds", type=_rounds, default=Setting.worlds, help="hypothesis, grouping: seeds of a world")
    parser.add_argument("--first", type=_seed, default=Setting.first, help="the same parts: the first of these seeds")
    options = parser.parse_args(arguments)
    for name in options.parts:
        if name not in PARTS:
            parser.error(f"{name}: no such part; there are {', '.join(PARTS)}")
    clock = "processor time" if counts_processor_time() else "wall clock"
    print(
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, {versions()}, {cost.cores()} cores, {pick_device()}, "
        f"{torch.get_num_threads()} thread(s), ratios by {clock}",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="agglab-bench-") as scratch:
        setting = Setting(
            Path(scratch), options.data, options.share, options.passes, options.size,
            rounds=options.rounds, precision=options.precision,
            folds=options.folds, tasks=tuple(options.tasks), out=options.out, finished=options.finished,
            worlds=options.worlds, first=options.first,
        )  # fmt: skip
        for name in options.parts or [name for name in PARTS if name not in ON_REQUEST]:
            start = time.monotonic()
            try:
                table = PARTS[name](setting)
            except AgglabError as error:
                sys.exit(f"{name}: {error}")
            print(f"\n{table}\n\n({name}: {time.monotonic() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
