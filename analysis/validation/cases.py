"""Test cases of a simulated task: what subjects, cases and missing runs do to its scores."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from analysis.statistics.resampling import CaseArrays
from analysis.statistics.weighted_metrics import VALUE
from analysis.validation.design import Design

FAILURE = 0.5
"""What a missed case loses of its score."""


def score_parts(
    design: Design, model: np.ndarray, random: np.random.Generator, common: np.ndarray | None
) -> np.ndarray:
    """What subjects and cases add to each score, A x N: subject, subject x model, noise of the run.

    `model` numbers the aggregation at a fraction behind each arm: its seeds share the subject's part. `common` is what
    subjects that serve all tasks bring to each of them.
    """
    subject = design.subject_of_case
    shift = random.normal(0, design.interaction_sd, (model.max() + 1, design.subjects))
    if design.failures:
        missed = random.random(shift.shape) < design.failures
        shift = shift - FAILURE * (missed - design.failures)  # no change of the mean
    if common is not None:
        of_all = np.sqrt(design.shared_cases) * design.interaction_sd * common
        shift = np.sqrt(1 - design.shared_cases) * shift + of_all
    shift = shift[model]
    noise = random.normal(0, design.noise_sd, (len(model), len(subject)))
    return random.normal(0, design.subject_sd, design.subjects)[subject] + shift[:, subject] + noise


def cases_of(
    design: Design, task: str, type_name: str, arms: pd.DataFrame, quantities: dict[str, np.ndarray]
) -> CaseArrays:
    """Quantities of the arms (A x N x K each) with the names of the design's cases and subjects."""
    subject = design.subject_of_case
    names = np.array([f"{task}/{number:05d}" for number in range(len(subject))], dtype=object)
    owner = "all" if design.shared_cases else task
    subjects = np.array([f"{owner}/s{number:05d}" for number in subject], dtype=object)
    return CaseArrays(task, type_name, arms, names, subjects, quantities, left_out=0)


def mean_cases(design, task, type_name, arms, score, parts, random) -> CaseArrays:
    """Cases whose mean is expected to be `score` (A)."""
    return cases_of(design, task, type_name, arms, {VALUE: (score[:, None] + parts)[:, :, None]})


_AUC_PARTS = 8.0
"""Scale of subject, interaction and noise parts against a class distance of about 1 in the AUC model."""


def auc_cases(design, task, type_name, arms, score, parts, random) -> CaseArrays:
    """Two classes whose latent scores lie so far apart that the expected AUC is `score`."""
    order = random.permutation(design.subjects)
    positive = order < design.positives if design.positives else order % 2 == 1
    labels = np.repeat(positive.astype(int), design.cases_per_subject)
    latent = parts * _AUC_PARTS + _distance(design, score)[:, None] * labels
    second = stats.logistic.cdf(latent)
    quantities = {
        "probability": np.stack([1 - second, second], axis=2),
        "label": np.broadcast_to(labels[None, :, None], (*second.shape, 1)),
    }
    return cases_of(design, task, type_name, arms, quantities)


def _distance(design: Design, auc: np.ndarray) -> np.ndarray:
    """Distance of two normal classes with a given AUC: AUC = Phi(d / (sqrt(2) sd))."""
    sd = _AUC_PARTS * np.sqrt(design.subject_sd**2 + design.interaction_sd**2 + design.noise_sd**2)
    return stats.norm.ppf(np.clip(auc, 0.02, 0.98)) * np.sqrt(2) * sd


def keep_arms(cases: CaseArrays, kept: np.ndarray) -> CaseArrays:
    """The cases of a task under some of its arms: `kept` has a flag for each."""
    quantities = {name: values[kept] for name, values in cases.quantities.items()}
    return replace(cases, arms=cases.arms[kept].reset_index(drop=True), quantities=quantities)


def without_missing(design: Design, tasks: Sequence[CaseArrays], random: np.random.Generator) -> list[CaseArrays]:
    """Every task without the arms of missing runs; of a joint run all tasks are missing."""
    joint = (tasks[0].arms["aggregation"] != "TS").to_numpy()
    joint_missing = random.random(len(joint)) < design.missing
    kept = []
    for cases in tasks:
        missing = np.where(joint, joint_missing, random.random(len(joint)) < design.missing)
        kept.append(keep_arms(cases, ~missing))
    return kept


def thinned(tasks: Sequence[CaseArrays], random: np.random.Generator) -> list[CaseArrays]:
    """Every task without a quarter of its arms, each by itself; of every fifth task only one seed is left."""
    thinner = []
    for number, cases in enumerate(tasks):
        kept = random.random(len(cases.arms)) >= 0.25
        if number % 5 == 0:
            kept = (cases.arms["seed"] == number % cases.arms["seed"].nunique()).to_numpy()
        thinner.append(keep_arms(cases, kept))
    return thinner
