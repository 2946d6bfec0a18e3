"""Does a gain rise with capacity? Gains in arms that differ in the size of the model alone, against that size.

For every task a line of its gain on log2 of the size of the joint model, through the arms; the pooled line is the mean of
the tasks' lines. To make a task's model larger is an intervention, as it is to take a part of its data, so the lines are
those of `analysis.questions.scale_within_tasks` with arms in the place of fractions: seeds move the level and scatter
about the line, resampled subjects move both, and the pooled line scatters with the tasks and with what moves all of them
together. Size is counted in two ways: trainable parameters, and operations of training per image.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.arms.comparisons import GAIN, ArmContrast, Compared
from analysis.frames import frame
from analysis.gains import Contrast, PairedGain
from analysis.questions.means import these_tasks
from analysis.questions.scale_within_tasks import TaskLine, pooled_line, task_lines
from analysis.statistics.fitted_line import Line

PARAMETERS, OPERATIONS = "parameters", "operations per image"

_CAPACITY = ("encoder", "moe", "head_width")
"""Fields of a model that decide how large it is."""

LEAST_RATIO = 1.25
"""Largest over smallest size below which a slope per doubling would be read off almost one size."""

Sizes = Mapping[str, Mapping[str, float]]
"""By what is counted, the size of the model of each run."""


def model_sizes(runs: pd.DataFrame | None) -> Sizes:
    """Parameters and operations of training per image of each run of the table `runs`."""
    if runs is None:
        return {PARAMETERS: {}, OPERATIONS: {}}
    once = runs.drop_duplicates("run").set_index("run")
    counted = {PARAMETERS: once["parameters"], OPERATIONS: once["flops"] / once["images_seen"].where(lambda n: n > 0)}
    return {name: {str(run): float(size) for run, size in of.items() if size > 0} for name, of in counted.items()}


def series_of(settings: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Arms that differ in capacity alone, two or more: `settings` are an arm's `model` and `training`."""
    series: dict[str, list[str]] = {}
    for arm, fields in settings.items():
        model = {name: value for name, value in fields.get("model", {}).items() if name not in _CAPACITY}
        rest = repr(sorted(_flat({"model": model, "training": fields.get("training", {})})))
        series.setdefault(rest, []).append(arm)
    return [tuple(arms) for arms in series.values() if len(arms) > 1]


def _flat(fields: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, str]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", repr(value)


@dataclass(frozen=True)
class Trend:
    """One contrast over the arms of a series at one fraction, its pairs by arm, sized in one way (`n_train` has the
    size)."""

    contrast: Contrast
    arms: tuple[str, ...]
    fraction: float
    measure: str
    pairs: Mapping[str, Sequence[PairedGain]]

    @property
    def columns(self) -> dict[str, object]:
        """What a row says of it."""
        named = {**self.contrast.columns, "fraction": self.fraction}
        return {**named, "series": ", ".join(self.arms), "measure": self.measure}

    @property
    def lines(self) -> list[TaskLine]:
        """The line of every task that the arms have in two sizes or more."""
        found = task_lines([(float(place), self.pairs[arm]) for place, arm in enumerate(self.arms)])
        return [line for line in found if 2 ** (line.line.x_max - line.line.x_min) >= LEAST_RATIO]


def capacity(
    within: Compared, series: Sequence[tuple[str, ...]], sizes: Sizes
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The frames `capacity`, `capacity_gains` and `capacity_line`: slopes per doubling, the mean gain in every arm, and
    the lines to draw. `within` are the pairs of `gains_within`."""
    rows, gains, drawn = [], [], []
    for trend in trends(within, series, sizes):
        lines = trend.lines
        improving = {pair.task for pairs in trend.pairs.values() for pair in pairs if pair.base_improving}
        for own in lines:
            about = {"level": "task", "name": own.task, "type": own.type, "group": own.group, "tasks": 1}
            rows.append(trend.columns | about | _slope(own.line, len(own.fractions), own.task in improving))
        whole = [line for line in lines if len(line.fractions) == len(trend.arms)]
        types = sorted({line.type for line in whole})
        for name in ("all", *(types if len(types) > 1 else ())):
            members = [line for line in whole if name in ("all", line.type)]
            pooled = pooled_line(members)
            if pooled is None:
                continue
            about = {"level": "pooled", "name": name, "type": name, "group": "all", "tasks": len(members)}
            behind = bool(improving & {line.task for line in members})
            rows.append(trend.columns | about | _slope(pooled, len(trend.arms), behind))
            if name == "all":
                drawn.append(pd.DataFrame(trend.columns | {"size": (grid := pooled.grid())["n"]} | _band(grid)))
                gains += _means(trend, {line.task for line in members})
    lines_frame = pd.concat(drawn, ignore_index=True) if drawn else frame("capacity_line", [])
    return frame("capacity", rows), frame("capacity_gains", gains), lines_frame


def trends(within: Compared, series: Sequence[tuple[str, ...]], sizes: Sizes) -> Iterable[Trend]:
    """Every contrast that two arms of a series have, at every fraction, sized in both ways."""
    for arms in series:
        keys = {(about.contrast, fraction): None for about, fraction in within if about.arm in arms}
        for (contrast, fraction), measure in ((key, name) for key in keys for name in sizes):
            by_arm = {arm: within.get((ArmContrast(GAIN, contrast, arm, arm), fraction), []) for arm in arms}
            sized = {arm: _sized(pairs, sizes[measure]) for arm, pairs in by_arm.items()}
            present = {arm: pairs for arm, pairs in sized.items() if pairs}
            if len(present) > 1:
                yield Trend(contrast, tuple(present), fraction, measure, present)


def _sized(pairs: Iterable[PairedGain], sizes: Mapping[str, float]) -> list[PairedGain]:
    """The pairs with the size of their joint model in the place of the training cases; those of unknown size left out."""
    known = [(pair, [sizes[run] for run in pair.joint_runs if run in sizes]) for pair in pairs]
    return [replace(pair, n_train=float(np.median(found))) for pair, found in known if found]


def _slope(line: Line, arms: int, improving: bool) -> dict[str, object]:
    low, high, p = line.slope_interval()
    sizes = {"size_min": 2**line.x_min, "size_max": 2**line.x_max}
    return {"arms": arms, "slope": line.slope, "low": low, "high": high, "p": p, **sizes, "base_improving": improving}


def _band(grid: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: grid[name] for name in ("fit", "low", "high")}


def _means(trend: Trend, tasks: set[str]) -> list[dict[str, object]]:
    """The mean gain of the same tasks in every arm, at the geometric mean of their sizes."""
    rows = []
    for arm in trend.arms:
        members = [pair for pair in trend.pairs[arm] if pair.task in tasks]
        value, low, high, _ = these_tasks(members)
        size = float(np.exp(np.mean([np.log(pair.n_train) for pair in members])))
        about = {"arm": arm, "size": size, "tasks": len(members)}
        rows.append(trend.columns | about | {"gain": value, "low": low, "high": high})
    return rows
