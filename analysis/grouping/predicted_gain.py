"""What foretells the gain of a task in a set that was not trained: affinities, where they have shown it, or nothing.

The question of a search for groups is how tasks that are known do in sets that are not. So each set is left out in turn
and its gains are predicted from the others; the error weighs a gain by how surely it is known:

    error^2 = sum w_i (gain_i - predicted_i)^2 / sum w_i,   w_i = 1 / (1 + variance_i / median variance)

All affinities are used together, each shrunk as far as the gains ask for (`partial_pooling`), where that error is
smaller than with no information; else none is, and the gains of trained sets alone count. Where one set alone was
trained, tasks are left out instead. Naive baselines (same clinical group, same type, similar size, training cases of
the task and its partners) and single signals are fitted alone and stand beside them as yardsticks: features of the few
sets that happen to be trained, such as the clinical groups of CG, are easily learned by heart, so no choice is made
among them. The error of the whole procedure has that one choice in it, made anew without each set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.frames import frame
from analysis.grouping.gain_model import GainModel
from analysis.grouping.measured_gains import MeasuredGains
from analysis.grouping.set_features import NAIVE, NO_INFORMATION, set_features

MODEL, ALL_SIGNALS = "model", "all affinities"
BASELINE, SIGNAL, WHOLE = "naive baseline", "signal", "whole procedure"

_ROUNDING = 1e-9
"""Share of the mean square error below which a lead is none: affinities that are the same for all pairs predict what no
information does, but for rounding."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """`model` is fitted by all affinities or by none; `errors` is the frame `prediction_errors`. `recorded`: affinities
    were there."""

    model: GainModel
    errors: pd.DataFrame
    recorded: bool

    @property
    def measured(self) -> MeasuredGains:
        """The gains that it was fitted to."""
        return self.model.measured

    @property
    def informed(self) -> bool:
        """Whether affinities are used, so that sets can differ in anything but what was measured."""
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


def predict_gains(measured: MeasuredGains, signals: Mapping[str, np.ndarray]) -> Prediction:
    """The model of the gains by all affinities or by none of them, and what every predictor is worth."""
    features = set_features(measured.tasks, signals)
    families: dict[str, tuple[str, ...]] = {name: (name,) for name in features.families} | {NO_INFORMATION: ()}
    if signals:
        families[ALL_SIGNALS] = features.signals
    candidates = {name: GainModel(measured, features, each) for name, each in families.items()}
    weight = _weight(measured)
    chosen = _chosen(candidates, weight)
    order = (*(name for name in NAIVE if name in candidates), *features.signals, *([ALL_SIGNALS] if signals else []))
    rows = [
        _row(name, BASELINE if name in NAIVE else SIGNAL, candidates[name], candidates, weight)
        | {"used": name == chosen or (chosen == ALL_SIGNALS and name in features.signals)}
        | {"reason": _reason(name, chosen, candidates)}
        for name in order
    ]
    rows.append(_whole(chosen, candidates, weight))
    return Prediction(candidates[chosen], frame("prediction_errors", rows), bool(signals))


def _weight(measured: MeasuredGains) -> np.ndarray:
    variance = measured.sets["variance"].to_numpy(float)
    middle = float(np.median(variance)) or 1.0
    return 1 / (1 + variance / middle)


def _squares(model: GainModel) -> np.ndarray:
    """Square error of every gain (N), predicted by a model that has not seen what is left out with it."""
    return (model.pooled.y - model.unseen) ** 2


def _chosen(candidates: Mapping[str, GainModel], weight: np.ndarray) -> str:
    """All affinities where their error is the smaller one, else no information."""
    if ALL_SIGNALS not in candidates or len(np.unique(candidates[ALL_SIGNALS].left_out)) < 2:
        return NO_INFORMATION
    own, nothing = (_mean(_squares(candidates[name]), weight) for name in (ALL_SIGNALS, NO_INFORMATION))
    return ALL_SIGNALS if own < nothing * (1 - _ROUNDING) else NO_INFORMATION


def _reason(name: str, chosen: str, candidates: Mapping[str, GainModel]) -> str:
    """Why a predictor is used or not."""
    if name == NO_INFORMATION:
        return "the same gain for every set, but for what is known of a task in other sets"
    if name in NAIVE:
        return "a yardstick"
    if name != ALL_SIGNALS:
        return "with the other affinities" if chosen == ALL_SIGNALS else "no affinity is used"
    what = "sets" if candidates[name].several_sets else "tasks"
    return f"{'better' if chosen == ALL_SIGNALS else 'no better'} on {what} left out than no information"


def _mean(squares: np.ndarray, weight: np.ndarray) -> float:
    return float((weight * squares).sum() / weight.sum())


def _root(squares: np.ndarray, weight: np.ndarray) -> float:
    return _mean(squares, weight) ** 0.5


def _skill(squares: np.ndarray, nothing: np.ndarray, weight: np.ndarray, left_out: np.ndarray) -> tuple[float, float]:
    """Share by which a mean square error is below that of no information, and its standard error over what is left out.

    A ratio estimate: sets, not gains, are drawn (Cochran 1977, 6.4). Infinite with one.
    """
    gained, of = np.bincount(left_out, weight * (nothing - squares)), np.bincount(left_out, weight)
    of_nothing = _mean(nothing, weight) or float("nan")
    mean, count = gained.sum() / of.sum(), len(of)
    if count < 2:
        return float(mean) / of_nothing, float("inf")
    spread = float(((gained - mean * of) ** 2).sum()) / (count - 1)
    return float(mean) / of_nothing, float(np.sqrt(spread * count)) / float(of.sum()) / of_nothing


def _row(
    name: str,
    kind: str,
    model: GainModel,
    candidates: Mapping[str, GainModel],
    weight: np.ndarray,
    predicted: np.ndarray | None = None,
) -> dict[str, object]:
    """Errors of a predictor; `predicted` for what is left out where it is not the model's own."""
    y, several = model.pooled.y, model.several_sets
    squares = _squares(model) if predicted is None else (y - predicted) ** 2
    skill, error = _skill(squares, _squares(candidates[NO_INFORMATION]), weight, model.left_out)
    return {
        "predictor": name,
        "kind": kind,
        "tasks": model.measured.sets["task"].nunique(),
        "gains": len(weight),
        "error_new_set": _root(squares, weight) if several else float("nan"),
        "error_new_task": _root((y - model.without_task) ** 2 if several else squares, weight),
        "skill": skill,
        "skill_error": error,
    }


def _whole(chosen: str, candidates: Mapping[str, GainModel], weight: np.ndarray) -> dict[str, object]:
    """The row of the model: without each set (or task), affinities are taken or left anew, too."""
    model = candidates[chosen]
    left_out, predicted = model.left_out, model.unseen.copy()
    for group in np.unique(left_out) if ALL_SIGNALS in candidates else ():
        out = left_out == group
        rest = replace(model.measured, sets=model.measured.sets[~out].reset_index(drop=True))
        others = {name: replace(candidates[name], measured=rest) for name in (NO_INFORMATION, ALL_SIGNALS)}
        name = _chosen(others, weight[~out]) if not out.all() else NO_INFORMATION
        if name != chosen:
            predicted[out] = candidates[name].unseen[out]
    reason = f"uses {', '.join(model.families)}" if model.families else "no affinity is used"
    return _row(MODEL, WHOLE, model, candidates, weight, predicted) | {"used": True, "reason": reason}
