"""Rotating folds: whether intervals from the scatter over folds hold, and how much narrower than one split's they are.

Truth is the gain on fresh cases with fresh training data of the same size (`fold_learner`): what a reader means by "is
joint training better for this task". One split of equal compute is analysed beside it: as many seeds, training and
test sets as large as a fold's; and the width of the default split, 70 : 15 : 15.
"""

import numpy as np
from scipy import stats

from analysis.gains import PairedGain
from analysis.pairing import pair_all
from analysis.questions.families import moderated
from analysis.questions.means import these_tasks
from analysis.validation.design import Design
from analysis.validation.fold_learner import train_folds, train_split
from analysis.validation.scenario import CONTRAST, DRAWS, Scenario, share, true_gains
from analysis.validation.simulate import Simulated

STUDY = Design(tasks=4, seeds=5, folds=5, subjects=150, levels={"AU": 0.0})
"""Four tasks of one type, each with a relative; five folds of 30 test subjects."""


def count_folds(simulated: Simulated, seed: int) -> dict[str, float]:
    """Coverage of tasks and of their mean, with folds and with one split; half widths of folds over one split's."""
    design = simulated.design
    fold = 1 / design.folds
    studies = (simulated, train_split(design, seed, (1 - 2 * fold, fold)), train_split(design, seed, (0.7, 0.15)))
    folds, split, default = (_pairs(study, seed) for study in studies)
    truth = true_gains(simulated, folds, 1.0)
    inside, half = _intervals(simulated, folds)
    inside_split, half_split = _intervals(simulated, split)
    _, half_default = _intervals(simulated, default)
    _, low, high, _ = these_tasks(folds)
    return {
        "coverage": share(inside),
        "coverage_these": float(low <= truth.mean() <= high),
        "coverage_nadeau_bengio": share(_corrected(folds, truth, design.folds)),
        "coverage_split": share(inside_split),
        "half_width": half,
        "half_width_split": half_split,
        "half_width_default": half_default,
    }


def _pairs(simulated: Simulated, seed: int) -> list[PairedGain]:
    return pair_all(simulated.scores(DRAWS, seed), CONTRAST, 1.0)


def _intervals(simulated: Simulated, pairs: list[PairedGain]) -> tuple[np.ndarray, float]:
    """Whether each task's 95 % interval holds its true gain, and half the width of the median one.

    A task whose few test subjects are of one class has no AUC and is left out.
    """
    truth = true_gains(simulated, pairs, 1.0)
    limits = np.array([estimate.interval() for estimate in moderated(pairs)]).reshape(-1, 2)
    half = np.diff(limits)[:, 0] / 2
    return (limits[:, 0] <= truth) & (truth <= limits[:, 1]), float(np.median(half)) if len(half) else np.nan


def _corrected(pairs: list[PairedGain], truth: np.ndarray, folds: int) -> np.ndarray:
    """The same of Nadeau and Bengio's (2003) corrected t: the variance over folds times 1 / R + n_test / n_train."""
    inside = []
    for pair, gain in zip(pairs, truth, strict=True):
        values = pair.replicates.values
        se = np.sqrt(values.var(ddof=1) * (1 / len(values) + 1 / (folds - 2)))
        inside.append(abs(values.mean() - gain) <= stats.t.ppf(0.975, len(values) - 1) * se)
    return np.array(inside)


def scenarios() -> list[Scenario]:
    """Five folds and three, many subjects and few, means and AUC, and studies that lack a replicate."""
    bounds = {"coverage": (0.93, 0.98), "coverage_these": (0.92, 0.99)}
    designs = {
        "folds, five of 30 subjects": STUDY,
        "folds, five of 30 subjects, AUC": STUDY.with_(auc=True),
        "folds, five of 6 subjects": STUDY.with_(subjects=30, cases_per_subject=3),
        "folds, five of 6 subjects, AUC": STUDY.with_(subjects=30, cases_per_subject=3, auc=True),
        "folds, three of 30 subjects": STUDY.with_(folds=3, seeds=3, subjects=90),
        "folds, five of 30 subjects, one task": STUDY.with_(tasks=1),
        "folds, one of five replicates missing": STUDY.with_(missing=1.0),
    }
    return [Scenario(name, design, count_folds, bounds, train_folds) for name, design in designs.items()]
