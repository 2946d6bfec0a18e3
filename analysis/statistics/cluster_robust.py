"""Ordinary least squares with errors that are robust to clusters, for few clusters of uneven size.

    y = X beta + e,  e correlated within a cluster, independent between clusters

The plain sandwich (Liang and Zeger 1986) is too small with few clusters, and its t test with (clusters - 1) degrees of
freedom too liberal. Here residuals are weighted by the inverse root of their expected covariance, and each coefficient
gets the degrees of freedom of its own variance: CR2 of Bell and McCaffrey (2002, Survey Methodology 28) in the form of
Pustejovsky and Tipton (2018, JBES 36). statsmodels has neither.
"""

import numpy as np


def clustered_fit(y: np.ndarray, x: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients (P), their covariance (P x P) and the degrees of freedom of each variance (P).

    `y` has N values, `x` is N x P and of full rank, `clusters` names the cluster of each value. With every value its
    own cluster the covariance is that of HC2. Raises numpy.linalg.LinAlgError where the columns of `x` are dependent.
    """
    bread = np.linalg.inv(x.T @ x)
    beta = bread @ (x.T @ y)
    residual = y - x @ beta
    order = np.argsort(clusters, kind="stable")
    starts = np.flatnonzero(np.r_[True, clusters[order][1:] != clusters[order][:-1]])
    members = np.split(order, starts[1:])  # the rows of each cluster
    weights = [_weights(x[rows], bread) for rows in members]  # P x rows of the cluster
    errors = np.array([weight @ residual[rows] for weight, rows in zip(weights, members, strict=True)])
    cov = errors.T @ errors
    # Variance (c, d) of clusters' errors if the rest is white: a diagonal part, less what the fit shares.
    lengths = np.array([(weight**2).sum(1) for weight in weights])  # clusters x P
    shared = np.array([weight @ x[rows] for weight, rows in zip(weights, members, strict=True)])
    df = np.array([_degrees(lengths[:, column], shared[:, column], bread) for column in range(x.shape[1])])
    return beta, cov, df


def _degrees(lengths: np.ndarray, shared: np.ndarray, bread: np.ndarray) -> float:
    """Satterthwaite's: squared trace over sum of squares of diag(lengths) - shared bread shared'."""
    both = shared.T @ shared @ bread
    diagonal = np.einsum("cp,pq,cq->c", shared, bread, shared)
    trace = float((lengths - diagonal).sum())
    return trace**2 / float((lengths**2).sum() - 2 * (lengths * diagonal).sum() + np.trace(both @ both))


def _weights(x: np.ndarray, bread: np.ndarray) -> np.ndarray:
    """bread x' (I - x bread x')^-1/2 of one cluster; directions that the fit leaves no residual in are left out.

    The root differs from I in the directions of x only, so that no matrix of the cluster's size is needed.
    """
    vectors, values, _ = np.linalg.svd(x @ np.linalg.cholesky(bread), full_matrices=False)
    left = 1 - values**2
    kept = left > 1e-10
    factors = np.where(kept, 1 / np.sqrt(np.where(kept, left, 1.0)), 0.0) - 1
    plain = bread @ x.T
    return plain + (plain @ vectors * factors) @ vectors.T
