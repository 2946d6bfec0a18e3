"""The frames on grouping: what predictions are worth, predicted against measured gains, costs, and the groups found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aggregation_lab.errors import ResultsError
from analysis.frames import at_full, frame
from analysis.gains import TaskScores
from analysis.grouping.gain_model import GainModel
from analysis.grouping.in_words import partition_text, reasons
from analysis.grouping.local_search import Units, members_of
from analysis.grouping.measured_gains import BASE, measured_gains
from analysis.grouping.partition_search import MOST_EXACT
from analysis.grouping.predicted_gain import Prediction, affinity_matrices, predict_gains
from analysis.grouping.proposal import Proposal, propose, unit_names
from analysis.grouping.unit_costs import UnitCosts, unit_costs
from analysis.study import StudyTables

NAMES = ("prediction_errors", "predicted_gains", "partitions", "found_groups")

FEWEST_AGGREGATIONS = 2
"""Trained aggregations of several tasks from which on tasks are seen in more than one set."""

_MOST_UNITS = 6
"""Units up to which a partition is sought for each number of them."""


def grouping_frames(
    study: StudyTables, scores: Sequence[TaskScores], affinities: pd.DataFrame
) -> tuple[pd.DataFrame, ...]:
    """The frames `NAMES`; empty where the study has not two aggregations beside TS with validation scores.

    `affinities` is the frame of that name.
    """
    try:
        measured = measured_gains(study)
    except ResultsError:
        measured = None
    if measured is None or len(measured.aggregations) < FEWEST_AGGREGATIONS:
        return tuple(frame(name, []) for name in NAMES)
    prediction = predict_gains(measured, affinity_matrices(affinities, list(measured.tasks.index)))
    costs, tested = unit_costs(study, measured), tested_scores(scores)
    best = propose(prediction, costs)
    return (
        prediction.errors,
        _predicted_gains(prediction.model, tested),
        _partitions(best, prediction, costs, tested),
        found_groups(best),
    )


def tested_scores(scores: Sequence[TaskScores]) -> pd.DataFrame:
    """Mean unit-free test score over seeds at full data: tasks x aggregations, missing where one has no score."""
    means = {
        each.task: at_full(each.arms.assign(value=each.values)).groupby("aggregation")["value"].mean()
        for each in scores
        if each.unit == "1"
    }
    return pd.DataFrame(means).T


def _predicted_gains(model: GainModel, tested: pd.DataFrame) -> pd.DataFrame:
    """Every measured gain beside what models that have not seen it predict."""
    sets, tasks = model.measured.sets, model.measured.tasks
    places = np.arange(len(sets)), model.task
    members = members_of(sets["members"].tolist(), len(tasks))
    low, high = (limit[places] for limit in model.limits(members, measured=False))
    finite = np.isfinite(low) & np.isfinite(high)
    variance = sets["variance"].to_numpy(float)
    rows = pd.DataFrame(
        {
            **{name: sets[name].to_numpy() for name in ("aggregation", "unit", "task", "gain")},
            "type": tasks["type"].loc[sets["task"]].to_numpy(),
            "group": tasks["group"].loc[sets["task"]].to_numpy(),
            "partners": [
                "+".join(str(tasks.index[k]) for k in unit if tasks.index[k] != task)
                for unit, task in zip(sets["members"], sets["task"], strict=True)
            ],
            "se": np.sqrt(np.where(variance > 0, variance, np.nan)),
            "test_gain": [
                _test_gain(tested, task, name) for task, name in zip(sets["task"], sets["aggregation"], strict=True)
            ],
            "predicted": model.without_task,
            "low": np.where(finite, low, np.nan),
            "high": np.where(finite, high, np.nan),
            "predicted_set": model.without_set,
        }
    )
    rows["rank_correlation"], rows["rank_correlation_set"] = (
        _rank_correlation(rows["gain"], rows[name]) for name in ("predicted", "predicted_set")
    )
    if not model.families:
        # Without affinities a task left out is given the mean of the others, which is the smaller the larger its own.
        rows["rank_correlation"] = float("nan")
    return frame("predicted_gains", rows.to_dict("records"))


def _rank_correlation(gain: pd.Series, predicted: pd.Series) -> float:
    """Spearman's, of the rows that have both; NaN of fewer than three, or where one side does not vary."""
    known = pd.DataFrame({"gain": gain, "predicted": predicted}, dtype=float).dropna()
    if len(known) < 3 or known.nunique().min() < 2:
        return float("nan")
    return float(known["gain"].corr(known["predicted"], method="spearman"))


def _test_gain(tested: pd.DataFrame, task: str, aggregation: str) -> float:
    if task not in tested.index or not {aggregation, BASE} <= set(tested.columns):
        return float("nan")
    joint, base = tested.loc[task, [aggregation, BASE]].to_numpy(float)
    return float(joint - base)


@dataclass(frozen=True)
class _Row:
    partition: str
    units: Units
    trained: bool
    gain: float
    low: float = float("nan")
    high: float = float("nan")


def _partitions(best: Proposal, prediction: Prediction, costs: UnitCosts | None, tested: pd.DataFrame) -> pd.DataFrame:
    """Trained partitions by their test scores, and those found by their predictions, with what they cost."""
    count = best.tasks
    complete = tested.dropna(subset=[name for name in (BASE, *best.trained) if name in tested])
    alone: Units = tuple((k,) for k in range(count))
    means = {str(name): float(value) for name, value in complete.mean().items()}
    base = means.get(BASE, float("nan"))
    rows = [_Row(BASE, alone, True, 0.0)]
    rows += [_Row(name, units, True, means.get(name, float("nan")) - base) for name, units in best.trained.items()]
    asked = range(2, min(count - 1, _MOST_UNITS) + 1) if count <= MOST_EXACT else ()
    found = {"found, any number of units": best}
    found |= {f"found, {k} units": propose(prediction, costs, units=k, runners_up=0) for k in asked}
    seen = {row.units for row in rows}
    for name, proposal in found.items():
        if proposal.best.units not in seen:
            seen.add(proposal.best.units)
            rows.append(_Row(name, proposal.best.units, False, proposal.gain, *proposal.interval))
    table = [
        {
            "partition": row.partition,
            "trained": row.trained,
            "units": len(row.units),
            "tasks": partition_text(best.named(row.units)),
            **_cost(costs, members_of(row.units, count)),
            "score": base + row.gain,
            "gain": row.gain,
            "low": row.low,
            "high": row.high,
        }
        for row in rows
    ]
    # Only what was trained has hours and test scores: a guess beside a prediction beats nothing.
    known = [np.array([row[name] if row["trained"] else np.nan for row in table], float) for name in ("hours", "score")]
    efficient = _pareto(*known)
    return frame("partitions", [row | {"pareto": flag} for row, flag in zip(table, efficient, strict=True)])


def _cost(costs: UnitCosts | None, members: np.ndarray) -> dict[str, object]:
    """Columns of what a partition costs, of its units by their members (C x T)."""
    if costs is None:
        return {"hours": float("nan"), "hours_guessed": False}
    return {"hours": float(costs.hours(members).sum()), "hours_guessed": not costs.measured(members).all()}


def _pareto(cost: np.ndarray, score: np.ndarray) -> list[bool]:
    """Whether no other one costs as little and scores as much, and differs in one of them; false where unknown."""
    known = np.isfinite(cost) & np.isfinite(score)
    beaten = (cost <= cost[:, None]) & (score >= score[:, None]) & ((cost < cost[:, None]) | (score > score[:, None]))
    return (known & ~beaten.any(1)).tolist()


def found_groups(proposal: Proposal) -> pd.DataFrame:
    """The frame `found_groups`: the tasks of every unit of a proposal with their predicted gains."""
    measured, model = proposal.prediction.measured, proposal.prediction.model
    gains, (low, high) = model.predict(proposal.members), model.limits(proposal.members)
    place, why = {names: k for k, names in enumerate(proposal.names)}, reasons(proposal)
    rows = []
    for unit, names in unit_names(proposal.names).items():
        for task in names:
            at = place[names], measured.number[task]
            ends = low[at], high[at]
            rows.append(
                {
                    "unit": unit,
                    "task": task,
                    "type": measured.tasks.at[task, "type"],
                    "group": measured.tasks.at[task, "group"],
                    "partners": "+".join(name for name in names if name != task),
                    "predicted": float(gains[at]),
                    "low": float(ends[0]) if np.isfinite(ends).all() else float("nan"),
                    "high": float(ends[1]) if np.isfinite(ends).all() else float("nan"),
                    "why": why[names],
                }
            )
    return frame("found_groups", rows)
