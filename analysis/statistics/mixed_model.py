"""A linear mixed model of gains: fixed effects, a random effect of clinical groups and one of tasks within them.

    y = X beta + u_group + v_task + e

Variances by restricted maximum likelihood (`reml`); coefficients, group effects and their errors from
Henderson's equations at those variances (Henderson 1975). Assumptions: normal effects, the same scatter everywhere.
Tests use t with (tasks - fixed effects) degrees of freedom, since tasks are what the model generalises over; slopes
with those that estimated group effects leave (`slope_df`).
"""

from dataclasses import dataclass

import numpy as np

from analysis.statistics.reml import Nested, reml
from analysis.statistics.uncertainty import satterthwaite

_EDGE = 1e-4
"""Share of the residual variance below which a random effect counts as absent."""

_FEWEST_WITHIN = 5.0


@dataclass(frozen=True, eq=False)
class MixedFit:
    """`beta` and `cov` of the fixed effects; variances of group, task and rest; `note` on trouble while fitting.

    `groups` names the random group effects, `effects` are their predictions, and `cov_all` is the error covariance of
    (beta, effects) together.
    """

    beta: np.ndarray
    cov: np.ndarray
    var_group: float
    var_task: float
    var_rest: float
    df: float
    converged: bool
    note: str
    groups: tuple[str, ...]
    effects: np.ndarray
    cov_all: np.ndarray

    @property
    def slope_df(self) -> float:
        """Degrees of freedom of a slope estimated from tasks within groups, or from groups: the larger of the two."""
        size, groups = len(self.beta), len(self.groups)
        if groups in (1, self.df + size):
            return self.df
        return max(1.0, self.df - (groups - 1), float(groups - size))

    @property
    def _within(self) -> float:
        """Degrees of freedom that separate tasks within groups."""
        return self.df - (len(self.groups) - 1) if self.var_group > 0 else self.df

    @property
    def knows_groups(self) -> bool:
        """Whether the effects of known groups are used: where groups differ, and enough tasks tell them from tasks."""
        return self.var_group > 0 and self._within >= _FEWEST_WITHIN

    def predict(self, row: np.ndarray, group: str | None) -> tuple[float, float, float, float]:
        """Mean gain of tasks like `row` (fixed effects), its standard error, the sd of single such tasks about that
        mean, and the degrees of freedom of this sd.

        A known group brings its predicted effect, an unknown one its whole variance; so does a known one where fewer
        than `_FEWEST_WITHIN` degrees of freedom separate tasks within groups from groups. The rest counts as
        scatter of tasks: one value per task cannot separate them, and several hold the tasks' own slopes.
        """
        within = self._within
        pick = np.array([name == group and self.knows_groups for name in self.groups], float)
        both = np.concatenate([row, pick])
        value = float(row @ self.beta + pick @ self.effects)
        variance = float(both @ self.cov_all @ both)
        parts = [(self.var_task + self.var_rest, max(1.0, within))]
        if not pick.any() and self.var_group > 0:
            parts.append((self.var_group, max(1.0, len(self.groups) - 1.0)))
        variances, dfs = np.array(parts).T
        sd = float(np.sqrt(variances.sum()))
        return value, float(np.sqrt(max(variance, 0.0))), sd, satterthwaite(variances, dfs)


def fit_mixed(y: np.ndarray, x: np.ndarray, group: np.ndarray, task: np.ndarray) -> MixedFit:
    """Fit one model: N values, N x P fixed effects, N group and N task names.

    A fit that does not converge is returned with `converged` False and the reason; one group, or one row per task,
    drops the effect that cannot be separated from the rest.
    """
    scale = float(y.std()) or 1.0  # the search for variances stops by tolerances that suit values of size 1
    names, group_index = np.unique(np.asarray(group, str), return_inverse=True)
    tasks, task_of = np.unique(np.asarray(task, str), return_inverse=True)
    nested = Nested(task_of, group_index[np.unique(task_of, return_index=True)[1]])
    repeated = len(tasks) < len(y)
    grouped = len(names) > 1 and bool(np.bincount(nested.group_of_task).max() > 1)
    shares, converged, note = _variances(y / scale, x, nested, repeated=repeated, grouped=grouped)
    var_group, var_task, var_rest = (share * scale**2 for share in shares)
    z = (group_index[:, None] == np.arange(len(names))).astype(float)
    both = np.hstack([x, z])
    prior = np.zeros(both.shape[1])
    prior[x.shape[1] :] = 1 / max(var_group, _EDGE * var_rest)  # a variance of 0 has no inverse
    # Task effects and the rest are folded into one covariance R, so that the equations hold groups only.
    products = nested.within(np.column_stack([both, y]), var_task / var_rest) / var_rest
    # Types that only one group has leave directions without information, which an inverse would blow up.
    cov_all = np.linalg.pinv(products[:-1, :-1] + np.diag(prior))
    solution = cov_all @ products[:-1, -1]
    size = x.shape[1]
    return MixedFit(
        beta=solution[:size],
        cov=cov_all[:size, :size],
        var_group=var_group,
        var_task=var_task,
        var_rest=var_rest,
        df=max(1.0, float(len(tasks) - size)),
        converged=converged,
        note=note,
        groups=tuple(str(name) for name in names),
        effects=solution[size:],
        cov_all=cov_all,
    )


Variances = tuple[float, float, float]
"""Of group, task and rest."""


def _variances(
    y: np.ndarray, x: np.ndarray, nested: Nested, *, repeated: bool, grouped: bool
) -> tuple[Variances, bool, str]:
    """Variances of the scaled values; whether the fit converged; what to know about it.

    With too few tasks for random effects it is least squares, and the note says so.
    """
    enough = len(nested.group_of_task) > x.shape[1] and np.linalg.matrix_rank(x) == x.shape[1]
    if not enough or not (grouped or repeated):
        rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
        variance = float((rest**2).sum()) / max(1, len(rest) - x.shape[1])
        note = "no random effect can be told apart" if enough else "too few tasks for random effects: least squares"
        return (0.0, 0.0, max(variance, 1e-12)), not (grouped or repeated), note
    variances, converged = reml(y, x, nested, tasks=repeated, groups=grouped)
    group, task, rest = variances
    fitted = {"group": (grouped, group), "task": (repeated, task)}
    edge = [f"no {name} effect seen" for name, (used, value) in fitted.items() if used and value < _EDGE * rest]
    return variances, converged, "; ".join(edge) if converged else "did not converge: the optimiser stopped early"
