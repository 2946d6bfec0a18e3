"""RQ2 within tasks: what happens to a task's gain when its own training data shrink.

Fractions of the same task are an intervention: organ, type and difficulty stay what they are. Each task gets a line of
its gain on log2 n; the pooled line is the mean of the tasks' lines.

For seeds s and fractions f, D_fs = level + slope (x_f - mean x) + seed_s + rest_fs: the level scatters with the seeds'
means (S - 1 df), the slope with the rest ((S - 1)(F - 1) df), and the two are independent: the two-way mixed model of
Scheffe (1959, chapter 8), normal and alike over fractions. Resampled subjects move both; their covariance is added,
less what seeds and cases do together, as in `analysis.statistics.uncertainty`. With one seed a line has no band.

The pooled line scatters with the tasks, and with what moves all of them together (`shared_variance`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.frames import part
from analysis.gains import PairedGain, common_seeds
from analysis.questions.means import mean_over_tasks, poolable
from analysis.questions.shared_variance import cases_of_tasks, seed_covariance
from analysis.statistics.fitted_line import Line
from analysis.statistics.uncertainty import differ


@dataclass(frozen=True, eq=False)
class TaskLine:
    """A task's line over its fractions; `by_seed` are level and slope of each of its `seeds` (S x 2), `draws` the same
    on resampled subjects, mean over seeds (B x 2, NaN where undefined), of so many `subjects`, who are `names`. Where
    folds rotate, folds stand for seeds, and there are no draws: the scatter over folds holds the cases."""

    task: str
    type: str
    group: str
    fractions: np.ndarray
    line: Line
    seeds: tuple[int, ...]
    by_seed: np.ndarray
    draws: np.ndarray | None
    subjects: int
    names: frozenset[str]


def within_tasks(by_fraction: Sequence[tuple[float, Sequence[PairedGain]]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The frames `within` and `within_line` of one contrast, of its pairs by fraction; empty with one fraction."""
    if len(by_fraction) < 2:
        return part("within", []), part("within_line", [])
    lines = task_lines(by_fraction)
    improving = {pair.task for _, pairs in by_fraction for pair in pairs if pair.base_improving}
    rows, drawn = [], []
    for member in lines:
        about = {"level": "task", "name": member.task, "type": member.type, "group": member.group, "tasks": 1}
        rows.append(_row(about, member.line, improving & {member.task}))
        drawn.append(_drawn("task", member.task, member.line, member.fractions))
    types = sorted({member.type for member in lines})
    scopes = [("all", lines)] + [(name, [member for member in lines if member.type == name]) for name in types]
    for name, members in scopes if len(types) > 1 else scopes[:1]:
        pooled = pooled_line(members)
        if pooled is None:
            continue
        about = {"level": "pooled", "name": name, "type": name, "group": "all", "tasks": len(members)}
        rows.append(_row(about, pooled, improving & {member.task for member in members}))
        drawn.append(_drawn("pooled", name, pooled, members[0].fractions))
    return part("within", rows), pd.concat(drawn, ignore_index=True) if drawn else part("within_line", [])


def task_lines(by_fraction: Sequence[tuple[float, Sequence[PairedGain]]]) -> list[TaskLine]:
    """A line for every task that was compared at two fractions or more, with seeds that all of them have."""
    lines = []
    by_task = [(share, {pair.task: pair for pair in poolable(pairs)}) for share, pairs in by_fraction]
    for task in sorted(set().union(*(members for _, members in by_task))):
        points = [(share, members[task]) for share, members in by_task if task in members]
        seeds = common_seeds(pair for _, pair in points)
        sizes = {pair.n_train for _, pair in points}
        if len(sizes) > 1 and all(size > 0 for size in sizes) and seeds:
            lines.append(fit_task(points, seeds))
    return lines


def fit_task(points: Sequence[tuple[float, PairedGain]], seeds: Sequence[int]) -> TaskLine:
    """The line of one task through its pairs at several fractions."""
    first = points[0][1]
    x = np.log2([pair.n_train for _, pair in points])
    centre = float(x.mean())
    spread = float(((x - centre) ** 2).sum())
    hat = np.vstack([np.full(len(x), 1 / len(x)), (x - centre) / spread])  # level and slope of any gains over x
    picks = [pair.seed_index(seeds) for _, pair in points]
    gains = np.stack([pair.by_seed[pick] for (_, pair), pick in zip(points, picks, strict=True)], axis=1)
    folds, names = first.folds, tuple(seeds)
    if folds is not None:
        gains, names = folds.means(gains, seeds), folds.names(seeds)
    by_seed = gains @ hat.T
    level, slope = by_seed.mean(0)
    count, sizes = len(gains), len(x)
    of_slope, of_level, slope_df = np.full((2, 2), np.nan), np.zeros((2, 2)), 1.0
    if differ(by_seed, 1.0):
        # What neither the seed's own level (its mean over sizes) nor the mean over seeds explains.
        rest = gains - by_seed[:, :1] - gains.mean(0) + gains.mean()
        slope_df = (count - 1.0) * (sizes - 1.0)
        of_slope = np.diag([0.0, float((rest**2).sum()) / slope_df / (count * spread)])
        of_level = np.diag([by_seed[:, 0].var(ddof=1) / count, 0.0])
    more = [(of_level, max(1.0, count - 1.0))]
    drawn = [pair.draws[:, pick] for (_, pair), pick in zip(points, picks, strict=True) if pair.draws is not None]
    both, subjects = None, first.effective_subjects
    if len(drawn) == sizes and folds is None:
        both = np.stack(drawn, axis=2) @ hat.T
        defined = both[np.isfinite(both).all((1, 2))]
        if subjects > 1 and len(defined) > 1 and not first.class_too_rare:
            case, together = _case_covariance(defined, subjects)
            # Few seeds can agree by chance: they then add at least what seeds and cases do together.
            lacking = np.maximum(0.0, together - np.diag(of_slope) - np.diag(of_level))
            more.append((case + np.diag(np.nan_to_num(lacking)), subjects - 1.0))
        else:  # what other subjects would do is not known
            more.append((np.full((2, 2), np.nan), 1.0))
    ends = float(x.min()), float(x.max())
    line = Line(float(level), float(slope), of_slope, slope_df, centre, *ends, more=tuple(more))
    return TaskLine(
        first.task,
        first.type,
        first.group,
        np.array([share for share, _ in points]),
        line,
        names,
        by_seed,
        None if both is None else both.mean(1),
        subjects,
        first.telling_names,
    )


def _case_covariance(draws: np.ndarray, subjects: int) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of level and slope over resampled subjects (B x S x 2), seeds' part taken out, never negative; and
    the variances of what seeds and cases do together, the least that seeds can add (0 with one seed)."""
    seeds, factor = draws.shape[1], subjects / (subjects - 1)
    alone, together = np.cov(draws.mean(1).T), np.zeros(2)
    if seeds > 1:
        of_one_seed = np.mean([np.cov(draws[:, s].T) for s in range(seeds)], axis=0)
        both = (of_one_seed - alone) / (seeds - 1)
        alone, together = alone - both, np.maximum(0.0, np.diag(both)) * factor
    # The difference of two covariances can have a negative eigenvalue, a variance below 0 in some direction.
    values, vectors = np.linalg.eigh(alone * factor)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T, together


def pooled_line(members: Sequence[TaskLine]) -> Line | None:
    """Mean line of tasks, the tasks being a sample; n is the geometric mean of the tasks' n at each fraction.

    None with fewer than three tasks, or where the tasks were not seen at the same fractions.
    """
    if len(members) < 3 or len({tuple(member.fractions) for member in members}) > 1:
        return None
    groups = np.array([member.group for member in members])
    means = np.array([member.by_seed.mean(0) for member in members])
    level, level_se, level_df = mean_over_tasks(means[:, 0], groups)
    slope, slope_se, slope_df = mean_over_tasks(means[:, 1], groups)
    together = float(np.corrcoef(means.T)[0, 1]) * level_se * slope_se
    cov = np.array([[level_se**2, together], [together, slope_se**2]])
    names = ("centre", "x_min", "x_max")
    centre, x_min, x_max = (float(np.mean([getattr(member.line, name) for member in members])) for name in names)
    more = _moved_together(members)
    return Line(level, slope, cov, min(level_df, slope_df), centre, x_min, x_max, more=more)


def _moved_together(members: Sequence[TaskLine]) -> tuple[tuple[np.ndarray, float], ...]:
    """Covariances of the mean level and slope that the scatter of tasks does not show: seeds, and cases in common."""
    seeds = seed_covariance([member.by_seed for member in members], [member.seeds for member in members])
    about = [member.subjects for member in members], [member.names for member in members]
    parts = [
        cases_of_tasks([None if own.draws is None else own.draws[:, k] for own in members], *about) for k in (0, 1)
    ]
    shared = [part.in_common for part in parts if part is not None]
    if len(shared) < len(parts):
        return (seeds,)
    return seeds, (np.diag([variance for variance, _ in shared]), min(df for _, df in shared))


def _row(about: dict[str, object], line: Line, improving: set[str]) -> dict[str, object]:
    sizes = {"n_min": 2**line.x_min, "n_max": 2**line.x_max}
    return {**about, **line.columns(), **sizes, "base_improving": bool(improving)}


def _drawn(level: str, name: str, line: Line, fractions: np.ndarray) -> pd.DataFrame:
    grid = line.grid()
    share = fractions.max() * grid["n"] / grid["n"].max()
    return pd.DataFrame({"level": level, "name": name, **grid, "fraction": share})
