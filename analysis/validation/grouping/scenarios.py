"""Predicted gains and found partitions of studies with planted affinities, beside what naive partitions get.

Every figure is of one study. Partitions have the number of units that is asked for, but for CG and types, which have
their own. `separated`: every contradicting pair stands in two units. The coverage of a new task is that of its gains in
the sets that were trained, predicted without any gain of it. `head_start` is how much luck of training favours the
found partition over a trained one, were a run exactly as lucky on test cases as on those that the choice saw.
"""

from typing import cast

import numpy as np
from scipy import stats

from analysis.grouping.gain_model import GainModel
from analysis.grouping.local_search import Units, drawn_at_random, members_of
from analysis.grouping.partition_search import search
from analysis.grouping.predicted_gain import Prediction, predict_gains
from analysis.grouping.proposal import Proposal, propose
from analysis.validation.grouping.naive_partitions import by_clusters, by_label, by_size
from analysis.validation.grouping.simulate_groups import GroupDesign, GroupStudy, simulate_groups
from analysis.validation.scenario import Scenario
from analysis.validation.simulate import Simulated

_SETS = 40
"""Sets of a study, drawn at random, in which gains are predicted."""


def count_groups(simulated: Simulated, seed: int) -> dict[str, float]:
    """Coverage and widths of intervals, chances and what becomes of them, and what each partition is worth."""
    study = cast(GroupStudy, simulated)
    design, random = cast(GroupDesign, study.design), np.random.default_rng([seed, 1])
    prediction = predict_gains(study.measured, study.signals)
    found = propose(prediction, None, units=design.units)
    members = _unknown_sets(study, random)
    true, joint = study.gains(members), members & (members.sum(1, keepdims=True) > 1)
    low, high = prediction.model.limits(members)
    low_mean, high_mean = found.interval
    gain = study.mean_gain(found.best.units)
    over = {name: float(gain > study.mean_gain(units)) for name, units in found.trained.items()}
    partitions = {"found": found.best.units} | _naive(study, random) | {"AU": found.trained["AU"]}
    figures = {
        "coverage_new_task": _coverage_of_new_task(study, prediction),
        "coverage_new_set": float(((low <= true) & (true <= high))[joint].mean()),
        "half_width": float(((high - low) / 2)[joint].mean()),
        "coverage_mean": float(low_mean <= gain <= high_mean),
        "half_width_mean": (high_mean - low_mean) / 2,
        "rank_correlation": float(stats.spearmanr(prediction.model.predict(members)[joint], true[joint]).statistic),
        "affinities_used": float(prediction.informed) if study.signals else np.nan,
        "chance_over_AU": found.chances["AU"],
        "over_AU": over["AU"],
        "chance_over_CG": found.chances["CG"],
        "over_CG": over["CG"],
    }
    figures |= {f"separated_{name}": separated(study, units) for name, units in partitions.items()}
    figures |= {f"gain_{name}": study.mean_gain(units) for name, units in partitions.items()}
    figures |= {f"head_start_{name}": _head_start(study, found, units) for name, units in _compared(found).items()}
    return figures | {"gain_best": _best_gain(study, design.units)} | _surest(study, found)


def _compared(found: Proposal) -> dict[str, Units]:
    return {"TS": tuple((k,) for k in range(found.tasks))} | {name: found.trained[name] for name in ("CG", "AU")}


def _head_start(study: GroupStudy, found: Proposal, other: Units) -> float:
    """Mean over tasks of the luck of the runs of the found partition, less that of another: none of what is trained
    after the choice."""
    sets = study.measured.sets
    true = study.gains(members_of(sets["members"].tolist(), found.tasks))
    task = sets["task"].map(study.measured.number).to_numpy()
    noise = sets["gain"].to_numpy(float) - true[np.arange(len(sets)), task]
    keys = zip(sets["members"], task.tolist(), strict=True)
    luck: dict[tuple[tuple[int, ...], int], float] = dict(zip(keys, noise + study.luck[task], strict=True))
    luck |= {((k,), k): float(study.luck[k]) for k in range(found.tasks)}
    of_found, of_other = (
        np.mean([luck.get((unit, k), 0.0) for unit in units for k in unit]) for units in (found.best.units, other)
    )
    return float(of_found - of_other)


def _surest(study: GroupStudy, found: Proposal) -> dict[str, float]:
    """Where the chance over AU is at least 0.9: how often that is so, and how often the partition is better then."""
    sure = found.chances["AU"] >= 0.9
    better = float(study.mean_gain(found.best.units) > study.mean_gain(found.trained["AU"]))
    return {"sure_of_AU": float(sure), "sure_and_right": better if sure else np.nan}


def _unknown_sets(study: GroupStudy, random: np.random.Generator) -> np.ndarray:
    """Sets of two to five tasks that were not trained."""
    tasks, known = len(study.own), set(study.measured.sets["members"])
    drawn = [tuple(sorted(random.choice(tasks, random.integers(2, 6), replace=False).tolist())) for _ in range(_SETS)]
    return members_of(sorted(set(drawn) - known), tasks)


def _coverage_of_new_task(study: GroupStudy, prediction: Prediction) -> float:
    """Of the gains of every task in turn, predicted without any gain of it: the features are those of the whole."""
    measured, inside = study.measured, []
    for task in measured.sets["task"].unique():
        out = (measured.sets["task"] == task).to_numpy()
        rest = type(measured)(measured.tasks, measured.sets[~out].reset_index(drop=True), measured.partitions)
        model = GainModel(rest, prediction.model.features, prediction.model.families)
        members = members_of(measured.sets.loc[out, "members"].tolist(), len(study.own))
        low, high = (limit[:, measured.number[task]] for limit in model.limits(members))
        gain = measured.sets.loc[out, "gain"].to_numpy(float)
        inside.append(float(((low <= gain) & (gain <= high)).mean()))
    return float(np.mean(inside))


def separated(study: GroupStudy, units: Units) -> float:
    """1 where no unit holds both tasks of a contradicting pair, else 0."""
    return float(not any(one in unit and other in unit for unit in units for one, other in study.contradictions))


def _naive(study: GroupStudy, random: np.random.Generator) -> dict[str, Units]:
    """Partitions that take no model: at random, by group, type and size, and by clusters of the mean signal."""
    design, about = cast(GroupDesign, study.design), study.about
    naive = {
        "random": drawn_at_random(random, design.tasks, design.units),
        "CG": by_label(about["group"].to_numpy(object)),
        "type": by_label(about["type"].to_numpy(object)),
        "size": by_size(about["n_full"].to_numpy(float), design.units),
    }
    if study.signals:
        naive["clusters"] = by_clusters(list(study.signals.values()), design.units)
    return naive


def _best_gain(study: GroupStudy, units: int) -> float:
    """Mean gain of the partition that knows the affinities, but not the lack of fit."""
    best = search(len(study.own), lambda members: study.gains(members, expected=True).sum(1), units=units)
    return study.mean_gain(best.best[0].units)


def scenarios() -> list[Scenario]:
    """Good, poor and empty signals, more trained partitions, affinities that add up or are neither averaged nor added
    up, and no contradiction."""
    base = GroupDesign()
    three = {"first": 0.0, "second": 0.0, "third": 0.0}
    covers = {"coverage_new_task": (0.75, 1.0), "coverage_new_set": (0.75, 1.0)}
    designs = {
        "a good signal": (base, {**covers, "separated_found": (0.7, 1.0)}),
        "a poor signal": (base.with_(signals={"signal": 0.4}), covers),
        "three signals of noise": (base.with_(signals=three), {**covers, "affinities_used": (0.0, 0.4)}),
        "a good signal among noise": (base.with_(signals={"signal": 0.8, **three}), covers),
        "no signal, three partitions drawn": (base.with_(signals={}, drawn=3), covers),
        "a good signal, three partitions drawn": (base.with_(drawn=3), {**covers, "separated_found": (0.8, 1.0)}),
        "affinities add up, a good signal": (base.with_(adding=0.5), covers),
        "affinities add up, a good signal among noise": (
            base.with_(adding=0.5, signals={"signal": 0.8, **three}),
            covers,
        ),
        "the worst partner decides": (base.with_(worst=0.5), covers),
        "nothing to find": (
            base.with_(signals=three, contradicting=0, related=0, pair_sd=0.0),
            {**covers, "head_start_AU": (-0.002, 0.005)},
        ),
    }
    return [
        Scenario(f"grouping: {name}", design, count_groups, bounds, draw=simulate_groups)
        for name, (design, bounds) in designs.items()
    ]
