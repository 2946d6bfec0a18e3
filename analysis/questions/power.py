"""How many seeds a verdict needs: planning from the variances of a study at hand, or of a pilot.

With s^2 the variance of a paired gain over seeds and V_case the variance that test cases leave whatever the seeds,

    SE(S)^2 = s^2 / S + V_case,   df by Satterthwaite (1946)

and the power of the two-sided t test by `power`, at the uncorrected error rate: correction for many
tasks asks for more. To find a gain or loss of the margin, two-sided at alpha, and to exclude a loss of the margin when
there is none, one-sided at alpha / 2, the estimate has to stand out from a value one margin away: but for the far tail,
below 1e-6 here, the power is the same, and so are the seeds.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import optimize

from analysis.frames import part
from analysis.gains import Contrast, PairedGain
from analysis.questions.families import moderated, testable
from analysis.settings import Settings
from analysis.statistics.uncertainty import DECIDES, GainEstimate, satterthwaite
from analysis.statistics.verdicts import SAME_MODEL, power
from analysis.study import StudyTables

WANTED = 0.8
"""Power that counts as enough."""

MOST_SEEDS = 100
"""Seeds beyond which a task is out of reach."""

MORE_CASES, MORE_SEEDS, ONE_SEED = "test cases", "seeds", "one seed: its scatter is unknown"
NO_SCATTER, NO_MARGIN = "no scatter to plan from", "no margin in this unit"
ONE_SUBJECT = "test subjects: fewer than two can be resampled"

_FARTHEST = 1e5
"""Effect in standard errors within which the detectable one is sought."""


def power_frame(pairs: Sequence[PairedGain], hours_per_seed: float, settings: Settings) -> pd.DataFrame:
    """The frame `power` of one contrast at one fraction.

    `hours_per_seed` is what one more seed costs (NaN if unknown). Seed variances are moderated over unit-free tasks, as
    verdicts have them; a task in another unit has no margin. `limit`: nothing where the seeds at hand will do, `seeds`
    where more would, `test cases` where no number of seeds would, else why nothing can be said. Without cases their
    part is unknown and left out.
    """
    rows = []
    for pair, (found, seed_df) in zip(pairs, seed_parts(pairs), strict=True):
        row = {
            "task": pair.task,
            "type": pair.type,
            "group": pair.group,
            "margin": pair.margin,
            "seeds": len(pair.seeds),
            "hours_per_seed": hours_per_seed,
        }
        rows.append(row | _plan(pair, found, seed_df, hours_per_seed, settings.alpha))
    return part("power", rows)


def seed_parts(pairs: Sequence[PairedGain]) -> list[tuple[GainEstimate, float]]:
    """Of each pair the moderated estimate, and the degrees of freedom of its seed variance."""
    # Without a part from cases, the degrees of freedom that come back are those of the seed variance.
    alone = moderated([replace(pair, draws=None) for pair in pairs])
    return [(estimate, part.df) for estimate, part in zip(moderated(pairs), alone, strict=True)]


def _plan(
    pair: PairedGain, found: GainEstimate, seed_df: float, hours_per_seed: float, alpha: float
) -> dict[str, object]:
    """What is known and needed for one task."""
    if pair.same_model:
        return {"limit": SAME_MODEL}
    seeds, case_df = len(pair.seeds), max(1.0, pair.subjects - 1.0)
    known: dict[str, object] = {"se_cases": np.sqrt(found.v_case)} if found.has_cases else {}
    if not np.isfinite(testable(pair, found)):
        if found.basis in DECIDES:
            return {"limit": ONE_SUBJECT}
        limit = ONE_SEED if seeds < 2 else NO_SCATTER
        return known | {"detectable": detectable(found.se, case_df, alpha), "limit": limit}
    variance = found.v_seed * seeds
    prior_df = seed_df - (seeds - 1)  # what other tasks lend, which more seeds do not change
    known["sd_seed"] = np.sqrt(variance)
    se, df = standard_error(variance, found.v_case, np.array([seeds]), prior_df, case_df)
    known["detectable"] = detectable(float(se[0]), float(df[0]), alpha)
    if not se[0] > 0:
        return known | {"limit": NO_SCATTER}
    if not np.isfinite(pair.margin):
        return known | {"limit": NO_MARGIN}
    tried = np.arange(2, MOST_SEEDS + 1)
    se, df = standard_error(variance, found.v_case, tried, prior_df, case_df)
    enough = power(np.full(len(tried), pair.margin), se, df, alpha) >= WANTED
    needed = float(tried[enough.argmax()]) if enough.any() else float("nan")
    # With ever more seeds the error falls to that of the test cases, whose degrees of freedom it then has.
    at_best = power(np.array([pair.margin]), np.array([np.sqrt(found.v_case)]), np.array([case_df]), alpha)[0]
    return known | {
        "seeds_to_detect": needed,
        "seeds_to_exclude": needed,
        "hours": hours_per_seed * max(0.0, needed - seeds) if enough.any() else float("nan"),
        "limit": "" if needed <= seeds else MORE_CASES if at_best < WANTED else MORE_SEEDS,
    }


def standard_error(
    variance: float, v_case: float, seeds: np.ndarray, prior_df: float, case_df: float
) -> tuple[np.ndarray, np.ndarray]:
    """SE and its degrees of freedom with each number of seeds; `prior_df` is what other tasks lend."""
    v_seed = variance / seeds
    dfs = np.column_stack([prior_df + seeds - 1.0, np.full(len(seeds), case_df)])
    parts = np.column_stack([v_seed, np.full(len(seeds), v_case)])
    df = [satterthwaite(part, own) for part, own in zip(parts, dfs, strict=True)]
    return np.sqrt(v_seed + v_case), np.array(df)


def detectable(se: float, df: float, alpha: float) -> float:
    """Smallest true gain that a two-sided test finds with 80 % power; NaN without a standard error, or out of reach."""
    if not (np.isfinite(se) and se > 0):
        return float("nan")
    return se * _detectable_in_se(float(df), alpha)


@lru_cache(2**14)
def _detectable_in_se(df: float, alpha: float) -> float:
    """The same in standard errors: thousands of tasks with as many seeds share it."""

    def lacking(shift: float) -> float:
        return float(power(np.array([shift]), np.array([1.0]), np.array([df]), alpha)[0]) - WANTED

    return float(optimize.brentq(lacking, 0.0, _FARTHEST)) if lacking(_FARTHEST) > 0 else float("nan")


def hours_per_seed(study: StudyTables, contrast: Contrast, fraction: float) -> float:
    """Worker hours of one seed of both aggregations, mean over seeds; a run that serves both counts once.

    Seeds that one aggregation lacks are left out. NaN without the table `runs` or such a seed.
    """
    if study.runs is None:
        return float("nan")
    rows = study.runs[study.runs["fraction"] == fraction]
    rows = rows[rows["aggregation"].isin([contrast.joint, contrast.base])]
    rows = rows[rows.groupby("seed")["aggregation"].transform("nunique") == 2]
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
    unknown = total - int(rows["limit"].isin(["", MORE_SEEDS, MORE_CASES]).sum())
    if unknown:
        parts.append(f"for {unknown} nothing can be said")
    asked = (
        f"to tell the margin from no difference with {100 * WANTED:g} % power, not corrected for the number of tasks"
    )
    return f"{contrast}, {asked}: {'; '.join(parts)}."
