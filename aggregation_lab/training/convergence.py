"""Does validation still improve? An under-trained TS baseline fakes positive transfer.

`still_improving` judges a run that has ended at its budget; `rising` says whether one that can go on should.
"""

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from aggregation_lab.config import ALLOWED_NOISE

TOLERANCE = 0.01
"""Rise of the unit-free score over the last third of the curve that counts as still improving."""


def still_improving(scores: Sequence[float], tolerance: float = TOLERANCE) -> bool:
    """Whether the best score of the last third of a validation curve beats the best before it by `tolerance`.

    Undefined scores are left out. A curve with nothing defined before its last third cannot show convergence and
    counts as still improving.
    """
    curve = np.asarray(scores, float)
    cut = len(curve) - max(1, len(curve) // 3)
    before, last = curve[:cut][~np.isnan(curve[:cut])], curve[cut:][~np.isnan(curve[cut:])]
    if not len(before) or not len(last):
        return True
    return bool(last.max() > before.max() + tolerance)


def smoothed(scores: Sequence[float]) -> np.ndarray:
    """Running median of the last three scores of a validation curve; NaN where none of them is defined.

    Few validation cases let single scores jump. A best-so-far of the raw curve would keep an early lucky jump for ever
    and hide the rise behind it, and a mean would carry it on; the median forgets it.
    """
    windows = sliding_window_view(np.concatenate([[np.nan] * 2, np.asarray(scores, float)]), 3)
    known = ~np.isnan(windows).all(axis=1)
    curve = np.full(len(windows), np.nan)
    curve[known] = np.nanmedian(windows[known], axis=1)
    return curve


def rise(steps: Sequence[int], scores: Sequence[float], share: float) -> float:
    """How much the best smoothed score of the last `share` of the steps done is above the best before.

    NaN where no score is defined, infinite where none is defined before.
    """
    curve, late = smoothed(scores), np.asarray(steps) > (1 - share) * steps[-1]
    before, last = curve[~late & ~np.isnan(curve)], curve[late & ~np.isnan(curve)]
    if not len(last):
        return float("nan")
    return float(last.max() - before.max()) if len(before) else float("inf")


def noise(scores: Sequence[float]) -> float:
    """Standard deviation of a single score about its smooth curve; 0 where fewer than three scores are defined.

    From the median absolute second difference, which a steady rise leaves at zero and an early steep one hardly moves:
    independent noise of standard deviation s gives second differences one of sqrt(6) s.
    """
    known = np.asarray(scores, float)
    known = known[~np.isnan(known)]
    if len(known) < 3:
        return 0.0
    return float(np.median(np.abs(np.diff(known, 2))) / NormalDist().inv_cdf(0.75) / np.sqrt(6))


def allowance(scores: Sequence[float], tasks: int) -> float:
    """How much the rise of one of `tasks` tasks may be noise: nothing for a task alone.

    The task that rises most decides for its unit, and of ten flat and noisy curves one nearly always seems to rise.
    """
    return ALLOWED_NOISE * float(np.log(tasks)) * noise(scores)


def rising(steps: Sequence[int], scores: Mapping[str, Sequence[float]], share: float, least: float) -> set[str]:
    """The tasks of a unit that still rise by more than `least` over the last `share` of the steps done.

    `scores` has the curve of each task, a score for each of `steps`. Of several tasks each has its allowance for noise.
    What all of them gain little by little is less than that noise and shows in their mean, which is steadier: where it
    rises by more than `least`, the tasks that do so count, too, and at least the one that rises most.
    """
    curves = {task: curve for task, curve in scores.items() if not np.isnan(curve).all()}
    rises = {task: rise(steps, curve, share) for task, curve in curves.items()}
    found = {task for task in curves if rises[task] > least + allowance(curves[task], len(curves))}
    whole = [curve for curve in curves.values() if not np.isnan(curve).any()]
    if len(whole) > 1 and rise(steps, np.mean(whole, axis=0).tolist(), share) > least:
        found |= {task for task in curves if rises[task] > least} or {max(rises, key=lambda task: rises[task])}
    return found
