"""Few values of few tasks as a linear model whose coefficients are shrunk as far as the values ask for.

    y_i = a + x_i beta + u_task(i) + d_i + s_set(i) + e_i

`x` are standardised features, `u` is what a task has in common in all its values, `d` and `s` are what no feature
explains, of a single value and of all values of a set, `e` is the error of measurement, whose variance is known. All
are normal about 0: beta with sd tau, u with sd omega, d and s with sd delta each (ridge regression is the limit
without u; Hoerl and Kennard 1970; partial pooling: Gelman and Hill 2006). A dozen
values cannot tell tau, omega and delta, so nothing rests on one choice of them: they take the values of a grid, each
weighed by the likelihood of the values given it (a flat prior on the grid).

What the model would predict without some values needs no new fit (Rasmussen and Williams 2006, 5.4.2): with the
covariance K of the values, A = K^-1 and v = A y, values g left out are predicted by y_g - (A_gg)^-1 v_g with covariance
(A_gg)^-1, and the others alone have v - A_:g (A_gg)^-1 v_g in the place of v. The weights of the grid are those of the
others alone, too.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_TAU, _OMEGA, _DELTA = (0.1, 0.4, 1.2), (0.1, 0.5, 1.0), (0.1, 0.35, 0.7, 1.2)
"""Grid of the standard deviations, in units of the root mean square of y."""

_INTERCEPT = 2.0
"""Standard deviation of the intercept, in the same units."""

_LEAST = 1e-6
"""Smallest such unit: values that are all 0 have no scatter to scale by."""


@dataclass(frozen=True, eq=False)
class Coefficients:
    """The expected coefficients: `beta` (P), `task` (T), and `value` (N), the parts d + s of each value."""

    intercept: float
    beta: np.ndarray
    task: np.ndarray
    value: np.ndarray


@dataclass(frozen=True, eq=False)
class PooledModel:
    """`y` (N) with features `x` (N x P), the numbers `task` (N) of tasks, out of `tasks`, and `set` (N) of sets, and
    variances `noise` (N)."""

    y: np.ndarray
    x: np.ndarray
    task: np.ndarray
    set: np.ndarray
    noise: np.ndarray
    tasks: int

    @cached_property
    def _sds(self) -> np.ndarray:
        """Standard deviations of intercept, beta, u, and of d and s: H x 4."""
        unit = max(float(np.sqrt(np.mean(self.y**2))), _LEAST)
        tau = _TAU if self.x.shape[1] else _TAU[:1]
        return unit * np.array([(_INTERCEPT, t, o, d) for t in tau for o in _OMEGA for d in _DELTA])

    @cached_property
    def _inverse(self) -> np.ndarray:
        """A of every point of the grid: H x N x N."""
        same_task = (self.task[:, None] == self.task).astype(float)
        parts = np.stack([np.ones_like(same_task), self.x @ self.x.T, same_task, self._own])
        return np.linalg.inv(np.tensordot(self._sds**2, parts, 1) + np.diag(self.noise))

    @cached_property
    def _own(self) -> np.ndarray:
        """Covariance of the parts d + s of the values, in units of delta squared."""
        return np.eye(len(self.y)) + (self.set[:, None] == self.set)

    @cached_property
    def _log_likelihood(self) -> np.ndarray:
        """Of all values at every point of the grid (H), but for a constant."""
        return (np.linalg.slogdet(self._inverse)[1] - self._scaled @ self.y) / 2

    @cached_property
    def coefficients(self) -> Coefficients:
        """Expected from all values."""
        return self._expected(self._scaled, _weights(self._log_likelihood))

    def left_out(self, groups: np.ndarray) -> np.ndarray:
        """Every value (N) as a model predicts it that has not seen its group; `groups` (N) has the number of each."""
        predicted = np.empty(len(self.y))
        for group in np.unique(groups):
            out, error, weights = self._without(groups == group)
            predicted[out] = self.y[out] - weights @ error
        return predicted

    def without(self, out: np.ndarray) -> Coefficients:
        """Expected without the values that are true in `out` (N)."""
        at, error, weights = self._without(out)
        others = self._scaled - np.einsum("hij,hj->hi", self._inverse[:, :, at], error)
        others[:, at] = 0.0
        return self._expected(others, weights)

    def _without(self, out: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where values are left out, by how much (H each) the others miss them, and the weights of the grid."""
        at = np.flatnonzero(out)
        block, own = self._inverse[:, at[:, None], at], self._scaled[:, at]
        error = np.linalg.solve(block, own[..., None])[..., 0]
        likelihood = self._log_likelihood - (np.linalg.slogdet(block)[1] - (error * own).sum(1)) / 2
        return at, error, _weights(likelihood)

    @cached_property
    def _scaled(self) -> np.ndarray:
        """v = A y of every point of the grid: H x N."""
        return self._inverse @ self.y

    def _expected(self, v: np.ndarray, weights: np.ndarray) -> Coefficients:
        of_task = np.zeros((self.tasks, len(self.y)))
        of_task[self.task, np.arange(len(self.y))] = 1.0
        scaled = weights[:, None] * self._sds**2
        by_part = scaled.T @ v  # 4 x N: what a value adds to intercept, beta, u and d
        return Coefficients(float(by_part[0].sum()), by_part[1] @ self.x, of_task @ by_part[2], self._own @ by_part[3])

    def predict(self, fitted: Coefficients, x: np.ndarray, task: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Expected y at M points; `value` (M) says which of the values a point is, -1 where none."""
        own = np.where(value >= 0, np.append(fitted.value, 0.0)[value], 0.0)
        return fitted.intercept + x @ fitted.beta + fitted.task[task] + own

    def draw(
        self, x: np.ndarray, task: np.ndarray, set_: np.ndarray, value: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """Draws (B x M) of what y without error of measurement may be at M different points, all of them at once.

        `set_` (M) numbers the sets of the points, from 0; that a set was measured is told by `value`.

        Made from the prior and moved by what the values say (Matheron's rule; Wilson et al. 2021).
        """
        random, size = np.random.default_rng(seed), len(self.y)
        counts = random.multinomial(draws, _weights(self._log_likelihood))
        drawn = []
        for inverse, (alpha, tau, omega, delta), count in zip(self._inverse, self._sds, counts, strict=True):
            a, beta = random.normal(0, alpha, (count, 1)), random.normal(0, tau, (count, self.x.shape[1]))
            u, s = random.normal(0, omega, (count, self.tasks)), random.normal(0, delta, (count, self.set.max() + 1))
            d = s[:, self.set] + random.normal(0, delta, (count, size))
            seen = a + beta @ self.x.T + u[:, self.task] + d + random.normal(0, np.sqrt(self.noise), (count, size))
            v = (self.y - seen) @ inverse
            moved_u = omega**2 * np.stack([v[:, self.task == k].sum(1) for k in range(self.tasks)], axis=1)
            intercept = a + alpha**2 * v.sum(1, keepdims=True)
            own = random.normal(0, delta, (count, set_.max() + 1))[:, set_] + random.normal(0, delta, (count, len(x)))
            known = value >= 0
            own[:, known] = (d + delta**2 * v @ self._own)[:, value[known]]
            drawn.append(intercept + (beta + tau**2 * v @ self.x) @ x.T + (u + moved_u)[:, task] + own)
        return random.permutation(np.concatenate(drawn))


def _weights(log_likelihood: np.ndarray) -> np.ndarray:
    likelihood = np.exp(log_likelihood - log_likelihood.max())
    return likelihood / likelihood.sum()
