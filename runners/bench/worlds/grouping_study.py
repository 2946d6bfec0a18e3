"""One seed of a world whose relatedness is planted: the partition that is found, and what naive ones get.

Trained first are TS, CG, AU and partitions that a user might have guessed, with affinities recorded. From these the
partition is found, as `agglab group` does. Then it is trained, and beside it what naive ways make of the same
knowledge; test scores, which nothing was chosen by, compare them. Gains are predicted for every set that is trained in
the second step alone, and for each of the first step from the others, and held against what the set gains on the test
cases.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from aggregation_lab.results import SIGNALS
from analysis.grouping.affinities import affinities
from analysis.grouping.gain_model import GainModel
from analysis.grouping.local_search import Units, drawn_at_random, members_of
from analysis.grouping.measured_gains import BASE, MeasuredGains, measured_gains
from analysis.grouping.predicted_gain import ALL_SIGNALS, MODEL, Prediction, affinity_matrices, predict_gains
from analysis.grouping.proposal import Proposal, propose, unit_names
from analysis.grouping.unit_costs import unit_costs
from analysis.study import StudyTables
from analysis.validation.grouping.naive_partitions import by_clusters, by_label, by_size
from runners.bench.worlds.related import SharedStructures
from runners.bench.worlds.world_study import train_world

SEARCHED = "searched"
PLANTED, RANDOM, SIZE, CLUSTERS = "planted", "guess_1", "size", "clusters"
GUESSES = 3
"""Partitions drawn at random that are trained in the first step, as those of a user who does not know; the first of
them is what no information gets."""
GUESSED_UNITS = 4
AFFINITY = {"moments": 8, "images": 16, "share": 5.0}
"""More than runs of a second could pay for: how much looking may cost is not what this is about."""


def grouped(world: SharedStructures, seed: int, folder: Path) -> dict[str, Any]:
    """Train the study of one seed of the world in `folder`, or the rest of it, and compare the partitions.

    Returns `partitions` by name with their `tasks`, mean test `score` and whether they part all contradicting pairs;
    `signals` with how well they tell contradicting pairs from related ones; the `predictors` with their error on sets
    left out and rank correlation with gains of sets that they have not seen, the affinities that are `used`, the
    predicted mean `gain` with its limits, and the `chances` to beat trained partitions.
    Raises as `train_world`.
    """
    random = np.random.default_rng([seed, world.number, 1])
    tasks = sorted(world.structures)
    guesses = {
        f"guess_{k}": _named(drawn_at_random(random, len(tasks), GUESSED_UNITS), tasks) for k in range(1, GUESSES + 1)
    }
    first = [BASE, "CG", "AU", *({name: dict(units)} for name, units in guesses.items())]
    before = train_world(world, seed, folder, {"aggregations": first, "affinity": AFFINITY})
    measured = measured_gains(before)
    signals = affinity_matrices(affinities(before), list(measured.tasks.index))
    prediction = predict_gains(measured, signals)
    found = propose(prediction, unit_costs(before, measured), seed=seed)
    partitions = {SEARCHED: found.best.units} | _naive(world, found, signals)
    known = {BASE: tuple((k,) for k in range(len(tasks))), **found.trained}
    trained = {units: name for name, units in known.items()}
    new = {name: units for name, units in partitions.items() if units not in trained}
    new = {name: units for k, (name, units) in enumerate(new.items()) if units not in list(new.values())[:k]}
    trained |= {units: name for name, units in new.items()}
    second = [*first, *({name: dict(_named(units, tasks))} for name, units in new.items())]
    after = train_world(world, seed, folder, {"aggregations": second})
    scores = _test_scores(after)
    everything = {**known, **partitions}
    return {
        "partitions": {
            name: {
                "tasks": [[tasks[k] for k in unit] for unit in units],
                "score": float(scores[trained[units]].mean()),
                "parted": _parted(world, units, tasks),
            }
            for name, units in everything.items()
        },
        "predictors": _predictors(prediction, _gains_of(list(new.values()), measured, scores, trained), scores),
        "signals": {
            name: {"told": _told(world, matrix, tasks)}
            | {"parted": _parted(world, by_clusters([matrix], len(found.best.units)), tasks)}
            for name, matrix in _alike(signals).items()
        },
        "used": list(prediction.model.families),
        "gain": [found.gain, *found.interval],
        "chances": found.chances,
    }


def _named(units: Units, tasks: Sequence[str]) -> Mapping[str, list[str]]:
    return {key: list(unit) for key, unit in unit_names([[tasks[k] for k in unit] for unit in units]).items()}


def _naive(world: SharedStructures, found: Proposal, signals: Mapping[str, np.ndarray]) -> dict[str, Units]:
    """Partitions of as many units as the found one that take no model, and the planted one."""
    measured, units = found.prediction.measured, len(found.best.units)
    structures = [world.structures[task] for task in measured.tasks.index]
    return {
        SIZE: by_size(measured.tasks["n_train"].to_numpy(float), units),
        CLUSTERS: by_clusters(list(_alike(signals).values()), units),
        PLANTED: by_label(np.array(structures)),
    }


def _alike(signals: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Signals with large values for alike tasks, a mean of 0 and a standard deviation of 1 over pairs; without those
    that are the same for all pairs, as of heads which read the same view."""
    found = {}
    for name, matrix in signals.items():
        pairs = matrix[~np.eye(len(matrix), dtype=bool)]
        if pairs.std() > 1e-6:
            scaled = (matrix - pairs.mean()) / pairs.std() * (-1 if SIGNALS[name].is_distance else 1)
            found[name] = np.where(np.eye(len(matrix), dtype=bool), 0.0, scaled)
    return found


def _parted(world: SharedStructures, units: Units, tasks: Sequence[str]) -> bool:
    """Whether every contradicting pair stands in two units."""
    together = {frozenset((tasks[i], tasks[j])) for unit in units for i in unit for j in unit}
    return not any(against and frozenset((one, other)) in together for one, other, against in world.pairs())


def _told(world: SharedStructures, matrix: np.ndarray, tasks: Sequence[str]) -> float:
    """The chance that a contradicting pair has a lower value than a related one; 0.5: they are not told apart."""
    place = {task: k for k, task in enumerate(tasks)}
    sides: dict[bool, list[float]] = {True: [], False: []}
    for one, other, against in world.pairs():
        i, j = place[one], place[other]
        sides[against].append(float(matrix[i, j] + matrix[j, i]) / 2)
    contradicting, related = np.array(sides[True])[:, None], np.array(sides[False])
    return float(np.mean((contradicting < related) + (contradicting == related) / 2))


def _test_scores(study: StudyTables) -> pd.DataFrame:
    """Mean unit-free test score over seeds: tasks x aggregations."""
    rows = study.scores[study.scores["metric"] == "score"]
    return rows.pivot_table(index="task", columns="aggregation", values="value", aggfunc="mean").sort_index()


def _gains_of(
    partitions: Sequence[Units], measured: MeasuredGains, scores: pd.DataFrame, trained: Mapping[Units, str]
) -> dict[tuple[int, ...], dict[int, float]]:
    """By set of several tasks that was trained in the second step alone, the test gain of every task in it."""
    seen, found = set(measured.sets["members"]), dict[tuple[int, ...], dict[int, float]]()
    for units in partitions:
        for unit in units:
            if len(unit) > 1 and unit not in seen:
                gain = (scores[trained[units]] - scores[BASE]).to_numpy(float)
                found[unit] = {k: float(gain[k]) for k in unit}
    return found


def _predictors(
    prediction: Prediction, tested: Mapping[tuple[int, ...], Mapping[int, float]], scores: pd.DataFrame
) -> dict[str, dict[str, float]]:
    """What every candidate foretells: rank correlations with test gains, and its error on sets left out.

    `rank` is over every trained set of several tasks: each of the first step is predicted from the others, those of the
    second step, which alone make `rank_new`, from all of the first.
    """
    measured, features = prediction.measured, prediction.model.features
    members = members_of(list(tested), features.tasks)
    places = [(row, task) for row, gains in enumerate(tested.values()) for task in gains]
    new = np.array([gain for by_task in tested.values() for gain in by_task.values()])
    over_base = scores.sub(scores[BASE], axis=0).stack()
    seen = pd.MultiIndex.from_frame(measured.sets[["task", "aggregation"]])
    old = over_base.reindex(seen).to_numpy(float)
    errors = prediction.errors.set_index("predictor")["error_new_set"]
    found = {}
    for name in errors.index:
        families = features.signals if name == ALL_SIGNALS else (str(name),)
        model = prediction.model if name == MODEL else GainModel(measured, features, families)
        gains = model.predict(members)
        predicted = np.array([gains[place] for place in places])
        found[str(name)] = {
            "rank": _rank(np.append(model.without_set, predicted), np.append(old, new)),
            "rank_new": _rank(predicted, new),
            "error": float(errors[name]),
            "gains": len(old) + len(new),
        }
    return found


def _rank(predicted: np.ndarray, gains: np.ndarray) -> float:
    """Spearman's correlation; 0 where there is nothing to rank, since such predictions tell nothing."""
    if len(gains) < 3 or np.ptp(predicted) < 1e-12:
        return 0.0
    return float(stats.spearmanr(predicted, gains).statistic)
