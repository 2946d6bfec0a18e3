"""Ordinary least squares with errors that are robust to clusters, for few clusters of uneven size.

    y = X beta + e,  e correlated within a cluster, independent between clusters

The plain sandwich (Liang and Zeger 1986) is too small with few clusters, and its t test with (clusters - 1) degrees of
freedom too bold. Here residuals are weighted by the inverse root of their expected covariance, and each coefficient
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
    maker = np.eye(len(y)) - x @ bread @ x.T
    cov = np.zeros_like(bread)
    spreads = []
    for name in np.unique(clusters):
        own = clusters == name
        weights = bread @ x[own].T @ _inverse_root(maker[np.ix_(own, own)])
        own_error = weights @ residual[own]
        cov += np.outer(own_error, own_error)
        spreads.append(weights @ maker[own])
    by_coefficient = np.stack(spreads, axis=1)  # P x clusters x N
    products = by_coefficient @ by_coefficient.transpose(0, 2, 1)
    df = np.trace(products, axis1=1, axis2=2) ** 2 / (products**2).sum((1, 2))
    return beta, cov, df


def _inverse_root(matrix: np.ndarray) -> np.ndarray:
    """Symmetric inverse square root; directions that the fit leaves no residual in are left out."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > 1e-10
    return (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
