"""Boxes whose four numbers mean something else than their field says: the evidence, and what to do."""

from collections.abc import Mapping, Sequence

import numpy as np

from aggregation_lab.errors import DataError
from aggregation_lab.text import printable

INVERTED = "a box is inverted: its x_max or y_max lies before x_min or y_min"
"""Of a single box a slip; of many the sign of another form. Part of the reason for which its image is left out."""

_SEVERAL = 0.05
"""Where a larger share of the images have an inverted box, the boxes that are not are not to be trusted, either."""
_REMEDY = (
    "of a table, say what they are, as in --columns x_min=x,y_min=y,width=w,height=h (or x_center=x,y_center=y), or "
    "call the ends of a line point_1_x, point_1_y, ...; else correct the boxes"
)
_NEARLY_ALL = 0.9
_CLOSE = 0.01
"""Two areas, or two sides, are one where they differ by at most this share, or by a pixel's rounding."""


def are_inverted(inverted: int, of: int) -> bool:
    """Whether so many of some boxes are inverted as two corners that all of them may be in another form."""
    return inverted >= max(2, _SEVERAL * of)


def check_inverted(reasons: Mapping[str, Sequence[str]], images: int, source: str) -> None:
    """Raise `DataError` where so many of a task's `images` are left out for an inverted box, as `reasons` (with the
    images of each) say, that all boxes seem to be in another form: the others mark another place, then."""
    names = [name for reason, some in reasons.items() if INVERTED in reason for name in some]
    if are_inverted(len(names), images):
        said = f"{len(names)} of {images} images have boxes that are inverted as two corners"
        cause = "as x, y, width, height, a centre with width and height, or the ends of a line are"
        raise DataError(f"{source}: {said} (first {printable(names[0], 80)}), {cause}, so none is taken; {_REMEDY}")


def mean_corners(
    boxes: Sequence[Sequence[float]], areas: Sequence[float | None], bounds: Sequence[Sequence[float] | None]
) -> bool:
    """Whether boxes that should be x, y, width, height are x_min, y_min, x_max, y_max by what stands beside them.

    `boxes` N x 4 in pixels, `areas` N in square pixels, `bounds` N x (x_min, y_min, x_max, y_max) of the polygons; None
    where nothing is said. It is sure where nearly all of them fit the corners and not the sides; one may be chance.
    """
    told = [each for each in zip(boxes, areas, bounds, strict=True) if each[1] or each[2]]
    corners = sum(
        _fits(box, area, bound, sized=False) and not _fits(box, area, bound, sized=True) for box, area, bound in told
    )
    return corners >= max(2, _NEARLY_ALL * len(told))


def beyond_as_sides(boxes: Sequence[Sequence[float]], images: Sequence[tuple[int, int]]) -> list[int]:
    """The places of boxes that reach beyond their images (width, height) as x, y, width, height, where all of them lie
    in these as x_min, y_min, x_max, y_max: nothing else tells which they are. Empty where some do not."""
    values, sides = np.reshape(boxes, (-1, 2, 2)), np.reshape(images, (-1, 2)) + 1  # a pixel's rounding
    first, second = values[:, 0], values[:, 1]
    if not ((second > first) & (first >= 0) & (second <= sides)).all():
        return []
    return np.flatnonzero((first + second > sides).any(1)).tolist()


def _fits(box: Sequence[float], area: float | None, bounds: Sequence[float] | None, *, sized: bool) -> bool:
    """Whether a box with sides, or with a second corner, has this area or these bounds."""
    x, y, third, fourth = box
    width, height = (third, fourth) if sized else (third - x, fourth - y)
    if width <= 0 or height <= 0:
        return False
    corners = (x, y, x + width, y + height)
    return bool(
        (area is not None and np.isclose(width * height, area, rtol=_CLOSE, atol=1))
        or (bounds is not None and np.allclose(corners, bounds, rtol=_CLOSE, atol=1))
    )
