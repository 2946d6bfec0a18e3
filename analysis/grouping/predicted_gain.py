"""Which features foretell the gain of a task in a set: every candidate against what anybody knows without training.

Candidates are affinities, one signal each, and the naive baselines: no information, same clinical group, same type,
similar size, training cases of the task and its partners. Each is fitted alone (`partial_pooling`) and judged on tasks
that it has not seen. The error weighs a gain by how surely it is known:

    error^2 = sum w_i (gain_i - predicted_i)^2 / sum w_i,   w_i = 1 / (1 + variance_i / median variance)

A signal is used where its error is below that of every naive baseline. A naive baseline is used where its error is
below that of no information by more than one standard error over tasks (Breiman et al. 1984: the simpler model unless
it is surely worse): features of the sets that happen to be trained, such as the clinical groups of CG, are easily
learned by heart. With a handful of tasks these are weak tests, which may err either way; the errors of the whole
procedure, choice included, stand beside those of its candidates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.frames import frame
from analysis.grouping.gain_model import GainModel
from analysis.grouping.measured_gains import MeasuredGains
from analysis.grouping.set_features import NAIVE, NO_INFORMATION, set_features

MODEL, ALL_SIGNALS = "model", "affinity alone"
BASELINE, SIGNAL, WHOLE = "naive baseline", "signal", "whole procedure"

_ROUNDING = 1e-9
"""Share of the mean square error below which a lead is none: a feature that is the same in every set, such as the type
where all tasks are of one, predicts what no information does, but for rounding."""

_MOST_NESTED = 150
"""Tasks times candidates up to which the choice of features is repeated without each task."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """`model` is fitted by the families that have earned it; `errors` is the frame `prediction_errors`. `recorded`:
    affinities were there to choose from."""

    model: GainModel
    errors: pd.DataFrame
    recorded: bool

    @property
    def measured(self) -> MeasuredGains:
        """The gains that it was fitted to."""
        return self.model.measured

    @property
    def informed(self) -> bool:
        """Whether any feature is used, so that sets of one task can differ in anything but what was measured."""
        return bool(self.model.families)


def affinity_matrices(affinities: pd.DataFrame, tasks: Sequence[str]) -> dict[str, np.ndarray]:
    """By signal a T x T array, [i, j] of a step on task i on task j: the frame `affinities`, mean over aggregations.

    NaN where two tasks were in no joint run. Empty where nothing was recorded.
    """
    means = affinities.groupby(["signal", "task", "other"])["mean"].mean()
    found = {}
    for signal in means.index.unique("signal"):
        matrix = means[signal].unstack().reindex(index=list(tasks), columns=list(tasks)).to_numpy(float)
        if np.isfinite(matrix).any():
            found[str(signal)] = matrix
    return found


def predict_gains(
    measured: MeasuredGains, signals: Mapping[str, np.ndarray], *, again: bool = True, summed: bool = False
) -> Prediction:
    """The model of the gains by what has earned its place, and what every candidate is worth.

    `summed`: affinities are added up over partners, not averaged (`SetFeatures`).
    `again`: for the error of the whole procedure, choose anew without each task, where that is not too much work.
    """
    features = set_features(measured.tasks, signals, summed=summed)
    candidates = {
        family: GainModel(measured, features, (family,)) for family in features.families if family != NO_INFORMATION
    }
    candidates[NO_INFORMATION] = GainModel(measured, features, ())
    weight = _weight(measured)
    model = GainModel(measured, features, _chosen(candidates, weight))
    rows = [
        _row(name, SIGNAL if name in features.signals else BASELINE, candidates[name], candidates, weight)
        | {"used": name in model.families, "reason": _reason(name, candidates, weight)}
        for name in (*(name for name in NAIVE if name in candidates), *features.signals)
    ]
    if len(features.signals) > 1:
        alone = GainModel(measured, features, features.signals)
        rows.append(
            _row(ALL_SIGNALS, SIGNAL, alone, candidates, weight) | {"used": False, "reason": "all signals together"}
        )
    rows.append(_whole(model, candidates, weight, again=again))
    return Prediction(model, frame("prediction_errors", rows), bool(signals))


def _weight(measured: MeasuredGains) -> np.ndarray:
    variance = measured.sets["variance"].to_numpy(float)
    middle = float(np.median(variance)) or 1.0
    return 1 / (1 + variance / middle)


def _squares(model: GainModel) -> np.ndarray:
    return (model.pooled.y - model.without_task) ** 2


def lead(model: GainModel, squares: np.ndarray, other: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """By how much the mean square error `squares` is below `other`, and the standard error over tasks of that.

    A ratio estimate: tasks, not gains, are drawn (Cochran 1977, 6.4). Infinite with one task.
    """
    _, task = np.unique(model.task, return_inverse=True)
    gained, of = np.bincount(task, weight * (other - squares)), np.bincount(task, weight)
    mean, count = gained.sum() / of.sum(), len(of)
    if count < 2:
        return float(mean), float("inf")
    spread = float(((gained - mean * of) ** 2).sum()) / (count - 1)
    return float(mean), float(np.sqrt(spread * count)) / float(of.sum())


def _better(name: str, rivals: Sequence[str], candidates: Mapping[str, GainModel], weight: np.ndarray) -> bool:
    """Whether a candidate is better than all of its rivals, by one standard error where it is a naive baseline."""
    own, errors = candidates[name], float(name in NAIVE)
    for rival in rivals:
        if rival in candidates:
            other = _squares(candidates[rival])
            mean, error = lead(own, _squares(own), other, weight)
            if not mean > errors * error + _ROUNDING * _root(other, weight) ** 2:
                return False
    return True


def _rivals(name: str) -> Sequence[str]:
    return (NO_INFORMATION,) if name in NAIVE else NAIVE


def _chosen(candidates: Mapping[str, GainModel], weight: np.ndarray) -> tuple[str, ...]:
    """The families that are used."""
    names = [name for name in candidates if name != NO_INFORMATION]
    return tuple(name for name in names if _better(name, _rivals(name), candidates, weight))


def _reason(name: str, candidates: Mapping[str, GainModel], weight: np.ndarray) -> str:
    """Why a candidate is used or not."""
    if name == NO_INFORMATION:
        return "the same gain for every set, but for what is known of a task in other sets"
    own = candidates[name]
    failed = [
        rival for rival in _rivals(name) if rival in candidates and not _better(name, [rival], candidates, weight)
    ]
    if not failed:
        return "better on tasks left out than " + ("no information" if name in NAIVE else "every naive baseline")
    worst = min(failed, key=lambda rival: lead(own, _squares(own), _squares(candidates[rival]), weight)[0])
    ahead, _ = lead(own, _squares(own), _squares(candidates[worst]), weight)
    return f"{'not surely better' if ahead > 0 else 'no better'} on tasks left out than {worst}"


def _root(squares: np.ndarray, weight: np.ndarray) -> float:
    return float(np.sqrt((weight * squares).sum() / weight.sum()))


def _row(
    name: str,
    kind: str,
    model: GainModel,
    candidates: Mapping[str, GainModel],
    weight: np.ndarray,
    predicted: np.ndarray | None = None,
) -> dict[str, object]:
    """Errors of a candidate; `predicted` for tasks left out where it is not the model's own."""
    squares = _squares(model) if predicted is None else (model.pooled.y - predicted) ** 2
    nothing = _squares(candidates[NO_INFORMATION])
    of_nothing = _root(nothing, weight) ** 2 or float("nan")
    ahead, error = lead(model, squares, nothing, weight)
    return {
        "predictor": name,
        "kind": kind,
        "tasks": model.measured.sets["task"].nunique(),
        "gains": len(weight),
        "error_new_task": _root(squares, weight),
        "error_new_aggregation": _root((model.pooled.y - model.without_aggregation) ** 2, weight),
        "skill": ahead / of_nothing,
        "skill_error": error / of_nothing,
    }


def _whole(
    model: GainModel, candidates: Mapping[str, GainModel], weight: np.ndarray, *, again: bool
) -> dict[str, object]:
    """The row of the model: without each task, features are chosen again, too."""
    sets = model.measured.sets
    tasks = sets["task"].unique()
    predicted = model.without_task.copy()
    reason = f"uses {', '.join(model.families)}" if model.families else "no feature has earned its place"
    again = again and len(tasks) > 2 and len(tasks) * len(candidates) <= _MOST_NESTED
    for task in tasks if again else ():
        out = (sets["task"] == task).to_numpy()
        rest = replace(model.measured, sets=sets[~out].reset_index(drop=True))
        others = {name: replace(one, measured=rest) for name, one in candidates.items()}
        families = _chosen(others, weight[~out])
        if families != model.families:
            predicted[out] = GainModel(model.measured, model.features, families).without_task[out]
    if not again:
        reason += "; its features were chosen with all tasks, so its error is too small"
    return _row(MODEL, WHOLE, model, candidates, weight, predicted) | {"used": True, "reason": reason}
