"""How far a box, a polygon or a point reaches beyond its image: a slip of the hand, or another image's coordinates."""

from collections.abc import Mapping, Sequence

import numpy as np

from aggregation_lab.errors import DataError
from aggregation_lab.text import printable

FAR = 0.1
"""What reaches beyond an edge by a larger share of the image's side was drawn elsewhere, or is wrong; a hand that slips
over the edge, or a box that a program widened, stays below it."""

LARGER = "as what was drawn on a larger image does; scale it to this image, or give the image that it was drawn on"
"""The likely cause of coordinates far beyond the right or lower edge, and what to do."""

_OTHER_IMAGES = 0.1
"""Where more of a task's images have targets far beyond them, those that lie inside are not to be trusted, either."""


def is_for_larger(corners: Sequence[tuple[float, float]], width: int, height: int) -> bool:
    """Whether a corner (x, y) in pixels lies far beyond the right or the lower edge of an image of width x height."""
    sides = np.array([width, height], float)
    return bool((np.asarray(corners, float).reshape(-1, 2) > sides * (1 + FAR) + _slack(sides)).any())


def check_reach(what: str, corners: Sequence[tuple[float, float]], width: int, height: int) -> None:
    """Raise `ValueError`, with the likely cause, where `what` has a corner far beyond an edge of its image."""
    sides = np.array([width, height], float)
    if is_for_larger(corners, width, height):
        raise ValueError(f"{what} reaches far beyond the right or lower edge of its image, {LARGER}")
    if (np.asarray(corners, float).reshape(-1, 2) < -sides * FAR - _slack(sides)).any():
        raise ValueError(f"{what} reaches far beyond the left or upper edge of its image; correct it")


def check_scale(reasons: Mapping[str, Sequence[str]], images: int, source: str) -> None:
    """Raise `DataError` where so many of a task's `images` are left out for targets of a larger image, as `reasons`
    (with the images of each) say, that all seem to be made for another size: the others mark another place, then."""
    far = [name for reason, names in reasons.items() if LARGER in reason for name in names]
    if len(far) > max(1, _OTHER_IMAGES * images):
        said = f"{len(far)} of {images} images have targets far beyond their right or lower edge"
        advice = "scale all of them to the images, or give the images that they were drawn on"
        first = printable(far[0], 80)
        raise DataError(
            f"{source}: {said} (first {first}), as annotations of larger images do, so none is taken; {advice}"
        )


def _slack(sides: np.ndarray) -> float:
    """The rounding of coordinates that were shares of the sides."""
    return 1e-6 * float(sides.max())
