"""Outlines of masks as lines: what is drawn over an image hides nothing of it."""

import contourpy
import numpy as np


def outlines(mask: np.ndarray, tolerance: float) -> list[np.ndarray]:
    """The closed outlines of an H x W mask, each P x 2 as (x, y) in pixels, (0, 0) being the image's corner.

    Marching squares at one half, then simplified so that no part moves by more than `tolerance` pixels.
    """
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return []
    top, left = rows[0], columns[0]
    padded = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1).astype(float)
    lines = contourpy.contour_generator(z=padded).lines(0.5)
    corner = np.array([left - 0.5, top - 0.5])  # of the padded part, whose values are at centres of pixels
    return [simplified(np.asarray(line) + corner, tolerance) for line in lines]


def simplified(line: np.ndarray, tolerance: float) -> np.ndarray:
    """The fewest of a line's points, in their order, that leave every point within `tolerance` (Douglas and Peucker
    1973); P x 2. A closed line stays closed."""
    kept = np.zeros(len(line), bool)
    kept[[0, -1]] = True
    parts = [(0, len(line) - 1)]
    while parts:
        first, last = parts.pop()
        if last - first < 2:
            continue
        start, along = line[first], line[last] - line[first]
        inner, length = line[first + 1 : last] - start, float(np.hypot(*along))
        # from a point to itself there is no line: the distance is that from the point
        far = np.abs(inner @ [-along[1], along[0]]) / length if length else np.hypot(*inner.T)
        at = int(far.argmax())
        if far[at] > tolerance:
            middle = first + 1 + at
            kept[middle] = True
            parts += [(first, middle), (middle, last)]
    return line[kept]
