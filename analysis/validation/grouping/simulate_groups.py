"""Synthetic studies in which the gain of every task in every set of tasks is known; nothing is trained.

    gain of task t in set S = own effect of t + effect of the partners + lack of fit of (t, S)

    effect of the partners: the mean over partners j of a_jt, with `worst` of the weight on the smallest of them, or,
    where affinities add up, `adding` times their sum

a_jt is negative, both ways, for pairs that contradict each other, positive for related ones, and small else. A signal
shows a_jt with an error, or nothing but error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.grouping.local_search import Units, members_of
from analysis.grouping.measured_gains import MeasuredGains, seed_variances
from analysis.validation.design import Design
from analysis.validation.simulate import Simulated, describe_tasks


@dataclass(frozen=True)
class GroupDesign(Design):
    """TS, CG and AU, and partitions drawn at random, of tasks with planted affinities. Standard deviations and effects
    are on the unit-free score."""

    tasks: int = 10
    groups: int = 4
    seeds: int = 5
    seed_sd: float = 0.01
    contradicting: int = 2
    """Pairs of tasks, all different, of one clinical group where it has two."""
    contradiction: float = -0.08
    related: int = 6
    """Pairs of tasks that help each other."""
    relation: float = 0.04
    pair_sd: float = 0.01
    own_sd: float = 0.015
    lack_sd: float = 0.005
    worst: float = 0.0
    adding: float = 0.0
    """What each partner adds, in units of its affinity; 0: affinities are averaged."""
    signals: Mapping[str, float] = field(default_factory=lambda: {"signal": 0.8})
    """Correlation of each signal with the affinities; 0 for one that shows nothing."""
    drawn: int = 0
    """Partitions of a user's, drawn at random, of `units` units."""
    units: int = 4
    """Units that are asked for."""


@dataclass(frozen=True, eq=False)
class GroupStudy(Simulated):
    """One study: what is measured, the signals, `pairs` (T x T), the affinity a_jt at [j, t], and `luck` (T), what the
    runs of TS score above what is to be expected of them, mean over seeds."""

    measured: MeasuredGains = field(kw_only=True)
    signals: Mapping[str, np.ndarray] = field(kw_only=True)
    pairs: np.ndarray = field(kw_only=True)
    own: np.ndarray = field(kw_only=True)
    luck: np.ndarray = field(kw_only=True)
    contradictions: tuple[tuple[int, int], ...] = field(kw_only=True)
    seed: int = field(kw_only=True)

    def gains(self, members: np.ndarray, *, expected: bool = False) -> np.ndarray:
        """True gains (C x T) in sets, 0 of tasks alone and outside; `expected`: without the lack of fit."""
        design = self.design
        assert isinstance(design, GroupDesign)
        inside, size = members.astype(float), members.sum(1, keepdims=True)
        joint = members & (size > 1)
        alone = np.where(np.eye(len(self.own), dtype=bool), np.inf, self.pairs)
        least = np.where(members[:, :, None], alone, np.inf).min(1)
        sums = inside @ self.pairs
        averaged = (1 - design.worst) * sums / np.maximum(size - 1, 1)
        averaged += design.worst * np.where(np.isfinite(least), least, 0.0)
        partners = design.adding * sums if design.adding else averaged
        lack = 0.0 if expected else design.lack_sd * np.array([self._lack(row) for row in members])
        return np.where(joint, self.own + partners + lack, 0.0)

    def _lack(self, row: np.ndarray) -> np.ndarray:
        """The same for the same set, however it is asked for."""
        mask = int(np.dot(row, 2 ** np.arange(len(row))))
        return np.random.default_rng([self.seed, mask]).normal(size=len(row))

    def mean_gain(self, units: Units) -> float:
        """True mean gain over all tasks of a partition."""
        return float(self.gains(members_of(units, len(self.own))).sum()) / len(self.own)


def simulate_groups(design: Design, seed: int) -> GroupStudy:
    """Draw one study. The same design and seed give the same study."""
    assert isinstance(design, GroupDesign)
    random = np.random.default_rng(seed)
    about = describe_tasks(design, random)
    contradictions, pairs = _pairs(design, about["group"].to_numpy(object), random)
    tasks = about.rename(columns={"n_full": "n_train"}).set_index("task")[["type", "group", "n_train"]]
    known = {
        "CG": [tuple(np.flatnonzero(about["group"] == name).tolist()) for name in sorted(set(about["group"]))],
        "AU": [tuple(range(design.tasks))],
        **{f"drawn{k}": _draw(design, random) for k in range(design.drawn)},
    }
    study = GroupStudy(
        design,
        (),
        about,
        pd.DataFrame(),
        measured=MeasuredGains(tasks, pd.DataFrame(), {}),
        signals={name: _signal(pairs, quality, random) for name, quality in design.signals.items()},
        pairs=pairs,
        own=random.normal(0, design.own_sd, design.tasks),
        luck=np.empty(0),
        contradictions=contradictions,
        seed=seed,
    )
    base = random.normal(0, design.seed_sd, (design.tasks, design.seeds))
    object.__setattr__(study, "measured", _measure(study, tasks, known, base, random))
    object.__setattr__(study, "luck", base.mean(1))
    return study


def _pairs(
    design: GroupDesign, group: np.ndarray, random: np.random.Generator
) -> tuple[tuple[tuple[int, int], ...], np.ndarray]:
    """The pairs that contradict each other, and all affinities."""
    pairs = random.normal(0, design.pair_sd, (design.tasks, design.tasks))
    order = random.permutation(design.tasks).tolist()
    free, found = list(order), list[tuple[int, int]]()
    while len(found) < design.contradicting:
        first = free.pop(0)
        partner = next((k for k in free if group[k] == group[first]), free[0])
        free.remove(partner)
        found.append((min(first, partner), max(first, partner)))
    others = [(i, j) for i in range(design.tasks) for j in range(i) if (j, i) not in found]
    for k in random.choice(len(others), design.related, replace=False):
        i, j = others[k]
        pairs[i, j], pairs[j, i] = pairs[i, j] + design.relation, pairs[j, i] + design.relation
    for i, j in found:
        pairs[i, j], pairs[j, i] = pairs[i, j] + design.contradiction, pairs[j, i] + design.contradiction
    np.fill_diagonal(pairs, 0.0)
    return tuple(found), pairs


def _signal(pairs: np.ndarray, quality: float, random: np.random.Generator) -> np.ndarray:
    off = ~np.eye(len(pairs), dtype=bool)
    shown = (pairs - pairs[off].mean()) / (pairs[off].std() or 1.0)  # all alike: nothing to show
    return quality * shown + np.sqrt(1 - quality**2) * random.normal(size=pairs.shape)


def _draw(design: GroupDesign, random: np.random.Generator) -> list[tuple[int, ...]]:
    labels = random.permutation(np.arange(design.tasks) % design.units)
    return [tuple(np.flatnonzero(labels == k).tolist()) for k in range(design.units)]


def _measure(
    study: GroupStudy,
    tasks: pd.DataFrame,
    known: Mapping[str, Sequence[tuple[int, ...]]],
    base: np.ndarray,
    random: np.random.Generator,
) -> MeasuredGains:
    """The gains as validation shows them: TS of a seed is the same run in all of them, with the luck `base` (T x S)."""
    design, rows, seen = study.design, [], set()
    for name, units in known.items():
        for k, unit in enumerate(units):
            if len(unit) < 2 or unit in seen:
                continue
            seen.add(unit)
            true = study.gains(members_of([unit], design.tasks))[0]
            for task in unit:
                by_seed = true[task] + random.normal(0, design.seed_sd, design.seeds) - base[task]
                row = {"aggregation": name, "unit": f"{name}{k}", "task": tasks.index[task], "members": unit}
                scatter = by_seed.var(ddof=1) if design.seeds > 1 else np.nan
                rows.append(row | {"gain": by_seed.mean(), "scatter": scatter, "seeds": design.seeds})
    sets = pd.DataFrame(rows)
    partitions = {name: frozenset(unit for unit in units if len(unit) > 1) for name, units in known.items()}
    return MeasuredGains(tasks, sets.assign(variance=seed_variances(sets, tasks)).drop(columns="scatter"), partitions)
