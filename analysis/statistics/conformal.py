"""Intervals from the errors on what was left out: jackknife+ where groups, such as tasks, are left out whole.

Jackknife+ (Barber, Candès, Ramdas and Tibshirani, Ann. Stat. 49, 2021): with mu_-g the model without group g and R_i
the absolute error of mu_-g(i) at value i of that group, the interval of a new value at x reaches

    from the alpha quantile of mu_-g(i)(x) - R_i to the 1 - alpha quantile of mu_-g(i)(x) + R_i

Values of one group are not independent, so a group counts as one: each of its n_g values weighs 1 / n_g of the group's
1 / (G + 1), and what remains stands for the group to come, at infinity (hierarchical jackknife+; Lee, Barber and
Willett, JRSS-B 2025). It holds the value of a new group with a chance of 1 - 2 alpha at least, and of about 1 - alpha
in most cases, whatever the model. With fewer than 1 / alpha - 1 groups it is the whole line.
"""

import numpy as np


def jackknife_plus(
    predicted: np.ndarray, residuals: np.ndarray, groups: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limits (M) of new values.

    `predicted` (N x M) has for each value i what the model without its group predicts at the M places, `residuals` (N)
    the absolute errors at i, `groups` (N) the number of the group of each value.
    """
    _, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    weights = 1 / sizes[index] / (len(sizes) + 1)
    upper = _quantile(predicted + residuals[:, None], weights, level)
    return -_quantile(residuals[:, None] - predicted, weights, level), upper


def _quantile(values: np.ndarray, weights: np.ndarray, level: float) -> np.ndarray:
    """Smallest value of each column (N x M) up to which the weights add up to `level`; infinite where none do."""
    order = np.argsort(values, axis=0, kind="stable")
    enough = np.cumsum(weights[order], axis=0) >= level - 1e-9
    ordered = np.take_along_axis(values, order, axis=0)
    return np.where(enough.any(0), ordered[enough.argmax(0), np.arange(values.shape[1])], np.inf)
