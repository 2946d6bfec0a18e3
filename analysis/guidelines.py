"""RQ5: which aggregation for a task of this type, group and size? A rule fitted to the gains.

For each joint aggregation: gain over TS = type + slope log2(n) + group + task + rest, the mixed model of
`analysis.mixed` (Henderson 1975; normal effects, one slope for all types) over all tasks and fractions, seeds averaged.
For a new task the model gives the mean gain of such tasks with a 95 % interval. The rule advises the joint aggregation
with the largest expected gain among those whose interval lies above zero; TS where all intervals lie below zero; and
abstains otherwise, outside the sizes seen, and where fewer than three tasks of the type speak for an aggregation.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aggregation_lab.errors import ResultsError
from analysis.frames import frame
from analysis.gains import Contrast, PairedGain
from analysis.mixed import MixedFit, fit_mixed
from analysis.pooling import poolable
from analysis.uncertainty import t_interval

UNDECIDED = "undecided"
ANY_GROUP = "any other"
FEWEST_TASKS = 5
"""Tasks below which no rule is fitted."""

MOST_ARMS = 24
"""Aggregations beside the base above which no rule is fitted: the best of many is mostly the luckiest."""

FEWEST_OF_TYPE = 3
"""Tasks of a type below which an aggregation is not advised for the type: so many speak for no others."""

_SIZES = 25


@dataclass(frozen=True)
class Expectation:
    """Expected gain over TS of tasks like the one asked about, with a 95 % interval of that mean, and one for a single
    new task."""

    aggregation: str
    gain: float
    low: float
    high: float
    task_low: float
    task_high: float

    def __str__(self) -> str:
        return f"{self.aggregation} {self.gain:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


@dataclass(frozen=True)
class Recommendation:
    """`advice` is an aggregation or `undecided`; `expected` the evidence; `reason` one sentence."""

    advice: str
    expected: tuple[Expectation, ...]
    reason: str


@dataclass(frozen=True, eq=False)
class Rule:
    """The fitted models by joint aggregation, and the range they were fitted on."""

    base: str
    fits: Mapping[str, MixedFit]
    types: tuple[str, ...]
    centre: float
    sizes: tuple[float, float]
    sizes_by_type: Mapping[str, tuple[float, float]]
    tasks: Mapping[tuple[str, str], int]
    """Tasks that each joint aggregation was fitted on, by aggregation and type; none of which both models are one."""
    notes: tuple[str, ...]

    def recommend(self, n_train: float, task_type: str, group: str | None = None) -> Recommendation:
        """Advice for a task with `n_train` training cases. An unknown group counts as a new one.

        Raises `ResultsError` where `n_train` is not a positive number.
        """
        if not n_train > 0:
            raise ResultsError(f"n_train {n_train:g}: must be greater than 0")
        if task_type not in self.types:
            return Recommendation(UNDECIDED, (), f"no {task_type} task was studied, only {', '.join(self.types)}")
        expected = tuple(self.expect(name, n_train, task_type, group) for name in self.fits)
        low, high = self.sizes_by_type[task_type]
        if not low <= n_train <= high:
            seen = f"{task_type} was studied with {low:.0f} to {high:.0f} training cases only"
            return Recommendation(UNDECIDED, expected, seen)
        told = {name for name in self.fits if self.tasks.get((name, task_type), 0) >= FEWEST_OF_TYPE}
        few = [f"{name} {self.tasks.get((name, task_type), 0)}" for name in self.fits if name not in told]
        gaining = [each for each in expected if each.low > 0 and each.aggregation in told]
        if gaining:
            best = max(gaining, key=lambda each: each.gain)
            return Recommendation(best.aggregation, expected, f"{best.aggregation} gains over {self.base}")
        if few:
            reason = f"too few {task_type} tasks to speak for others: {', '.join(few)}"
            return Recommendation(UNDECIDED, expected, reason)
        if all(each.high < 0 for each in expected):
            return Recommendation(self.base, expected, f"every joint model loses against {self.base}")
        safest = max(expected, key=lambda each: each.low)
        reason = f"no gain or loss is sure; {safest.aggregation} loses at most {max(0.0, -safest.low):.3f} on average"
        return Recommendation(UNDECIDED, expected, reason)

    def expect(self, aggregation: str, n_train: float, task_type: str, group: str | None) -> Expectation:
        """Expected gain of one joint aggregation."""
        fit = self.fits[aggregation]
        row = _design(np.array([task_type]), np.array([np.log2(n_train)]), self.types, self.centre)[0]
        value, se, se_task = fit.predict(row, group)
        (low, high), (task_low, task_high) = (t_interval(value, each, fit.df) for each in (se, se_task))
        return Expectation(aggregation, value, low, high, task_low, task_high)


def _design(types: np.ndarray, x: np.ndarray, known: Sequence[str], centre: float) -> np.ndarray:
    """One column per type (its level at the mean size) and one slope for all."""
    return np.column_stack([types[:, None] == np.array(known), x - centre]).astype(float)


def rule_rows(by_contrast: Mapping[Contrast, Sequence[tuple[float, Sequence[PairedGain]]]]) -> pd.DataFrame:
    """What rules are fitted to: joint, base, task, type, group, fraction, n_train, gain (mean over seeds)."""
    rows = [
        (contrast.joint, contrast.base, each.task, each.type, each.group, share, each.n_train, each.by_seed.mean())
        for contrast, by_fraction in by_contrast.items()
        for share, pairs in by_fraction
        for each in poolable(pairs)
        if each.n_train > 0
    ]
    return pd.DataFrame(rows, columns=["joint", "base", "task", "type", "group", "fraction", "n_train", "gain"])


def fit_rule(rows: pd.DataFrame) -> Rule | None:
    """The rule from `rule_rows`; None where an aggregation has too few tasks."""
    fits, notes = {}, []
    if rows.empty or rows.groupby("joint")["task"].nunique().min() < FEWEST_TASKS:
        return None
    types = tuple(sorted(set(rows["type"])))
    x = np.log2(rows["n_train"].to_numpy(float))
    centre = float(x.mean())
    for joint, part in rows.groupby("joint", sort=False):
        if set(part["type"]) != set(types):
            return None
        design = _design(part["type"].to_numpy(str), np.log2(part["n_train"].to_numpy(float)), types, centre)
        fit = fit_mixed(part["gain"].to_numpy(float), design, part["group"].to_numpy(str), part["task"].to_numpy(str))
        fits[str(joint)] = fit
        if not fit.converged:
            notes.append(f"{joint}: {fit.note}")
    spans = rows.groupby("type")["n_train"].agg(["min", "max"])
    return Rule(
        base=str(rows["base"].iloc[0]),
        fits=fits,
        types=types,
        centre=centre,
        sizes=(float(rows["n_train"].min()), float(rows["n_train"].max())),
        sizes_by_type={str(name): (float(low), float(high)) for name, (low, high) in spans.T.items()},
        tasks={
            (str(joint), str(kind)): int(part["task"].nunique())
            for joint, own in rows.groupby("joint")
            for kind, part in own.groupby("type")
        },
        notes=tuple(notes),
    )


def guideline_table(rule: Rule, rows: pd.DataFrame, improving: Collection[str] = ()) -> pd.DataFrame:
    """The frame `guidelines`: for each type, its groups and any other group, the sizes at which the advice changes.

    `improving` are tasks of which a base model was still improving.
    """
    found = []
    for task_type in rule.types:
        own = rows[rows["type"] == task_type]
        low, high = rule.sizes_by_type[task_type]
        edges = np.geomspace(low, high, _SIZES + 1) if high > low else np.array([low])
        sizes = np.sqrt(edges[:-1] * edges[1:]) if len(edges) > 1 else edges
        for group in [*sorted(set(own["group"])), ANY_GROUP]:
            advised = [rule.recommend(float(n), task_type, group) for n in sizes]
            starts = [0] + [k for k in range(1, len(sizes)) if advised[k].advice != advised[k - 1].advice]
            for start, stop in zip(starts, [*starts[1:], len(sizes)], strict=True):
                middle = advised[(start + stop - 1) // 2]
                speaking = own[own["joint"] == middle.advice] if middle.advice in rule.fits else own
                tasks = set(speaking["task"])
                found.append(
                    {
                        "type": task_type,
                        "group": group,
                        "n_low": float(edges[start]),
                        "n_high": float(edges[min(stop, len(edges) - 1)]),
                        "advice": middle.advice,
                        "expected": "; ".join(str(each) for each in middle.expected),
                        "tasks": len(tasks),
                        "reason": middle.reason,
                        "base_improving": len(tasks.intersection(improving)),
                    }
                )
    return frame("guidelines", found)
