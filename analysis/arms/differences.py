"""Differences of gains: what another arm does to the gain of the same task, fraction, seed and test cases.

    D = (AU - TS in one arm) - (AU - TS in the base arm)

The four scores of a seed share its start, its training data and its test cases, so D is formed seed by seed, and on
resampled subjects resample by resample, and only then are variances taken. A `PairedGain` holds it, and everything that
is computed of gains is computed of it in the same way.

Arms may share runs: with one task in a unit there are no gradients to aggregate, so that TS is the same run whichever
way they are. A run that is added and subtracted cancels. Where all four cancel the difference is 0 by construction and
tells nothing; where it is so of some seeds, these are left out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from analysis.gains import PairedGain, rarest_class_of

Left = Counter[tuple[str, tuple[int, int]]]
"""How often each run is added (positive) or subtracted; a score without a run is known by where it stands."""


def runs_apart(later: PairedGain, earlier: PairedGain, seed: int) -> Left:
    """The runs of one seed that do not cancel. Scores that name no run never do."""
    count: Left = Counter()
    for gain, sign in ((later, 1), (earlier, -1)):
        at = gain.seeds.index(seed)
        for runs, side in ((gain.joint_runs, sign), (gain.base_runs, -sign)):
            run = str(runs[at])
            count[run, (0, 0) if run else (sign, side)] += side
    return Counter({run: times for run, times in count.items() if times})


def difference(later: PairedGain, earlier: PairedGain) -> PairedGain | None:
    """The gain in one arm minus the gain in another, paired by seed; None where no seed is in both.

    `joint_scores` and `base_scores` are the two gains; `joint_runs` and `base_runs` name the runs that are added and
    those that are subtracted, without those that cancel. `same_model`: nothing is left of any seed.
    """
    seeds = sorted(set(later.seeds) & set(earlier.seeds))
    if not seeds:
        return None
    left = {seed: runs_apart(later, earlier, seed) for seed in seeds}
    same_model = not any(left.values())
    used = seeds if same_model else [seed for seed in seeds if left[seed]]
    first, second = later.seed_index(used), earlier.seed_index(used)
    joint, base = later.by_seed[first], earlier.by_seed[second]
    draws = None
    if later.draws is not None and earlier.draws is not None:
        draws = later.draws[:, first] - earlier.draws[:, second]
    return replace(
        later,
        seeds=tuple(used),
        joint_scores=joint,
        base_scores=base,
        joint_runs=_named(left, used, 1),
        base_runs=_named(left, used, -1),
        by_seed=joint - base,
        draws=draws,
        subjects=min(later.subjects, earlier.subjects),
        rarest_class=rarest_class_of([later, earlier]),
        same_model=same_model,
        unpaired=len(later.seeds) + len(earlier.seeds) - 2 * len(used),
        size=max(later.size, earlier.size),
        joint_improving=_either(later.joint_improving, earlier.joint_improving),
        base_improving=_either(later.base_improving, earlier.base_improving),
        joint_above_floor=_either(later.joint_above_floor, earlier.joint_above_floor),
        base_above_floor=_either(later.base_above_floor, earlier.base_above_floor),
        runs_apart=max(sum(map(abs, runs.values())) for runs in left.values()),
    )


def _named(left: Mapping[int, Left], seeds: Sequence[int], sign: int) -> np.ndarray:
    """Runs with this sign, of each seed, joined by +; empty where a source names no runs."""
    named = [[run for (run, _), times in sorted(left[seed].items()) if run and times * sign > 0] for seed in seeds]
    return np.array(["+".join(runs) for runs in named], object)


def _either(first: bool | None, second: bool | None) -> bool | None:
    """Whether one of two facts is known to hold; None where neither is known."""
    known = [fact for fact in (first, second) if fact is not None]
    return any(known) if known else None
