"""What moves all tasks of a mean together: the seed of a joint model, and test subjects that serve several tasks.

The scatter of gains over tasks does not show it, so a mean over tasks needs it beside that scatter.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.gains import PairedGain
from analysis.statistics.combined_variance import VariancePart
from analysis.statistics.uncertainty import case_variances, differ, satterthwaite


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


@dataclass(frozen=True, eq=False)
class CasesOfTasks:
    """What resampled test subjects say of T tasks: `covariance` (K x K) of the K that can be resampled, `variances` and
    `dfs` of all, these first, and how many different `people` they have, 0 where that is not known."""

    covariance: np.ndarray
    variances: np.ndarray
    dfs: np.ndarray
    people: int

    @property
    def of_mean(self) -> VariancePart:
        """Variance of the mean over the T tasks, and its degrees of freedom."""
        unknown = self.variances[len(self.covariance) :].sum()
        return max(0.0, float(self.covariance.sum() + unknown)) / len(self.variances) ** 2, self._df

    @property
    def in_common(self) -> VariancePart:
        """Variance that subjects in common add to that of the mean of independent tasks, and its degrees of freedom;
        tasks that cannot be resampled are taken to have them in common as the others do."""
        tasks = len(self.covariance)
        if tasks < 2:
            return 0.0, self._df
        return max(0.0, float(self.covariance.sum() - np.trace(self.covariance))) / (tasks * (tasks - 1)), self._df

    @property
    def _df(self) -> float:
        """Those of the tasks' own variances (Satterthwaite 1946), but no more than there are people."""
        own = satterthwaite(self.variances, self.dfs)
        return max(1.0, min(own, self.people - 1.0) if self.people else own)


def cases_of_tasks(
    draws: Sequence[np.ndarray | None], subjects: Sequence[int], names: Sequence[frozenset[str]]
) -> CasesOfTasks | None:
    """What the resamples of T tasks say (B values each, NaN where undefined), each of `subjects`, who are `names`.

    Variances are of n and not of n - 1 subjects, from the resamples in which a task is defined, covariances from those
    in which both are. A task that cannot be resampled, for want of draws or of a second subject, gets the largest
    variance of the others, by subject where it has any: its test cases are uncertain, too. None where no task can be.
    """
    known = [
        k
        for k, (drawn, count) in enumerate(zip(draws, subjects, strict=True))
        if drawn is not None and count > 1 and np.isfinite(drawn).sum() > 1
    ]
    if not known:
        return None
    sizes = np.array([subjects[k] for k in known], float)
    columns = np.column_stack([drawn for k in known if (drawn := draws[k]) is not None])
    covariance = _covariance(columns) * np.sqrt(np.outer(sizes, sizes) / np.outer(sizes - 1, sizes - 1))
    own = np.diag(covariance)
    of_others, df_of_others = list[float](), list[float]()
    for count in (subjects[k] for k in range(len(draws)) if k not in known):
        noisiest = int((own * sizes if count else own).argmax())
        of_others.append(float(own[noisiest] * (sizes[noisiest] / count if count else 1.0)))
        df_of_others.append(float(sizes[noisiest] - 1))
    people = frozenset[str]().union(*names) if all(names[k] for k in known) else frozenset()
    return CasesOfTasks(covariance, np.append(own, of_others), np.append(sizes - 1, df_of_others), len(people))


def _covariance(columns: np.ndarray) -> np.ndarray:
    """Of B x K values, each two columns over the rows in which both are defined; 0 where that are fewer than two."""
    defined = np.isfinite(columns).astype(float)
    away = np.where(defined > 0, columns - np.nanmean(columns, axis=0), 0.0)
    return away.T @ away / np.maximum(defined.T @ defined - 1, 1.0)


def case_parts(pairs: Sequence[PairedGain]) -> CasesOfTasks | None:
    """What the resamples say of gains, mean over each task's seeds.

    None where no task can be resampled, or where folds rotate, whose scatter holds the cases.
    """
    if rotating(pairs):
        return None
    draws = [None if pair.draws is None else pair.draws.mean(1) for pair in pairs]
    return cases_of_tasks(draws, [pair.effective_subjects for pair in pairs], [pair.telling_names for pair in pairs])


def both_variance(pairs: Sequence[PairedGain]) -> float:
    """Variance of the mean over tasks by what seeds and cases do together, which both of their variances hold."""
    total = 0.0
    for pair in pairs:
        if pair.draws is not None and len(pair.seeds) > 1 and pair.effective_subjects > 1:
            of_mean, of_seeds = case_variances(pair.draws, pair.effective_subjects)
            if np.isfinite(of_mean):
                total += (of_seeds - of_mean) / (len(pair.seeds) - 1)
    return max(0.0, total) / len(pairs) ** 2


def rotating(pairs: Sequence[PairedGain]) -> bool:
    """Whether the test folds of a study rotate: what moves tasks together is then in the scatter over folds."""
    return any(pair.folds is not None for pair in pairs)
