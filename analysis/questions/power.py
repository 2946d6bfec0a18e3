"""How many seeds, or test subjects, a verdict needs: planning from the variances of a study at hand, or of a pilot.

The error with other numbers of seeds and test subjects, and the power, which knows that the variances of a few seeds
are uncertain (Browne 1995), are those of `analysis.statistics.planning`. Enough is 80 % at the error rate at which the
task would be the next of its family to be decided. To find a gain or loss of the margin, two-sided, and to exclude a
loss of the margin when there is none, one-sided, the estimate has to stand out from a value one margin away. Where
these data have that power, and the gain lies between minus the margin and 0 nevertheless, what is planned for is the
gain as it was estimated, which has to stand out from the farther of the two.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize

from analysis.contrasts import Contrast
from analysis.frames import part
from analysis.gains import PairedGain
from analysis.questions.families import testable
from analysis.statistics.planning import BOTH, EITHER, MOST_SEEDS, MOST_TIMES, REPLICATES, SUBJECTS, WANTED, Scatter
from analysis.statistics.rare_classes import FEWEST_OF_CLASS
from analysis.statistics.uncertainty import DECIDES, GainEstimate
from analysis.statistics.verdicts import SAME_MODEL, UNDECIDED, NextLevels, power
from analysis.study import StudyTables

MORE_CASES, MORE_SEEDS, ONE_SEED = "test cases", "seeds", "one seed: its scatter is unknown"
NO_SCATTER, NO_MARGIN = "no scatter to plan from", "no margin in this unit"
ONE_SUBJECT = "test subjects: fewer than two can be resampled"
RARE_CLASS = f"test subjects of one class: fewer than {FEWEST_OF_CLASS}"
LEARNED_NOTHING = "learned nothing"

TO_ADD = ("more_replicates", "more_test_subjects", "decided_by")
"""Columns that say what to add for a verdict."""

_ENDLESS = 1e7
"""Seeds that leave nothing but the test cases."""

_FARTHEST = 1e5
"""Effect in standard errors within which the detectable one is sought."""


def power_frame(
    pairs: Sequence[PairedGain],
    estimates: Sequence[GainEstimate],
    verdicts: Sequence[str],
    hours_per_seed: float,
    levels: NextLevels,
) -> pd.DataFrame:
    """The frame `power` of one contrast at one fraction.

    `estimates` and `verdicts` are those of the pairs in their family: nothing is to be added for a verdict where there
    is one. `hours_per_seed` is what one more seed costs (NaN if unknown); `levels` are those of the family. A task in
    another unit than the score has no margin. `limit`: nothing where the seeds at hand will
    do, `seeds` where more would, `test cases` where no number of seeds would, `learned nothing` where neither model's
    mean is above the floor, else why nothing can be said. Without cases their part is unknown and left out.
    """
    rows = []
    for pair, verdict, found in zip(pairs, verdicts, estimates, strict=True):
        planned = plan(pair, found, levels)
        if not is_open(pair, verdict):
            planned = {name: value for name, value in planned.items() if name not in TO_ADD}
        row = {
            "task": pair.task,
            "type": pair.type,
            "group": pair.group,
            "margin": pair.margin,
            "seeds": len(pair.seeds),
            "subjects": pair.subjects,
            "hours_per_seed": hours_per_seed,
        }
        rows.append(row | planned | _seeds(pair, found, levels, hours_per_seed))
    return part("power", rows)


def is_open(pair: PairedGain, verdict: str) -> bool:
    """Whether a task waits for a verdict that more data may bring; over a base that learned nothing it would be of no
    use."""
    return verdict == UNDECIDED and (pair.base_above_floor is not False or pair.learned_nothing)


def plan(pair: PairedGain, found: GainEstimate, levels: NextLevels) -> dict[str, object]:
    """What is known and needed for one task: columns of the frame `power`, those that are known.

    `found` is its moderated estimate. `more_replicates` and `more_test_subjects` each do by themselves where
    `decided_by` names one of them, or either; where it is `both`, they do together, with the smallest product of the
    two factors by which the study grows: the predictions to score.
    """
    if pair.same_model:
        return {"limit": SAME_MODEL}
    if pair.learned_nothing:
        return {"limit": LEARNED_NOTHING}
    seeds, case_df = len(pair.seeds), max(1.0, pair.effective_subjects - 1.0)
    known: dict[str, object] = {"se_cases": float(np.sqrt(_case_variance(pair, found)))} if found.has_cases else {}
    if not np.isfinite(testable(pair, found)):
        if found.basis in DECIDES:
            return {"limit": RARE_CLASS if pair.class_too_rare else ONE_SUBJECT}
        limit = ONE_SEED if seeds < 2 else NO_SCATTER
        return known | {"detectable": detectable(found.se, case_df, levels.difference), "limit": limit}
    scatter = scatter_of(pair, found)
    known["sd_seed"] = float(np.sqrt(scatter.of_replicate))
    known["detectable"] = detectable(found.se, found.df, levels.difference)
    if not found.se > 0:
        return known | {"limit": NO_SCATTER}
    if not np.isfinite(pair.margin):
        return known | {"limit": NO_MARGIN}
    able, at_best = scatter.power(pair.margin, levels.both, np.array([seeds, _ENDLESS])) >= WANTED
    # A gain between minus the margin and 0, with enough power for both, has to stand out from the farther of the two.
    effect = max(abs(found.value), abs(found.value + pair.margin)) if able else pair.margin
    limit = "" if able else MORE_SEEDS if at_best else MORE_CASES
    return known | {"limit": limit} | scatter.more(effect, levels.both)


def _seeds(pair: PairedGain, found: GainEstimate, levels: NextLevels, hours_per_seed: float) -> dict[str, object]:
    """How many seeds it takes, and the hours to the larger number; nothing where that cannot be planned."""
    if pair.learned_nothing or not (np.isfinite([testable(pair, found), pair.margin]).all() and found.se > 0):
        return {}
    scatter = scatter_of(pair, found)
    detect, exclude = (scatter.seeds_for(pair.margin, level) for level in (levels.difference, levels.no_loss))
    needed = max(detect, exclude) if np.isfinite([detect, exclude]).all() else float("nan")
    hours = hours_per_seed * float(np.maximum(0.0, needed - len(pair.seeds)))  # NaN stays NaN
    return {"seeds_to_detect": detect, "seeds_to_exclude": exclude, "hours": hours}


def notices_nothing(row: Mapping[Any, Any], most: float) -> bool:
    """Whether a row of the frame `power` says that only gains larger than `most`, the largest that there can be, would
    be noticed. A task in another unit, which has no margin, has no such end."""
    return bool(row["detectable"] > most and not pd.isna(row["margin"]))


def would_decide(pair: PairedGain, planned: Mapping[str, object], most: float = math.inf) -> str:
    """`would notice ±0.041; 9 more seeds`: what these data show, and what decides the task, from its `plan`.

    Where replicates and test subjects would each do, it names the replicates. `at this gain`: these data have the power
    for the margin, so that what is planned for is the gain as it was estimated. `most` is the largest unit-free gain
    that there can be: where these data would notice larger ones only, they notice none.
    """
    limit, noun = planned["limit"], "seed" if pair.folds is None else "replicate"
    if limit in _NOTHING:
        return _NOTHING[str(limit)].format(noun)
    digits, unit = (3, "") if pair.unit == "1" else (1, f" {pair.unit}".rstrip())
    least = float(planned["detectable"])  # type: ignore[arg-type]
    none = unit == "" and least > most
    noticed = "would notice no gain that there can be; " if none else f"would notice ±{least:.{digits}f}{unit}; "
    if limit == NO_MARGIN:
        return f"{noticed}no margin in this unit"
    return f"{noticed}{'at this gain ' if limit == '' else ''}{_remedy(pair, planned, noun)}"


_NOTHING = {
    LEARNED_NOTHING: "learned nothing: neither model's mean is above its floor",
    ONE_SEED: "another {0}: one decides nothing",
    NO_SCATTER: "other {0}s: these do not differ",
    ONE_SUBJECT: "more test subjects: fewer than two can be resampled",
    RARE_CLASS: f"more test subjects of one class: fewer than {FEWEST_OF_CLASS} decide nothing",
}


def _remedy(pair: PairedGain, planned: Mapping[str, object], noun: str) -> str:
    by, parts = planned["decided_by"], []
    folds, tested = (0, 0) if pair.folds is None else (pair.folds.count, len(pair.replicates.names))
    if by in (REPLICATES, EITHER, BOTH):
        added = int(planned["more_replicates"])  # type: ignore[call-overload]
        again = " (folds are tested again)" if folds and len(pair.seeds) + added > folds else ""
        parts.append(f"{added} more {noun}{'s' * (added > 1)}{again}")
    if by in (SUBJECTS, BOTH):
        total = _rounded_up(pair.subjects + float(planned["more_test_subjects"]))  # type: ignore[arg-type]
        now = "" if not folds else ", all tested" if tested == folds else f", {tested} of {folds} folds"
        parts.append(f"about {total:,} test subjects ({pair.subjects:,} now{now})")
    beyond = f"more than {MOST_SEEDS} {noun}s" + (f" or {MOST_TIMES} times the test subjects" if pair.subjects else "")
    return " and ".join(parts) or beyond


def _rounded_up(amount: float) -> int:
    """To two digits."""
    step = 10 ** max(0, len(str(int(amount))) - 2)
    return int(-(-amount // step) * step)


def scatter_of(pair: PairedGain, found: GainEstimate) -> Scatter:
    """What a moderated estimate says of other numbers of seeds and subjects."""
    seeds, count = len(pair.seeds), len(pair.replicates.names)
    df = found.seed_df if np.isfinite(found.seed_df) else max(1.0, count - 1.0)
    if pair.folds is None:
        variance = max(found.v_seed, found.v_both) * count
        cases, rare = _case_variance(pair, found), pair.effective_subjects
        return Scatter(variance, df, found.v_both * count, cases, seeds, pair.subjects, effective_subjects=rare)
    both = found.v_both * count if found.has_cases else 0.0
    of_fold = Counter(pair.folds.of_seed[seed] for seed in pair.seeds)
    inverse = float(np.mean([1 / runs for runs in of_fold.values()]))
    return Scatter(found.v_seed * count, df, both, 0.0, seeds, pair.subjects, pair.folds.count, count, inverse)


def _case_variance(pair: PairedGain, found: GainEstimate) -> float:
    """Variance that the test cases at hand leave whatever the seeds.

    With one split it is a difference of two estimates, which is often 0 by chance: it is not taken for less than what
    the moderated standard error, which knows that, has beyond the seeds.
    """
    if pair.folds is not None:
        return min(found.v_both, found.v_seed) * len(pair.replicates.names) / pair.folds.count
    if not found.has_cases or found.matched_se is None:
        return found.v_case
    return max(found.v_case, found.matched_se**2 - max(found.v_seed, found.v_both))


def detectable(se: float, df: float, level: float) -> float:
    """Smallest true gain that a two-sided test finds with 80 % power; NaN without a standard error, or out of reach."""
    if not (np.isfinite(se) and se > 0):
        return float("nan")
    return se * _detectable_in_se(float(df), level)


@lru_cache(2**14)
def _detectable_in_se(df: float, level: float) -> float:
    """The same in standard errors: thousands of tasks with as many seeds share it."""

    def lacking(shift: float) -> float:
        return float(power(np.array([shift]), np.array([1.0]), np.array([df]), level)[0]) - WANTED

    return float(optimize.brentq(lacking, 0.0, _FARTHEST)) if lacking(_FARTHEST) > 0 else float("nan")


def hours_per_seed(study: StudyTables, contrast: Contrast, fraction: float) -> float:
    """Worker hours of one seed of both aggregations and of what they start from, mean over seeds; a run that serves
    several counts once.

    Seeds that one aggregation lacks are left out. NaN without the table `runs` or such a seed.
    """
    if study.runs is None:
        return float("nan")
    runs = study.runs[study.runs["fraction"] == fraction]
    rows = runs[runs["aggregation"].isin([contrast.joint, contrast.base])]
    rows = rows[rows.groupby("seed")["aggregation"].transform("nunique") == 2]
    rows = pd.concat([rows, runs[runs["run"].isin(set(rows["start"]) - {""})]])
    return float(rows.drop_duplicates("run").groupby("seed")["seconds"].sum().mean()) / 3600


def plan_sentence(plans: pd.DataFrame) -> str:
    """The frame `power` in words, a sentence per contrast; empty where there is no task to plan for."""
    planned = plans[plans["limit"] != SAME_MODEL]
    return " ".join(_sentence(str(name), rows) for name, rows in planned.groupby("contrast", sort=False))


def _sentence(contrast: str, rows: pd.DataFrame) -> str:
    total = len(rows)
    if (rows["limit"] == ONE_SEED).all():
        return f"{contrast}: one seed shows no scatter between seeds; train at least one more to plan."
    needed = rows["seeds_to_detect"].astype(float)
    parts = [f"the seeds at hand will do for {int((rows['limit'] == '').sum())} of {total} tasks"]
    more = needed[(rows["limit"] == MORE_SEEDS) & needed.notna()]
    if len(more):
        hours = rows.loc[more.index, "hours"].astype(float).max()
        cost = f", {hours:.1f} worker hours more" if np.isfinite(hours) else ""
        parts.append(f"{more.max():.0f} seeds would do for {len(more)} more{cost}")
    beyond = int(((rows["limit"] == MORE_SEEDS) & needed.isna()).sum())
    if beyond:
        parts.append(f"{beyond} need more than {MOST_SEEDS} seeds")
    cases = int((rows["limit"] == MORE_CASES).sum())
    if cases:
        parts.append(f"{cases} need more test cases, whatever the seeds")
    nothing = int((rows["limit"] == LEARNED_NOTHING).sum())
    if nothing:
        parts.append(f"in {nothing} neither model's mean is above the floor")
    unknown = total - int(rows["limit"].isin(["", MORE_SEEDS, MORE_CASES, LEARNED_NOTHING]).sum())
    if unknown:
        parts.append(f"for {unknown} nothing can be said")
    asked = f"to tell the margin from no difference with {100 * WANTED:g} % power, corrected as the verdicts are"
    return f"{contrast}, {asked}: {'; '.join(parts)}."
