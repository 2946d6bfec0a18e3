"""Parts of findings: single effects that a claim says are positive, taken from frames and pairs.

Spreads are compared by the jackknife and by Pitman-Morgan (`stability`), types by Welch's interval and by
permutation (`analysis.questions.type_sensitivity`), gains over tasks as in `analysis.questions.means`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aggregation_lab.text import decimals_of_interval, exact_per_cent
from analysis.contrasts import Contrast
from analysis.gains import PairedGain, learned_nothing, still_improving
from analysis.questions.common_cells import common_cells
from analysis.questions.means import poolable, tasks_of_this_kind, these_tasks
from analysis.questions.stability import difference_label, spread_difference, spread_p
from analysis.questions.study_quality import IMPROVING
from analysis.statistics.verdicts import UNDECIDED

SUPPORTED, CONTRADICTED, NOT_TESTABLE = "supported", "contradicted", "not testable"

ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class Evidence:
    """What findings are judged by: the frames made before, and all pairs by contrast and fraction."""

    frames: Mapping[str, pd.DataFrame]
    pairs: Mapping[tuple[Contrast, float], Sequence[PairedGain]]

    @property
    def full(self) -> float:
        """The largest fraction."""
        return max(fraction for _, fraction in self.pairs)

    @property
    def least(self) -> float:
        """The smallest fraction."""
        return min(fraction for _, fraction in self.pairs)

    def at(self, fraction: float, contrast: str) -> Sequence[PairedGain]:
        """Pairs that can be averaged, of the contrast of that name; empty where it is not compared."""
        by_name = {(key.name, share): pairs for (key, share), pairs in self.pairs.items()}
        return poolable(by_name.get((contrast, fraction), ()))

    def row(self, name: str, /, **wanted: object) -> pd.Series | None:
        """The first row of a frame in which columns have these values; None where there is none."""
        rows = self.frames[name]
        for column, value in wanted.items():
            rows = rows[rows[column] == value]
        return rows.iloc[0] if len(rows) else None


@dataclass(frozen=True)
class Part:
    """One effect of a claim, oriented so that the claim says it is positive."""

    text: str
    estimate: float
    low: float
    high: float
    p: float
    evidence: str
    improving: bool = False
    """A base model behind it was still improving when its training ended."""

    @property
    def verdict(self) -> str:
        """Supported, contradicted, undecided or not testable, see `analysis.questions.findings`."""
        if not np.isfinite([self.estimate, self.low, self.high]).all():
            return NOT_TESTABLE
        if self.p > ALPHA:  # not where p is missing
            return UNDECIDED
        return SUPPORTED if self.low > 0 else CONTRADICTED if self.high < 0 else UNDECIDED

    @property
    def p_against(self) -> float:
        """p of the test by which it is contradicted, for the correction over parts; NaN where its interval tells."""
        return self.p

    @property
    def columns(self) -> dict[str, object]:
        """Its columns in the frame `findings`."""
        names = ("estimate", "low", "high", "p", "verdict", "effect", "evidence")
        return {"part": self.text} | {name: getattr(self, name) for name in names}

    @property
    def effect(self) -> str:
        """Estimate and interval in words."""
        if not np.isfinite(self.estimate):
            return "not in these data"
        if not np.isfinite(self.low):
            return f"{_signed(self.estimate)}, without an interval"
        numbers = (self.estimate, self.low, self.high)
        value, low, high = map(_signed, numbers, decimals_of_interval(*numbers))
        interval = f"{value} [{low}, {high}]"
        return f"{interval} {IMPROVING}" if self.improving else interval


def _signed(value: float, digits: int = 3) -> str:
    return f"{round(value, digits) + 0.0:+.{digits}f}"  # no minus before zero


def _missing(text: str, evidence: str) -> Part:
    return Part(text, *(float("nan"),) * 4, evidence)


def from_row(
    text: str, evidence: str, row: pd.Series | None, columns: Sequence[str] = ("gain", "low", "high"), sign: float = 1.0
) -> Part:
    """A part from the columns of a row that hold its effect and both limits."""
    if row is None:
        return _missing(text, evidence)
    estimate, *limits = (sign * float(row[name]) for name in columns)
    low, high = sorted(limits)
    return Part(text, estimate, low, high, float(row["p"]), evidence, bool(row["base_improving"]))


def slope(name: str, evidence: Evidence) -> Part:
    """Change of gain over TS per doubling of data: within tasks where there are fractions, else across tasks."""
    contrast, columns = f"{name}-TS", ("slope", "low", "high")
    row = evidence.row("within", contrast=contrast, level="pooled", name="all")
    if row is not None:
        return from_row(f"gain per doubling of a task's data under {name}", "within", row, columns)
    row = evidence.row("across", contrast=contrast, scope="all", method="mixed model")
    return from_row(f"gain per doubling of data across tasks under {name}", "across", row, columns)


Choice = Callable[[Sequence[PairedGain]], list[PairedGain]]
"""Which tasks a claim is about."""


def data_rich(pairs: Sequence[PairedGain]) -> list[PairedGain]:
    """Tasks with more training cases than the median."""
    return [pair for pair in pairs if pair.n_train > _median_size(pairs)]


def data_poor(pairs: Sequence[PairedGain]) -> list[PairedGain]:
    """Tasks with fewer training cases than the median."""
    return [pair for pair in pairs if pair.n_train < _median_size(pairs)]


def _median_size(pairs: Sequence[PairedGain]) -> float:
    """NaN, which no size is above or below, where sizes are not known."""
    return float(np.median([pair.n_train for pair in pairs] or [np.nan]))


def typical_gain(
    text: str, contrast: str, choice: Choice, evidence: Evidence, *, sign: float = 1.0, fraction: float | None = None
) -> Part:
    """Median gain of tasks of this kind, of those that `choice` takes, at full data or at the given fraction; missing
    where neither model of any of them has a mean above the floor."""
    used = choice(evidence.at(evidence.full if fraction is None else fraction, contrast))
    # of a choice of tasks no table of means has the median
    text, basis = f"{text} (median)", "pooled" if choice is list else "gains"
    if learned_nothing(used) == len(used):
        return _missing(text, basis)
    kind = tasks_of_this_kind(used)
    low, high = sorted((sign * kind.low, sign * kind.high))
    return Part(text, sign * kind.median, low, high, kind.p, basis, still_improving(used) > 0)


def with_little_data(text: str, contrast: str, evidence: Evidence) -> Part:
    """The typical gain at the smallest fraction, or of data-poor tasks where a study has only one."""
    least = evidence.least
    if least == evidence.full:
        return typical_gain(f"{text} on data-poor tasks", contrast, data_poor, evidence)
    return typical_gain(
        f"{text} with {exact_per_cent(least, '')} of the data", contrast, list, evidence, fraction=least
    )


def steadier_over_groups(evidence: Evidence) -> Part:
    """Spread of CG over clinical groups minus that of AU, from the frame `stability`."""
    text = "spread of gains over groups, less that by seeds, is larger under CG than under AU"
    row = evidence.row("stability", contrast=difference_label("CG-TS", "AU-TS"))
    if row is None:
        return _missing(text, "stability")
    common = common_cells(evidence.pairs, "CG-TS", "AU-TS")
    improving = any(still_improving(both) for tasks in common.values() for both in tasks)
    estimate, low, high = (float(row[name]) for name in ("spread", "spread_low", "spread_high"))
    p = spread_p(common, estimate)
    return Part(text, estimate, low, high, p, "stability", improving)


def steadier_over_tasks(evidence: Evidence) -> Part:
    """Difference of the spreads over tasks that both contrasts compare."""
    text = "spread of gains over tasks, less that by seeds, is larger under CG than under AU"
    of_cg = {pair.task: pair for pair in evidence.at(evidence.full, "CG-TS")}
    common = [(of_cg[pair.task], pair) for pair in evidence.at(evidence.full, "AU-TS") if pair.task in of_cg]
    difference = spread_difference([first for first, _ in common], [second for _, second in common])
    return Part(text, *difference, "gains", any(still_improving(both) for both in common))


def segmentation_loses_more(name: str, evidence: Evidence) -> Part:
    """Mean gain of the other types over TS minus that of segmentation, from the frame `sensitivity`."""
    row = evidence.row("sensitivity", contrast=f"{name}-TS", fraction=evidence.full, type="segmentation")
    text = f"segmentation loses more than the other types under {name} (difference of means)"
    return from_row(text, "sensitivity", row, ("against_others", "others_low", "others_high"), sign=-1.0)


def group_gain(text: str, group: str, contrast: str, evidence: Evidence, *, sign: float = 1.0) -> Part:
    """Mean gain of exactly the group's tasks."""
    row = evidence.row("pooled", level="group", name=group, contrast=contrast, fraction=evidence.full)
    told = row is not None and row["tasks"] > row["learned_nothing"]
    return from_row(f"{text} (mean)", "pooled", row if told else None, sign=sign)


def loss_within_margin(text: str, group: str, contrast: str, evidence: Evidence) -> Part:
    """How far the mean gain of exactly the group's tasks lies above a loss as large as the mean of their margins."""
    members = [pair for pair in evidence.at(evidence.full, contrast) if pair.group == group]
    margin = mean_margin(members)
    part = group_gain(text, group, contrast, evidence)
    named = "the margin" if np.isnan(margin) else f"the margin of {margin:g}"
    shifted = {name: getattr(part, name) + margin for name in ("estimate", "low", "high")}
    p = these_tasks(members, against=-margin)[-1] if members else float("nan")
    return replace(part, text=f"{text} (mean gain plus {named})", **shifted, p=p)


def mean_margin(pairs: Sequence[PairedGain]) -> float:
    """Mean margin of the very tasks whose gains are averaged; NaN without any."""
    return float(np.mean([pair.margin for pair in pairs] or [np.nan]))
