"""Boxes and points of the case table as shares of their image's sides: what models and the floor predict."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def sides(cases: "pd.DataFrame") -> np.ndarray:
    """Width and height of each case's original image in pixels: N x 2."""
    return cases[["width", "height"]].to_numpy(float)


def boxes_in_sides(cases: "pd.DataFrame") -> np.ndarray:
    """N x 4 boxes (x_min, y_min, x_max, y_max) in [0, 1]."""
    return np.array(cases["box"].tolist(), float).reshape(-1, 4) / np.tile(sides(cases), 2)


def points_in_sides(cases: "pd.DataFrame") -> np.ndarray:
    """N x P x 2 points (x, y) in [0, 1]."""
    return np.array(cases["points"].tolist(), float).reshape(len(cases), -1, 2) / sides(cases)[:, None]
