"""Whether groups that are found part what contradicts each other and gain, where relatedness is planted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from analysis.grouping.predicted_gain import ALL_SIGNALS, MODEL
from analysis.grouping.set_features import NO_INFORMATION, SAME_GROUP, SAME_TYPE, SIMILAR_SIZE
from runners.bench.measuring import Cell, Table
from runners.bench.setting import Setting
from runners.bench.worlds.grouping_study import CLUSTERS, PLANTED, RANDOM, SEARCHED, SIZE, grouped
from runners.bench.worlds.kept_worlds import kept_world
from runners.bench.worlds.related import SharedStructures

WORLD = SharedStructures(widths=(4,), pictures=(32, 64, 64), passes=18.0, margin=0.02, seeds=5, rate=0.007, decibel=4.0)

_ROWS = (
    ("found", SEARCHED, MODEL),
    ("affinities alone: clusters of all signals", CLUSTERS, ALL_SIGNALS),
    ("clinical groups: CG", "CG", SAME_GROUP),
    ("same type, which all are: AU", "AU", SAME_TYPE),
    ("similar size", SIZE, SIMILAR_SIZE),
    ("no information: drawn at random", RANDOM, NO_INFORMATION),
    ("every task alone: TS", "TS", ""),
    ("as planted", PLANTED, ""),
)
"""What is known, the partition that it makes, and the predictor that knows no more, if there is one."""


def grouping(setting: Setting) -> Table:
    """A row for each way to group tasks: how often it parts contradicting pairs, its test scores, what it foretells.

    Results are kept in `setting.out` one by one; those that are there are not made again, and processes that make
    different seeds can share it. With `setting.finished` nothing is trained.
    """
    out = setting.out or setting.scratch / "grouping"
    results = []
    for seed in setting.world_seeds:
        result = kept_world(WORLD, seed, out, grouped, only_finished=setting.finished)
        if result is not None:
            results.append(result)
            print(_line(seed, result), flush=True)
    columns = (
        "grouped by", "contradictions parted", "units", "test score", "gain over TS", "no worse than AU and CG",
        "better than both", "rank correlation", "of new sets", "error on sets left out",
    )  # fmt: skip
    rows = tuple(_row(*names, results) for names in _ROWS) if results else ()
    return Table("Groups found where relatedness is planted", columns, rows, _note(results))


def _line(seed: int, result: dict[str, Any]) -> str:
    scores = ", ".join(f"{name} {each['score']:.3f}" for name, each in result["partitions"].items())
    found = result["partitions"][SEARCHED]
    units = " | ".join("+".join(task.removeprefix("task_") for task in unit) for unit in found["tasks"])
    return (
        f"{WORLD.name}, seed {seed}: {units} ({'parted' if found['parted'] else 'not parted'}); {scores}; "
        f"rank correlation {result['predictors'][MODEL]['rank']:+.2f}; "
        f"used: {', '.join(result['used']) or 'nothing'}"
    )


def _row(text: str, partition: str, predictor: str, results: Sequence[dict[str, Any]]) -> tuple[Cell, ...]:
    of = [result["partitions"][partition] for result in results]
    scores = _scores(partition, results)
    gains, others = scores - _scores("TS", results), np.maximum(_scores("AU", results), _scores("CG", results))
    told = [result["predictors"][predictor] for result in results] if predictor else []
    return (
        text,
        f"{sum(each['parted'] for each in of)} of {len(of)}",
        f"{np.mean([len(each['tasks']) for each in of]):.1f}",
        f"{scores.mean():.3f}",
        mean_between([*gains]),
        f"{int((scores >= others - WORLD.margin).sum())} of {len(of)}",
        f"{int((scores > others).sum())} of {len(of)}",
        mean_between([each["rank"] for each in told]) if told else "",
        mean_between([each["rank_new"] for each in told]) if told else "",
        f"{np.mean([each['error'] for each in told]):.3f}" if told else "",
    )


def _scores(partition: str, results: Sequence[dict[str, Any]]) -> np.ndarray:
    return np.array([result["partitions"][partition]["score"] for result in results])


def mean_between(values: Sequence[float]) -> str:
    """Mean with Student's 95 % interval over seeds of the world; no interval of one."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:+.3f}"
    half = float(stats.t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def _note(results: Sequence[dict[str, Any]]) -> str:
    about = (
        f"Each seed is a world of its own with {len(WORLD.structures)} tasks, {WORLD.seeds} seeds of every training. "
        f"Wanted of what is found: parted in 9 of 10, no worse than AU and CG by more than {WORLD.margin:g} in 9, "
        "better in 6, a rank correlation of 0.5. Scores are of test cases, means over tasks and seeds; the rank "
        "correlation is of predicted and test gains of tasks in sets that the prediction has not seen, that of new "
        "sets in those alone that were trained after it; intervals (95 %) are over the seeds of the world. Clusters "
        "and sizes make as many units as are found."
    )
    if not results:
        return about
    names = list(dict.fromkeys(name for result in results for name in result["signals"]))
    lines = [
        about,
        "",
        f"Affinities are used in {sum(bool(result['used']) for result in results)} of {len(results)}. Chance that a "
        "signal is lower for a contradicting pair than for a related one, and how often clusters of that signal alone "
        "part all contradictions:",
        "",
    ]
    for name in names:
        of = [result["signals"][name] for result in results if name in result["signals"]]
        told, parted = np.mean([each["told"] for each in of]), sum(each["parted"] for each in of)
        lines.append(f"- {name}: {told:.2f}; {parted} of {len(of)}")
    return "\n".join(lines)
