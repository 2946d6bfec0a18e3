"""Was validation still improving at the end? An under-trained TS baseline fakes positive transfer."""

from collections.abc import Sequence

import numpy as np

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
