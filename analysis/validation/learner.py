"""Studies in which a real learner is trained: scores are discrete and skewed, and scatter as each task does.

Each task is a classification problem of its own difficulty. Under both aggregations the same learner, stochastic
gradient descent on a logistic loss (scikit-learn), is trained on the same cases and differs by its seed alone, so the
true gain is 0. A test case scores 1 where its class is predicted; cases of one subject are alike.
"""

import numpy as np
import pandas as pd
from sklearn.linear_model import SGDClassifier

from analysis.statistics.resampling import ARM, CaseArrays
from analysis.statistics.weighted_metrics import VALUE
from analysis.validation.cases import cases_of
from analysis.validation.design import Design
from analysis.validation.simulate import Simulated

_FEATURES = 12
_PASSES = 3
"""Few, so that the order in which cases are seen, which is what a seed changes, matters."""

_TRAIN = 80


def train_study(design: Design, seed: int) -> Simulated:
    """One study of `design.tasks` tasks, TS against AU, with no true difference."""
    random = np.random.default_rng(seed)
    arms = pd.DataFrame([(name, 1.0, run) for name in ("TS", "AU") for run in range(design.seeds)], columns=ARM)
    about = pd.DataFrame(
        {
            "task": [f"task{number:02d}" for number in range(design.tasks)],
            "type": [design.types[number % len(design.types)] for number in range(design.tasks)],
            "group": [f"group{number % design.groups}" for number in range(design.tasks)],
            "n_full": float(_TRAIN),
        }
    )
    tasks = [_task(design, row["task"], row["type"], arms, random) for row in about.to_dict("records")]
    truth = pd.DataFrame({"contrast": "AU-TS", "task": about["task"], "fraction": 1.0, "n_train": _TRAIN, "gain": 0.0})
    return Simulated(design, tuple(tasks), about, truth)


def _task(design: Design, task: str, type_name: str, arms: pd.DataFrame, random: np.random.Generator) -> CaseArrays:
    subject = design.subject_of_case
    weights = random.normal(0, 1, _FEATURES) * random.uniform(0.3, 1.2)
    centres = random.normal(0, 1, (design.subjects, _FEATURES))
    features = centres[subject] + random.normal(0, 0.5, (len(subject), _FEATURES))
    labels = _labels(features, weights, random)
    train = random.normal(0, 1.1, (_TRAIN, _FEATURES))
    train_labels = _labels(train, weights, random)
    if train_labels.min() == train_labels.max():
        train_labels[0] = 1 - train_labels[0]
    right = np.empty((len(arms), len(subject)))
    for index in range(len(arms)):
        learner = SGDClassifier(
            loss="log_loss", max_iter=_PASSES, tol=None, eta0=0.5, learning_rate="constant",
            random_state=int(random.integers(2**31)),
        )  # fmt: skip
        right[index] = learner.fit(train, train_labels).predict(features) == labels
    return cases_of(design, task, type_name, arms, {VALUE: right[:, :, None]})


def _labels(features: np.ndarray, weights: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return (features @ weights + random.logistic(0, 1, len(features)) > 0).astype(int)
