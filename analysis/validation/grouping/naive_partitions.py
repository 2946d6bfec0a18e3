"""Partitions that take no model of gains: at random, by size, and by clusters of affinities."""

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from analysis.grouping.local_search import Units


def by_label(labels: np.ndarray) -> Units:
    """Tasks of one label together; `labels` has one for each task."""
    return tuple(sorted(tuple(np.flatnonzero(labels == name).tolist()) for name in set(labels.tolist())))


def by_size(cases: np.ndarray, units: int) -> Units:
    """As many tasks to each of `units` units as can be, those of similar numbers of `cases` together."""
    parts = np.array_split(np.argsort(cases, kind="stable"), units)
    return tuple(sorted(tuple(sorted(part.tolist())) for part in parts))


def by_clusters(signals: Sequence[np.ndarray], units: int) -> Units:
    """`units` clusters, or fewer, of the mean of some signals, T x T each, by average linkage; large values are alike.

    Signals count as they are scaled; both directions of a pair count alike.
    """
    mean = np.mean([matrix + matrix.T for matrix in signals], axis=0)
    distance = mean.max() - mean
    np.fill_diagonal(distance, 0.0)
    return by_label(fcluster(linkage(squareform(distance), "average"), units, "maxclust"))
