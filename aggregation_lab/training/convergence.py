"""Does validation still improve? An under-trained TS baseline fakes positive transfer.

`still_improving` judges a run that has ended at its budget; `rise` and `allowance` say whether one that can go on
should.
"""

from collections.abc import Sequence
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
