"""What moves all tasks of a mean together: the seed of a joint model, and test subjects that serve several tasks.

The scatter of gains over tasks does not show it, so a mean over tasks needs it beside that scatter.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from analysis.gains import PairedGain
from analysis.statistics.uncertainty import case_variances, differ


def seed_covariance(values: Sequence[np.ndarray], seeds: Sequence[Sequence[int]]) -> tuple[np.ndarray, float]:
    """Covariance (K x K) of the mean over T tasks that comes from seeds, and its degrees of freedom.

    `values` has one array of seeds x K per task. Seeds stay whole, as one joint model serves many tasks: the mean's
    residuals are summed over tasks seed by seed, clusters of the seeds within tasks (in a table without gaps this is
    the variance over seeds of the mean over tasks, divided by their number). A task with a single seed, or copies of
    one, of which nothing is known, scatters as the others do on average. NaN where no task has two that differ.
    """
    several = [differ(own, 1.0) for own in values]
    size = values[0].shape[1] if len(values) else 1
    if not any(several):
        return np.full((size, size), np.nan), 1.0
    residual: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(size))
    weight: dict[int, float] = defaultdict(float)
    known: dict[int, float] = defaultdict(float)
    for own, names, tells in zip(values, seeds, several, strict=True):
        count = len(own)
        for seed, away in zip(names, own - own.mean(0), strict=True):
            weight[seed] += 1 / (count * len(values))
            if tells:
                known[seed] += 1 / (count * len(values))
                residual[seed] += np.sqrt(count / (count - 1)) / (count * len(values)) * away
    clusters = np.stack(list(residual.values()))
    cov = clusters.T @ clusters * (_squares(weight) / _squares(known))
    scatter = np.mean(
        [np.atleast_2d(np.cov(own.T)) for own, tells in zip(values, several, strict=True) if tells], axis=0
    )
    cov = cov + several.count(False) / len(values) ** 2 * scatter
    # Tasks with one pair spread over many seeds, and lend no degree of freedom to what others tell.
    most = sum(len(own) - 1 for own, tells in zip(values, several, strict=True) if tells)
    return cov, max(1.0, min(1 / _squares(weight) - 1, sum(known.values()) ** 2 / _squares(known) - 1, most))


def _squares(weights: dict[int, float]) -> float:
    return sum(weight**2 for weight in weights.values())


def case_draws(pairs: Sequence[PairedGain]) -> np.ndarray | None:
    """Gains on resampled subjects, mean over each task's seeds (B x T), about their means.

    Scaled so that their variance is that of n and not n - 1 subjects. None where a task has no resamples.
    """
    if not pairs or any(pair.draws is None or pair.subjects < 2 for pair in pairs):
        return None
    drawn = np.column_stack([pair.draws.mean(1) for pair in pairs if pair.draws is not None])
    drawn = drawn[np.isfinite(drawn).all(1)]
    factor = np.sqrt([pair.subjects / (pair.subjects - 1) for pair in pairs])
    return (drawn - drawn.mean(0)) * factor if len(drawn) > 1 else None


def shared_cases(draws: np.ndarray) -> float:
    """Variance of the mean over tasks (B x T draws) that test subjects in common add to that of independent tasks."""
    tasks = draws.shape[1]
    if tasks < 2:
        return 0.0
    lacking = draws.mean(1).var(ddof=1) - draws.var(0, ddof=1).sum() / tasks**2
    return max(0.0, float(lacking)) * tasks / (tasks - 1)


def both_variance(pairs: Sequence[PairedGain]) -> float:
    """Variance of the mean over tasks by what seeds and cases do together, which both of their variances hold."""
    total = 0.0
    for pair in pairs:
        if pair.draws is not None and len(pair.seeds) > 1 and pair.subjects > 1:
            of_mean, of_seeds = case_variances(pair.draws, pair.subjects)
            total += (of_seeds - of_mean) / (len(pair.seeds) - 1)
    return max(0.0, total) / len(pairs) ** 2 if np.isfinite(total) else 0.0
