"""RQ2 across tasks: do tasks with more data gain more? Observation, not intervention: the tasks also differ otherwise.

gain of task t with seed s = level + slope log2(n_t) [+ type] + group + task + rest, by a mixed model, and the same line
by ordinary least squares with cluster-robust errors beside it (clusters: clinical groups, or tasks where there are
fewer than eight groups). The crossover is where the line of the mixed model meets zero.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.frames import part
from analysis.gains import PairedGain, still_improving
from analysis.questions.means import moved_together, poolable
from analysis.statistics.cluster_robust import clustered_fit
from analysis.statistics.fitted_line import Line
from analysis.statistics.mixed_model import MixedFit, fit_mixed

FEWEST_TASKS = 4
"""Tasks below which no line is drawn."""

_FEWEST_CLUSTERS = 8


def across_tasks(pairs: Sequence[PairedGain]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The frames `across`, `across_line` and `influence` of one contrast: all tasks, and each type with enough."""
    rows = by_task_and_seed(pairs)
    fits, lines, influence = [], [], []
    scopes = [("all", rows)] + [(str(name), of_type) for name, of_type in rows.groupby("type", sort=True)]
    if len(scopes) == 2:
        scopes = scopes[:1]
    for scope, members in scopes:
        if members["task"].nunique() < FEWEST_TASKS or members["n_train"].nunique() < 3:
            continue
        scope_tasks = set(members["task"])
        used = [pair for pair in poolable(pairs) if pair.task in scope_tasks]
        line, mixed = mixed_line(members, _level_parts(used))
        shared = {
            "scope": scope,
            "tasks": members["task"].nunique(),
            "groups": members["group"].nunique(),
            "base_improving": still_improving(used),
        }
        fits.append(
            {
                **shared,
                **line.columns(),
                "method": "mixed model",
                "level": line.level,
                "sd_group": np.sqrt(mixed.var_group),
                "sd_task": np.sqrt(mixed.var_task),
                "converged": mixed.converged,
                "note": mixed.note,
            }
        )
        fits.append(shared | clustered_line(members, line.more))
        lines.append(pd.DataFrame({"scope": scope, **line.grid()}))
        if scope == "all":
            influence = leave_one_out(members, line)
    drawn = pd.concat(lines, ignore_index=True) if lines else part("across_line", [])
    return part("across", fits), drawn, part("influence", influence)


def by_task_and_seed(pairs: Sequence[PairedGain]) -> pd.DataFrame:
    """Columns task, type, group, n_train, seed, gain of the pairs that can be averaged."""
    rows = [
        (pair.task, pair.type, pair.group, pair.n_train, seed, gain)
        for pair in poolable(pairs)
        for seed, gain in zip(pair.seeds, pair.by_seed, strict=True)
        if pair.n_train > 0
    ]
    return pd.DataFrame(rows, columns=["task", "type", "group", "n_train", "seed", "gain"])


def _centred(rows: pd.DataFrame) -> tuple[np.ndarray, float]:
    """Columns of 1 and of log2 n about its mean over tasks (N x 2), and that mean."""
    x = np.log2(rows["n_train"].to_numpy(float))
    centre = float(np.log2(rows.groupby("task")["n_train"].first().astype(float)).mean())
    return np.column_stack([np.ones(len(x)), x - centre]), centre


Covariances = tuple[tuple[np.ndarray, float], ...]


def _level_parts(pairs: Sequence[PairedGain]) -> Covariances:
    """What moves all tasks of a line at once moves its level: covariances with their degrees of freedom.

    NaN, level and slope, where chance in training is not known.
    """
    return tuple((np.diag([variance, 0.0 * variance]), df) for variance, df in moved_together(pairs))


def mixed_line(rows: pd.DataFrame, more: Covariances = ()) -> tuple[Line, MixedFit]:
    """The mixed model's line over one scope; `more` is what the scatter of its rows does not show."""
    design, centre = _centred(rows)
    fit = fit_mixed(rows["gain"].to_numpy(), design, rows["group"].to_numpy(str), rows["task"].to_numpy(str))
    line = _line(design, centre, fit.beta, fit.cov, fit.slope_df)
    return replace(line, more=more), fit


def _line(design: np.ndarray, centre: float, beta: np.ndarray, cov: np.ndarray, df: float) -> Line:
    """The line of coefficients of `_centred` over the sizes seen."""
    least, most = float(design[:, 1].min()), float(design[:, 1].max())
    return Line(float(beta[0]), float(beta[1]), cov, df, centre, centre + least, centre + most)


def clustered_line(rows: pd.DataFrame, more: Covariances = ()) -> dict[str, object]:
    """Ordinary least squares on the same rows; errors robust to clusters (CR2; Bell and McCaffrey 2002).

    `more` is what the scatter of its rows does not show.
    """
    design, centre = _centred(rows)
    by_group = rows["group"].nunique() >= _FEWEST_CLUSTERS
    clusters = rows["group" if by_group else "task"].to_numpy(str)
    beta, cov, df = clustered_fit(rows["gain"].to_numpy(), design, clusters)
    line = _line(design, centre, beta, cov, max(1.0, float(df.min())))
    line = replace(line, slope_df=max(1.0, float(df[1])), more=more)
    note = f"errors clustered by {'group' if by_group else 'task'}"
    return {**line.columns(), "method": "OLS", "level": line.level, "converged": True, "note": note}


def leave_one_out(rows: pd.DataFrame, line: Line) -> list[dict[str, object]]:
    """The least-squares slope of task means without each task in turn, and its change in standard errors."""
    se = line.slope_se()
    means = rows.groupby("task", as_index=False).agg(gain=("gain", "mean"), n_train=("n_train", "first"))
    x = np.log2(means["n_train"].to_numpy(float))
    y = means["gain"].to_numpy()
    whole = float(np.polyfit(x, y, 1)[0])
    influence = []
    for index, task in enumerate(means["task"]):
        without = float(np.polyfit(np.delete(x, index), np.delete(y, index), 1)[0])
        change = without - whole
        in_se = change / se if se > 0 else float("nan")
        influence.append({"task": task, "slope_without": without, "change": change, "change_in_se": in_se})
    return influence
