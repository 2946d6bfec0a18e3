"""Studies with a learner in the loop whose true gain is not 0: one task alone (TS), or with a related one (AU).

A task is two classes that a noisy linear rule tells apart; its relative follows a rule of its own that points in a
similar direction. A model is a ridge regression on random features, which its seed draws. Training data, test subjects
and seeds are drawn anew in every study; tasks and their rules stay, so the true gain of each, on fresh cases and over
fresh training data of the same size, is known from many trainings (`true_gain`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import stats

from analysis.arms.cells import Cell
from analysis.gains import TaskScores
from analysis.statistics.replicates import FoldsTested
from analysis.statistics.resampling import ARM, CaseArrays, FoldedCases, draw_weights
from analysis.statistics.weighted_metrics import VALUE
from analysis.validation.design import Design
from analysis.validation.simulate import Simulated

_INPUTS, _FEATURES, _RIDGE = 8, 24, 3.0
_ALIKE = 0.8
"""Cosine of the rules of a task and its relative."""

_TRAININGS, _FRESH = 400, 300
"""Trainings behind a true gain, and fresh subjects that each is tested on."""

_AGGREGATIONS = ("TS", "AU")


@dataclass(frozen=True)
class _Sample:
    """Cases of one task: features (N x inputs), class (N), number of the subject (N)."""

    features: np.ndarray
    label: np.ndarray
    subject: np.ndarray

    def of(self, subjects: np.ndarray) -> "_Sample":
        kept = np.isin(self.subject, subjects)
        return _Sample(self.features[kept], self.label[kept], self.subject[kept])


@dataclass(frozen=True, eq=False)
class FoldStudy(Simulated):
    """A study with rotating folds; `tasks` is empty, `folded` has their cases."""

    folded: tuple[FoldedCases, ...] = ()

    def scores(self, draws: int, seed: int) -> list[TaskScores]:
        """As `Simulated.scores`."""
        weights = draw_weights(np.concatenate([cases.subjects for cases in self.folded]), draws, seed)
        return [
            TaskScores(
                task=cases.task,
                type=_type(self.design),
                group=cases.task,
                unit="1",
                arms=cases.arms.assign(run=[f"{cases.task} {arm}" for arm in range(len(cases.arms))], n_train=1.0),
                values=cases.scores()["score"],
                draws=cases.draws(weights, ["score"])["score"],
                subjects=cases.n_subjects,
                folds=FoldsTested(
                    self.design.folds,
                    {seed: seed % self.design.folds for seed in range(self.design.seeds)},
                    {fold: part.n_subjects for fold, part in cases.parts.items()},
                    {fold: part.classes("score") for fold, part in cases.parts.items()},
                ),
            )
            for cases in self.folded
        ]


def train_folds(design: Design, seed: int) -> FoldStudy:
    """One study with rotating folds: the seed s tests fold s of `design.folds`, trains on all but that and the next.

    With `design.missing`, the share of tasks that lack the runs of one seed.
    """
    random = np.random.default_rng([seed, 1])
    tasks = []
    for number in range(design.tasks):
        own, relative, fold = _data(design, number, seed)
        lost = int(random.integers(design.seeds)) if random.random() < design.missing else -1
        parts = {}
        for run in range(design.seeds):
            if run != lost:
                held_out = [run, (run + 1) % design.folds]
                train = [sample.of(np.flatnonzero(~np.isin(fold, held_out))) for sample in (own, relative)]
                parts[run] = _tested(design, number, [run], train, own.of(np.flatnonzero(fold == run)), seed)
        tasks.append(FoldedCases(parts, np.arange(len(_models(design)) * len(parts))))
    return FoldStudy(design, (), *_known(design), folded=tuple(tasks))


def train_split(design: Design, seed: int, shares: tuple[float, float]) -> Simulated:
    """The same data with one split, `shares` of train and test: all seeds train on, and test, the same cases.

    True gains are those of `train_folds`.
    """
    trained, tested = (round(share * design.subjects) for share in shares)
    tasks = []
    for number in range(design.tasks):
        own, relative, _ = _data(design, number, seed)
        train = [sample.of(np.arange(design.subjects - trained, design.subjects)) for sample in (own, relative)]
        test = own.of(np.arange(tested))
        tasks.append(_tested(design, number, range(design.seeds), train, test, seed))
    return Simulated(design, tuple(tasks), *_known(design))


@lru_cache(64)
def true_gain(number: int, subjects: int, cases_per_subject: int, auc: bool, capacity: int = _FEATURES) -> float:
    """Mean gain of AU over TS in a task over training data of so many subjects, seeds and fresh cases; `capacity`
    is the learner's number of random features."""
    random = np.random.default_rng([number, 99])
    gains = []
    for run in range(_TRAININGS):
        train = [_draw(rule, subjects, cases_per_subject, random) for rule in _rules(number)]
        fresh = _draw(_rules(number)[0], _FRESH, 1, random)
        alone, both = (_score(fresh, _predict(name, train, fresh, run, capacity), auc) for name in _AGGREGATIONS)
        gains.append(both - alone)
    return float(np.mean(gains))


def _data(design: Design, number: int, seed: int) -> tuple[_Sample, _Sample, np.ndarray]:
    """Cases of a task and of its relative, and the fold of each subject; every fold has both classes."""
    random = np.random.default_rng([seed, number, 2])
    fold = np.arange(design.subjects) % design.folds
    while True:
        own, relative = (_draw(rule, design.subjects, design.cases_per_subject, random) for rule in _rules(number))
        if all(0 < own.label[fold[own.subject] == name].mean() < 1 for name in range(design.folds)):
            return own, relative, fold


def _rules(number: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng([number, 3])
    first, second = np.linalg.qr(random.normal(0, 1, (_INPUTS, 2)))[0].T
    steep = 1.0 + number % 3
    return steep * first, steep * (_ALIKE * first + np.sqrt(1 - _ALIKE**2) * second)


def _draw(rule: np.ndarray, subjects: int, cases_per_subject: int, random: np.random.Generator) -> _Sample:
    subject = np.repeat(np.arange(subjects), cases_per_subject)
    centres = random.normal(0, 1, (subjects, _INPUTS))
    features = centres[subject] + random.normal(0, 0.5, (len(subject), _INPUTS))
    label = features @ rule + random.logistic(0, 1, len(subject)) > 0
    return _Sample(features, label.astype(int), subject)


def _predict(aggregation: str, train: list[_Sample], test: _Sample, run: int, capacity: int) -> np.ndarray:
    """Chance of the second class for each test case."""
    random = np.random.default_rng([run, 4])
    mixing, shift = random.normal(0, 0.6, (_INPUTS, capacity)), random.normal(0, 0.5, capacity)
    used = train if aggregation == "AU" else train[:1]
    hidden = np.maximum(0.0, np.concatenate([sample.features for sample in used]) @ mixing + shift)
    target = 2.0 * np.concatenate([sample.label for sample in used]) - 1.0
    weights = np.linalg.solve(hidden.T @ hidden + _RIDGE * np.eye(capacity), hidden.T @ target)
    return stats.logistic.cdf(2.0 * (np.maximum(0.0, test.features @ mixing + shift) @ weights))


def _score(sample: _Sample, chance: np.ndarray, auc: bool) -> float:
    if not auc:
        return float(((chance > 0.5) == sample.label).mean())
    ranks, positive = stats.rankdata(chance), sample.label.sum()
    return float(ranks[sample.label == 1].sum() - positive * (positive + 1) / 2) / (positive * (len(chance) - positive))


def _tested(
    design: Design, number: int, runs: Sequence[int], train: list[_Sample], test: _Sample, seed: int
) -> CaseArrays:
    """The test cases of a task under every model of some seeds."""
    models = _models(design)
    arms = pd.DataFrame([(label, 1.0, run) for label in models for run in runs], columns=ARM)
    # Seeds differ between studies, as they differ within them.
    chances = np.stack([_predict(name, train, test, 1000 + seed * 100 + run, capacity)
                        for name, capacity in models.values() for run in runs])  # fmt: skip
    if design.auc:
        label = np.broadcast_to(test.label[None, :, None], (*chances.shape, 1))
        quantities = {"probability": np.stack([1 - chances, chances], axis=2), "label": label}
    else:
        quantities = {VALUE: ((chances > 0.5) == test.label).astype(float)[:, :, None]}
    names = np.array([f"task{number:02d}/{subject:05d}/{case}" for case, subject in enumerate(test.subject)], object)
    subjects = np.array([f"task{number:02d}/s{subject:05d}" for subject in test.subject], object)
    return CaseArrays(f"task{number:02d}", _type(design), arms, names, subjects, quantities, left_out=0)


def _models(design: Design) -> dict[str, tuple[str, int]]:
    """Aggregation and random features of each model, by what stands for it in the place of an aggregation."""
    if not design.capacities:
        return {name: (name, _FEATURES) for name in _AGGREGATIONS}
    return {
        Cell(name, arm).label: (name, features) for arm, features in design.capacities.items() for name in _AGGREGATIONS
    }


def _type(design: Design) -> str:
    return "classification" if design.auc else "detection"


def _known(design: Design) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a `Simulated` says of its tasks, and their true gains."""
    names = [f"task{number:02d}" for number in range(design.tasks)]
    about = pd.DataFrame({"task": names, "type": _type(design), "group": names, "n_full": 1.0})
    trained = design.subjects - 2 * (design.subjects // design.folds)
    truth = [
        {"contrast": "AU-TS", "arm": arm, "task": task, "fraction": 1.0, "n_train": 1.0}
        | {"gain": true_gain(number, trained, design.cases_per_subject, design.auc, capacity)}
        for arm, capacity in (design.capacities or {"": _FEATURES}).items()
        for number, task in enumerate(names)
    ]
    return about, pd.DataFrame(truth)
