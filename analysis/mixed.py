"""A linear mixed model of gains: fixed effects, a random effect of clinical groups and one of tasks within them.

    y = X beta + u_group + v_task + e

Variances by restricted maximum likelihood (statsmodels MixedLM); coefficients, group effects and their errors from
Henderson's equations at those variances (Henderson 1975). Assumptions: normal effects, the same scatter everywhere.
Tests use t with (tasks - fixed effects) degrees of freedom, since tasks are what the model generalises over; slopes
with those that estimated group effects leave (`slope_df`).
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.tools.sm_exceptions import ConvergenceWarning, HessianInversionWarning

from analysis.uncertainty import satterthwaite

_EDGE = 1e-6
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
        """Degrees of freedom of a slope that tasks within groups, or groups, tell: those of the larger of the two."""
        size, groups = len(self.beta), len(self.groups)
        if groups in (1, self.df + size):
            return self.df
        return max(1.0, self.df - (groups - 1), float(groups - size))

    def predict(self, row: np.ndarray, group: str | None) -> tuple[float, float, float, float]:
        """Mean gain of tasks like `row` (fixed effects), its standard error, the sd of single such tasks about that
        mean, and the degrees of freedom of this sd.

        A known group brings its predicted effect, an unknown one its whole variance; so does a known one where fewer
        than `_FEWEST_WITHIN` degrees of freedom are left to tell tasks within groups from groups. The rest counts as
        scatter of tasks: one value per task cannot tell them apart, and several hold the tasks' own slopes.
        """
        within = self.df - (len(self.groups) - 1) if self.var_group > 0 else self.df
        pick = np.array([name == group and within >= _FEWEST_WITHIN for name in self.groups], float)
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
    drops the effect that cannot be told from the rest.
    """
    scale = float(y.std()) or 1.0
    frame = pd.DataFrame({"y": y / scale, "group": group, "task": task})
    repeated = frame["task"].duplicated().any()
    grouped = frame["group"].nunique() > 1 and frame.groupby("group")["task"].nunique().max() > 1
    shares, converged, note = _variances(frame, x, repeated=bool(repeated), grouped=bool(grouped))
    var_group, var_task, var_rest = (share * scale**2 for share in shares)
    names = tuple(sorted(set(group)))
    z = (np.asarray(group)[:, None] == np.array(names)).astype(float)
    tasks = np.asarray(task)[:, None] == np.array(sorted(set(task)))
    # Task effects and the rest are folded into one covariance R, so that the equations hold groups only.
    r_inverse = np.linalg.inv(var_rest * np.eye(len(y)) + var_task * (tasks @ tasks.T.astype(float)))
    both = np.hstack([x, z])
    prior = np.zeros(both.shape[1])
    prior[x.shape[1] :] = 1 / max(var_group, _EDGE * var_rest)
    cov_all = np.linalg.pinv(both.T @ r_inverse @ both + np.diag(prior))
    solution = cov_all @ both.T @ r_inverse @ y
    size = x.shape[1]
    return MixedFit(
        beta=solution[:size],
        cov=cov_all[:size, :size],
        var_group=var_group,
        var_task=var_task,
        var_rest=var_rest,
        df=max(1.0, float(len(set(task)) - size)),
        converged=converged,
        note=note,
        groups=names,
        effects=solution[size:],
        cov_all=cov_all,
    )


Variances = tuple[float, float, float]
"""Of group, task and rest."""


def _variances(frame: pd.DataFrame, x: np.ndarray, *, repeated: bool, grouped: bool) -> tuple[Variances, bool, str]:
    """Variances of the scaled values; whether the fit converged; what to know about it.

    Few tasks can leave the model with both effects singular: then the one with task effects alone is taken, or, if that
    fails too, least squares, and the note says so.
    """
    note = ""
    if grouped:
        try:
            return _reml(frame, x, frame["group"], tasks=repeated)
        except (np.linalg.LinAlgError, ValueError):
            note = "too few tasks to tell groups apart: no group effect"
    if repeated:
        try:
            (_, task, rest), converged, more = _reml(frame, x, frame["task"], tasks=False)
            return (0.0, task, rest), converged, "; ".join(filter(None, (note, more)))
        except (np.linalg.LinAlgError, ValueError):
            note = "too few tasks for random effects: least squares"
    rest = frame["y"] - x @ np.linalg.lstsq(x, frame["y"], rcond=None)[0]
    variance = float((rest**2).sum()) / max(1, len(rest) - x.shape[1])
    return (0.0, 0.0, max(variance, 1e-12)), not (grouped or repeated), note or "no random effect can be told apart"


def _reml(frame: pd.DataFrame, x: np.ndarray, outer: pd.Series, *, tasks: bool) -> tuple[Variances, bool, str]:
    """One restricted maximum likelihood fit with a random effect of `outer`, and of tasks within it if asked for.

    `outer` is the group, or the task itself. Raises what statsmodels raises where the model is singular.
    """
    columns = [f"x{number}" for number in range(x.shape[1])]
    data = frame.assign(outer=outer).join(pd.DataFrame(x, columns=columns, index=frame.index))
    extra = {"task": "0 + C(task)"} if tasks else None
    formula = "y ~ 0 + " + " + ".join(columns)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MixedLM.from_formula(formula, data, groups="outer", re_formula="1", vc_formula=extra)
        result = model.fit(reml=True, method=["lbfgs", "bfgs", "powell"])
    rest = max(float(result.scale), 1e-12)
    # cov_re and vcomp, not `params`: there the variances are divided by the residual scale.
    first, within = float(result.cov_re.iloc[0, 0]), float(result.vcomp[0]) if tasks else 0.0
    by_group = outer.name == "group"
    found = (first, within, rest) if by_group else (0.0, first, rest)
    fitted = {"group": by_group, "task": tasks or not by_group}
    edge = [name for name, value in zip(fitted, found, strict=False) if fitted[name] and value < _EDGE * rest]
    note = "; ".join(f"no {name} effect seen" for name in edge)
    if not result.converged:
        serious = [w for w in caught if issubclass(w.category, ConvergenceWarning | HessianInversionWarning)]
        reason = str(serious[-1].message) if serious else "the optimiser stopped early"
        return found, False, f"did not converge: {reason}"
    return found, True, note
