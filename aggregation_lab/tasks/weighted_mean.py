"""The mean of a quantity over many resamples at once: what the weighted metrics of most types are made of."""

import numpy as np


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means of A x N values under B x N weights, in the precision of these: B x A. NaN for a resample without cases."""
    total = weights.sum(1, dtype=np.float64)[:, None]
    # One constant per arm is taken out first: products in the weights' float32 then lose nothing that matters.
    centre = values.mean(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return centre.T + (weights @ (values - centre).astype(weights.dtype).T) / np.where(total > 0, total, np.nan)
