"""RQ5: which aggregation for a task of this type, group and size? A rule fitted to the gains.

For each joint aggregation: gain over the base = type + slope of the type log2(n) + group + task + rest, the mixed
model of `mixed_model` (Henderson 1975; normal effects) over all tasks and fractions, seeds averaged. Level and slope of
a type are those of its own tasks: a slope that types have in common would give one type the trend of another. Types
share the scatter of tasks and groups.

Something is expected of an aggregation only where the study has seen it: with `FEWEST_OF_TYPE` tasks of the type, and
at sizes between those of these tasks. Three are the fewest that leave a line of two numbers anything to be wrong by;
with fewer, the limits of one task would rest on other types alone.

Advice is a bet on one new task, so it rests on how tasks scatter and not on how well their mean is known. The model
gives the chance that such a task gains, and that it is harmed: loses more than the margin. A joint aggregation is
advised where, at 95 % confidence, at least nine in ten such tasks gain (a one-sided tolerance limit; Wilks 1941, Owen
1968): among many questions some chances of gain come out at 0.9 by luck, and the confidence keeps these out. It is that
over all types together, each of which is a question of its own. Of several the one with the largest expected gain; the
base where nine in ten tasks lose under every joint aggregation. The rule abstains otherwise, and with one seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import special

from aggregation_lab.errors import ResultsError
from aggregation_lab.text import whole_per_cent
from analysis.contrasts import Contrast
from analysis.gains import PairedGain
from analysis.questions.means import poolable, seed_part
from analysis.statistics.combined_variance import VariancePart
from analysis.statistics.mixed_model import MixedFit, fit_mixed
from analysis.statistics.uncertainty import t_interval, t_quantile
from analysis.statistics.verdicts import UNDECIDED, sd_ratios

ANY_GROUP = "any other"
"""What a group is called that was not studied."""

FEWEST_TASKS = 5
"""Tasks below which no rule is fitted."""

MOST_COMPARED = 24
"""Aggregations beside the base above which no rule is fitted: the best of many is mostly the luckiest."""

FEWEST_OF_TYPE = 3
"""Tasks of a type below which nothing is expected of an aggregation for the type: so few tell nothing about others."""

SHARE = 0.9
"""Share of such tasks that must gain under what is advised."""

CONFIDENCE = 0.95
"""Confidence in that share, in all types of tasks together."""


@dataclass(frozen=True)
class Expectation:
    """What one joint aggregation does to a task like the one asked about: mean gain over the base with its 95 %
    interval, limits that hold one such task in 95 %, the chance that it gains and that it is harmed (loses more than
    the margin), and the confidence that at least `SHARE` of such tasks gain, or lose."""

    aggregation: str
    gain: float
    low: float
    high: float
    task_low: float
    task_high: float
    chance: float
    harm: float
    sure: float
    sure_loss: float

    def __str__(self) -> str:
        harm = "" if np.isnan(self.harm) else f", harmed {whole_per_cent(self.harm)}"
        limits = f"[{self.task_low:+.3f}, {self.task_high:+.3f}]"
        return f"{self.aggregation} {self.gain:+.3f} {limits}, gains {whole_per_cent(self.chance)}{harm}"


@dataclass(frozen=True)
class Recommendation:
    """`advice` is an aggregation or `undecided`; `expected` the evidence; `reason` one sentence; `unknown` why nothing
    is expected of the other aggregations, by name."""

    advice: str
    expected: tuple[Expectation, ...]
    reason: str
    unknown: Mapping[str, str] = field(default_factory=dict)

    @property
    def in_words(self) -> str:
        """What is expected of each aggregation, then why nothing is of the others."""
        names: dict[str, list[str]] = {}
        for name, why in self.unknown.items():
            names.setdefault(why, []).append(name)
        return "; ".join([*map(str, self.expected), *(f"{', '.join(each)}: {why}" for why, each in names.items())])


@dataclass(frozen=True)
class Seen:
    """The tasks of one type under one joint aggregation: how many, and their training cases from `low` to `high`."""

    tasks: int
    low: float
    high: float

    @property
    def enough(self) -> bool:
        """Whether they may speak for other tasks of the type."""
        return self.tasks >= FEWEST_OF_TYPE

    @property
    def sloped(self) -> bool:
        """Whether they tell how the gain changes with the size."""
        return self.enough and self.low < self.high


def check_size(n_train: float) -> None:
    """Raise `ResultsError` where `n_train` is no count of training cases: not a positive number."""
    if not n_train > 0:
        raise ResultsError(f"n_train {n_train:g}: must be greater than 0")


@dataclass(frozen=True, eq=False)
class Rule:
    """The fitted models by joint aggregation, and the range they were fitted on."""

    base: str
    fits: Mapping[str, MixedFit]
    types: tuple[str, ...]
    centre: float
    seen: Mapping[tuple[str, str], "Seen"]
    """What each joint aggregation was fitted on, by aggregation and type; no task that has one model for both."""
    seeds: Mapping[str, VariancePart]
    """Variance of each joint aggregation's mean gain by seeds, with its degrees of freedom; NaN with one seed."""
    margins: Mapping[str, float]
    """Median margin of the tasks of a type."""
    notes: tuple[str, ...]

    def recommend(self, n_train: float, task_type: str, group: str | None = None) -> Recommendation:
        """Advice for a task with `n_train` training cases. An unknown group counts as a new one.

        Raises `ResultsError` where `n_train` is not a positive number.
        """
        check_size(n_train)
        if task_type not in self.types:
            return Recommendation(UNDECIDED, (), f"no {task_type} task was studied, only {', '.join(self.types)}")
        if not all(np.isfinite(variance) for variance, _ in self.seeds.values()):
            return Recommendation(UNDECIDED, (), "one seed only: chance in training is not known, run a second one")
        unknown = {name: why for name in self.fits if (why := self._why_unknown(name, n_train, task_type))}
        low, high = self.sizes(task_type)
        if not low <= n_train <= high:
            reason = f"{task_type} was studied with {low:.0f} to {high:.0f} training cases only"
            return Recommendation(UNDECIDED, (), reason, unknown)
        expected = tuple(self.expect(name, n_train, task_type, group) for name in self.fits if name not in unknown)
        return self._advice(expected, unknown)

    def sizes(self, task_type: str) -> tuple[float, float]:
        """Fewest and most training cases at which something is expected of any aggregation for a studied type; of all
        its tasks where nothing is."""
        of_type = [seen for (_, kind), seen in self.seen.items() if kind == task_type]
        used = [seen for seen in of_type if seen.enough] or of_type
        return min(seen.low for seen in used), max(seen.high for seen in used)

    @property
    def confidence(self) -> float:
        """Confidence that advice for one type takes: `CONFIDENCE` over all types together, as each has a line of its
        own and may come out well by luck (Bonferroni)."""
        return 1 - (1 - CONFIDENCE) / len(self.types)

    def tells_groups_apart(self) -> bool:
        """Whether what is expected of any aggregation depends on the clinical group."""
        return any(fit.knows_groups for fit in self.fits.values())

    def _why_unknown(self, name: str, n_train: float, task_type: str) -> str:
        """Why nothing is expected of an aggregation, and what it would take; empty where something is."""
        seen = self.seen.get((name, task_type), Seen(0, float("nan"), float("nan")))
        if not seen.enough:
            return f"{seen.tasks} of the {FEWEST_OF_TYPE} {task_type} tasks that it takes"
        if not seen.low <= n_train <= seen.high:
            return f"{task_type} was seen with {seen.low:.0f} to {seen.high:.0f} training cases only"
        return ""

    def _advice(self, expected: tuple[Expectation, ...], unknown: Mapping[str, str]) -> Recommendation:
        gaining = [outcome for outcome in expected if outcome.sure >= self.confidence]
        if gaining:
            best = max(gaining, key=lambda outcome: outcome.gain)
            reason = f"a new task gains under {best.aggregation} with a chance of {whole_per_cent(best.chance)}"
            return Recommendation(best.aggregation, expected, reason, unknown)
        if unknown:
            return Recommendation(UNDECIDED, expected, f"too little was seen under {', '.join(unknown)}", unknown)
        if all(outcome.sure_loss >= self.confidence for outcome in expected):
            most = max(outcome.chance for outcome in expected)
            reason = f"under every joint model a new task gains with a chance of {whole_per_cent(most)} at most"
            return Recommendation(self.base, expected, reason)
        best = max(expected, key=lambda outcome: outcome.chance)
        chances = f"gains with a chance of {whole_per_cent(best.chance)}"
        harm = "" if np.isnan(best.harm) else f", is harmed with {whole_per_cent(best.harm)}"
        reason = f"not sure enough to bet on: under {best.aggregation} a new task {chances}{harm}"
        return Recommendation(UNDECIDED, expected, reason)

    def expect(self, aggregation: str, n_train: float, task_type: str, group: str | None) -> Expectation:
        """What one joint aggregation is expected to do."""
        fit = self.fits[aggregation]
        sloped = [kind for kind in self.types if self.seen[aggregation, kind].sloped]
        row = _design(np.array([task_type]), np.array([np.log2(n_train)]), self.types, sloped, self.centre)[0]
        value, se, sd, df = fit.predict(row, group)
        of_seeds, seeds_df = self.seeds[aggregation]
        # Few seeds estimate their scatter badly: their variance counts by as much more as t exceeds the normal.
        se = float(np.sqrt(se**2 + of_seeds * (t_quantile(0.975, float(seeds_df)) / special.ndtri(0.975)) ** 2))
        single = float(np.hypot(se, sd))
        margin = self.margins.get(task_type, float("nan"))
        return Expectation(
            aggregation,
            value,
            *t_interval(value, se, df),
            *t_interval(value, single, df),
            chance=float(special.stdtr(df, value / single)),
            harm=float(special.stdtr(df, (-margin - value) / single)),
            sure=_confidence(value, se, sd, df),
            sure_loss=_confidence(-value, se, sd, df),
        )


def _confidence(value: float, se: float, sd: float, df: float) -> float:
    """Confidence that at least `SHARE` of tasks lie above 0: P(T <= value / se), T noncentral t about z sd / se.

    As the mean of normal tails over equally likely values of the chi-squared variable, as in `power`.
    """
    return float(special.ndtr(value / se * _sd_ratios(df) - special.ndtri(SHARE) * sd / se).mean())


@lru_cache(2**10)
def _sd_ratios(df: float) -> np.ndarray:
    """`sd_ratios`; every task of a type, and both sides of a bet, ask for the same."""
    return sd_ratios(df)


def _design(types: np.ndarray, x: np.ndarray, known: Sequence[str], sloped: Sequence[str], centre: float) -> np.ndarray:
    """One column per type, its level, and one per `sloped` type, its slope about `centre`."""
    levels, slopes = (types[:, None] == np.array(names, str) for names in (known, sloped))
    return np.column_stack([levels, slopes * (x - centre)[:, None]]).astype(float)


def rule_rows(
    by_contrast: Mapping[Contrast, Sequence[tuple[float, Sequence[PairedGain]]]], margins: Mapping[str, float]
) -> pd.DataFrame:
    """What rules are fitted to: joint, base, task, type, group, fraction, n_train, gain (mean over seeds), margin,
    base_improving, and v_seed with df_seed, the variance by seeds of the mean over the tasks of the aggregation and
    fraction. Tasks in which neither model's mean is above the floor are left out.

    `margins` by task, on the scale of the gains; a task may lack one.
    """
    rows = []
    for contrast, by_fraction in by_contrast.items():
        for share, pairs in by_fraction:
            used = [pair for pair in poolable(pairs) if pair.n_train > 0 and not pair.learned_nothing]
            if not used:
                continue
            v_seed, df_seed = seed_part(used)
            rows += [
                {
                    "joint": contrast.joint,
                    "base": contrast.base,
                    "task": pair.task,
                    "type": pair.type,
                    "group": pair.group,
                    "fraction": share,
                    "n_train": pair.n_train,
                    "gain": pair.gain,
                    "margin": margins.get(pair.task, float("nan")),
                    "v_seed": v_seed,
                    "df_seed": df_seed,
                    "base_improving": bool(pair.base_improving),
                }
                for pair in used
            ]
    return pd.DataFrame(rows)


def fit_rule(rows: pd.DataFrame) -> Rule | None:
    """The rule from `rule_rows`; None where an aggregation has too few tasks."""
    if rows.empty or rows.groupby("joint")["task"].nunique().min() < FEWEST_TASKS:
        return None
    types = tuple(sorted(set(rows["type"])))
    x = np.log2(rows["n_train"].to_numpy(float))
    centre = float(x.mean())
    seen = {
        (str(joint), str(kind)): Seen(int(part["task"].nunique()), *map(float, part["n_train"].agg(["min", "max"])))
        for (joint, kind), part in rows.groupby(["joint", "type"])
    }
    fits: dict[str, MixedFit] = {}
    for joint, part in rows.groupby("joint", sort=False):
        if set(part["type"]) != set(types):
            return None
        sloped = [kind for kind in types if seen[str(joint), kind].sloped]
        design = _design(part["type"].to_numpy(str), np.log2(part["n_train"].to_numpy(float)), types, sloped, centre)
        values, groups = part["gain"].to_numpy(float), part["group"].to_numpy(str)
        fits[str(joint)] = fit_mixed(values, design, groups, part["task"].to_numpy(str))
    return Rule(
        base=str(rows["base"].iloc[0]),
        fits=fits,
        types=types,
        centre=centre,
        seen=seen,
        seeds={
            str(joint): (float(part["v_seed"].mean(skipna=False)), float(part["df_seed"].min()))
            for joint, part in rows.groupby("joint")
        },
        margins={str(kind): float(margins.median()) for kind, margins in rows.groupby("type")["margin"]},
        notes=tuple(f"{joint}: {fit.note}" for joint, fit in fits.items() if not fit.converged),
    )
