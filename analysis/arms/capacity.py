"""Does a gain rise with capacity? Gains in arms that differ in the size of the model alone, against that size.

Every task has a slope of its gain on log2 of the size of the joint model, through the arms. Like a difference of gains
it is a sum of the gains of a seed with weights,

    slope_s = sum_b w_b D_bs,   w_b = (x_b - mean x) / sum (x_b - mean x)^2,   x_b = log2 size in arm b,

so it has the errors of one: seeds and resampled subjects whole, scatter shared by tasks of a type. Residuals about the
line would tell more of it, but only where all arms scatter alike. To make a task's model larger is an intervention, as
it is to take a part of its data, so the pooled line is that of `analysis.questions.scale.within_tasks` with arms in the
place of fractions: the mean of the tasks' lines, which scatters with the tasks and with what moves all of them
together. Size is counted in two ways: trainable parameters, and operations of training per image.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.arms.comparisons import GAIN, ArmContrast, Compared
from analysis.contrasts import Contrast
from analysis.frames import frame
from analysis.gains import PairedGain, common_seeds, rarest_class_of
from analysis.questions.families import moderated, testable
from analysis.questions.means import these_tasks
from analysis.questions.same_test import same_tests
from analysis.questions.scale.within_tasks import TaskLine, pooled_line, task_lines
from analysis.statistics.fitted_line import Line
from analysis.statistics.uncertainty import GainEstimate

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


Slopes = list[tuple[PairedGain, list[PairedGain]]]
"""Slopes of tasks, each with the gains that it is fitted to."""


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
        """The line of every task that all arms have."""
        found = task_lines([(float(place), self.pairs[arm]) for place, arm in enumerate(self.arms)])
        differing = [line for line in found if line.line.x_max - line.line.x_min >= np.log2(LEAST_RATIO)]
        return [line for line in differing if len(line.fractions) == len(self.arms)]

    @property
    def slopes(self) -> Slopes:
        """The slope of every task that the arms have in two sizes or more, as a `PairedGain`, and its gains."""
        by_task: dict[str, list[PairedGain]] = {}
        for pair in chain.from_iterable(self.pairs[arm] for arm in self.arms):
            by_task.setdefault(pair.task, []).append(pair)
        found = [(task_slope(points), points) for _, points in sorted(by_task.items())]
        return [(slope, points) for slope, points in found if slope is not None]


def capacity(
    within: Compared, series: Sequence[tuple[str, ...]], sizes: Sizes
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The frames `capacity`, `capacity_gains` and `capacity_line`: slopes per doubling, the mean gain in every arm, and
    the lines to draw. `within` are the pairs of `gains_within`."""
    rows, gains, drawn = [], [], []
    for trend, slopes, estimates in _estimated(list(trends(within, series, sizes))):
        for estimate, (slope, points) in zip(estimates, slopes, strict=True):
            about = {"level": "task", "name": slope.task, "type": slope.type, "group": slope.group, "tasks": 1}
            rows.append(trend.columns | about | _task_slope(slope, estimate, points))
        improving = {slope.task for slope, _ in slopes if slope.base_improving}
        lines = trend.lines
        types = sorted({line.type for line in lines})
        for name in ("all", *(types if len(types) > 1 else ())):
            members = [line for line in lines if name in ("all", line.type)]
            pooled = pooled_line(members)
            if pooled is None:
                continue
            about = {"level": "pooled", "name": name, "type": name, "group": "all", "tasks": len(members)}
            behind = bool(improving & {line.task for line in members})
            rows.append(trend.columns | about | _pooled_slope(pooled, len(trend.arms), behind))
            if name == "all":
                grid = pooled.grid()
                drawn.append(pd.DataFrame(trend.columns | {"size": grid.pop("n")} | grid))
                gains += _means(trend, {line.task for line in members})
    lines_frame = pd.concat(drawn, ignore_index=True) if drawn else frame("capacity_line", [])
    return frame("capacity", rows), frame("capacity_gains", gains), lines_frame


def _estimated(found: Sequence[Trend]) -> Iterable[tuple[Trend, Slopes, list[GainEstimate]]]:
    """Every trend with the slopes of its tasks and their estimates: one of the same runs under two contrasts."""
    slopes = [trend.slopes for trend in found]
    of_trend = [[slope for slope, _ in of] for of in slopes]
    same = same_tests(list(chain.from_iterable(of_trend)))
    estimates = iter(same.estimates(list(chain.from_iterable(map(moderated, of_trend)))))
    for trend, of in zip(found, slopes, strict=True):
        yield trend, of, list(islice(estimates, len(of)))


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
    """The pairs with the size of their joint model in place of the training cases; without those of unknown size."""
    known = [(pair, [sizes[run] for run in pair.joint_runs if run in sizes]) for pair in pairs]
    return [replace(pair, n_train=float(np.median(found))) for pair, found in known if found]


def task_slope(points: Sequence[PairedGain]) -> PairedGain | None:
    """The slope of one task's gain per doubling, from its gains in several arms with their sizes in `n_train`: seed by
    seed, and on every resample. None without a common seed, or where sizes hardly differ."""
    seeds, x = common_seeds(points), np.log2([pair.n_train for pair in points])
    if not seeds or len(points) < 2 or np.ptp(x) < np.log2(LEAST_RATIO) or any(pair.unit != "1" for pair in points):
        return None
    weights = (x - x.mean()) / float(((x - x.mean()) ** 2).sum())
    picks = [pair.seed_index(seeds) for pair in points]
    by_seed = sum(w * pair.by_seed[pick] for w, pair, pick in zip(weights, points, picks, strict=True))
    drawn = [
        w * pair.draws[:, pick] for w, pair, pick in zip(weights, points, picks, strict=True) if pair.draws is not None
    ]
    rising = [pair.base_improving for pair in points if pair.base_improving is not None]
    return replace(
        points[0],
        seeds=tuple(seeds),
        joint_scores=np.asarray(by_seed),
        base_scores=np.zeros(len(seeds)),
        by_seed=np.asarray(by_seed),
        draws=np.sum(drawn, axis=0) if len(drawn) == len(points) else None,
        subjects=min(pair.subjects for pair in points),
        rarest_class=rarest_class_of(points),
        same_model=all(pair.same_model for pair in points),
        size=float(np.abs(weights).max()) * max(pair.size for pair in points),
        base_improving=any(rising) if rising else None,
        runs_apart=2 * len(points),
    )


def _task_slope(slope: PairedGain, estimate: GainEstimate, points: Sequence[PairedGain]) -> dict[str, object]:
    low, high, p = (float("nan"),) * 3
    se = testable(slope, estimate)
    if np.isfinite(se) and se > 0:
        low, high = estimate.interval()
        p = float(2 * stats.t.sf(abs(estimate.value) / se, estimate.df))
    ends = {"size_min": min(pair.n_train for pair in points), "size_max": max(pair.n_train for pair in points)}
    about: dict[str, object] = {"arms": len(points), "slope": estimate.value, "low": low, "high": high, "p": p}
    return about | ends | {"base_improving": bool(slope.base_improving)}


def _pooled_slope(line: Line, arms: int, improving: bool) -> dict[str, object]:
    low, high, p = line.slope_interval()
    sizes = {"size_min": 2**line.x_min, "size_max": 2**line.x_max}
    return {"arms": arms, "slope": line.slope, "low": low, "high": high, "p": p, **sizes, "base_improving": improving}


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
