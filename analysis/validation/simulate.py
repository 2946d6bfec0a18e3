"""Synthetic studies of which the truth is known: what the statistics are tested and calibrated on.

A case's score is a sum of independent normal parts, so the gain that another choice of seeds and test subjects would
show on average is known exactly:

    base level of the task + gain of the aggregation + seed of the run (+ seed of the whole joint model)
    + subject + subject x aggregation + case noise of the run

    gain of task t under aggregation a at n cases = level_a + slope_a log2(n / n_ref) + group + task
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import pandas as pd
from scipy import stats

from aggregation_lab.manifest import Manifest
from aggregation_lab.tasks import TaskType
from analysis.gains import TaskScores
from analysis.statistics.resampling import ARM, TaskCases, draw_weights
from analysis.statistics.weighted_metrics import VALUE
from analysis.study import StudyTables


@dataclass(frozen=True)
class Design:
    """What is simulated. Standard deviations and gains are on the unit-free score."""

    tasks: int = 27
    groups: int = 8
    seeds: int = 5
    subjects: int = 100
    """Test subjects per task."""
    cases_per_subject: int = 1
    fractions: tuple[float, ...] = (1.0,)
    levels: Mapping[str, float] = field(default_factory=lambda: {"CG": 0.0, "AU": 0.0})
    """Mean gain over TS at n_ref."""
    slopes: Mapping[str, float] = field(default_factory=dict)
    """Change of gain per doubling of n."""
    type_effects: Mapping[str, float] = field(default_factory=dict)
    """Added to the gain of tasks of a type."""
    group_sd: float = 0.0
    task_sd: float = 0.0
    seed_sd: float = 0.01
    """Of each run; of a paired gain it is sqrt(2) times as much."""
    seed_sd_of: Mapping[str, float] = field(default_factory=dict)
    """The same for tasks of a type, instead of `seed_sd`."""
    missing: float = 0.0
    """Share of runs that are missing at random: a run of TS lacks one task, a joint run lacks all."""
    failures: float = 0.0
    """Share of subjects whose cases a model misses altogether: their score falls by `FAILURE`, which skews the mean."""
    joint_seed_sd: float = 0.0
    """Of a joint run, common to all its tasks."""
    subject_sd: float = 0.12
    interaction_sd: float = 0.06
    noise_sd: float = 0.06
    shared_cases: float = 0.0
    """Above 0 the same subjects serve all tasks, and this share of subject x aggregation is common to them."""
    collapse_share: float = 0.0
    """Chance of a task to collapse under the joint aggregations, each by itself."""
    collapse_loss: float = 0.5
    n_range: tuple[float, float] = (150.0, 5000.0)
    n_ref: float = 800.0
    types: tuple[str, ...] = tuple(str(each) for each in TaskType)
    auc: bool = False
    """Score by AUC instead of a mean: cases then have a class and a probability."""

    def with_(self, **changes: object) -> "Design":
        """The same design but for some fields."""
        return replace(self, **changes)  # type: ignore[arg-type]


FAILURE = 0.5
"""What a missed case loses of its score."""


@dataclass(frozen=True, eq=False)
class Simulated:
    """One synthetic study: `tasks` as arrays; `about` (task, type, group, n_full); `truth` has the columns contrast,
    task, fraction, n_train, gain."""

    design: Design
    tasks: tuple[TaskCases, ...]
    about: pd.DataFrame
    truth: pd.DataFrame
    group_gains: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What each clinical group adds to the gain, by joint aggregation."""

    def scores(self, draws: int, seed: int) -> list[TaskScores]:
        """The score of every arm and its resamples, as `analysis.study.task_scores` has them."""
        subjects = np.concatenate([cases.subjects for cases in self.tasks])
        weights = draw_weights(subjects, draws, seed) if draws else None
        found = []
        for cases, row in zip(self.tasks, self.about.to_dict("records"), strict=True):
            n_train = row["n_full"] * cases.arms["fraction"]
            arms = cases.arms.assign(run=_runs(cases))
            found.append(
                TaskScores(
                    task=cases.task,
                    type=str(row["type"]),
                    group=str(row["group"]),
                    unit="1",
                    arms=arms.assign(n_train=n_train),
                    values=cases.scores()["score"],
                    draws=None if weights is None else cases.draws(weights, ["score"])["score"],
                    subjects=cases.n_subjects,
                )
            )
        return found

    def tables(self) -> StudyTables:
        """The study as tables, of a trainer that scores cases by one value each."""
        scores, rows = [], []
        for cases, row in zip(self.tasks, self.about.to_dict("records"), strict=True):
            columns = (cases.arms[ARM].to_numpy(), _runs(cases), cases.scores()["score"])
            for place, ((name, fraction, seed), run, value) in enumerate(zip(*columns, strict=True)):
                common = {
                    "run": run,
                    "aggregation": name,
                    "unit": "all",
                    "task": cases.task,
                    "type": str(row["type"]),
                    "group": str(row["group"]),
                    "fraction": float(fraction),
                    "seed": int(seed),
                    "split": "test",
                }
                scores.append(
                    common
                    | {
                        "n_train": round(row["n_full"] * fraction),
                        "metric": "score",
                        "direction": "higher",
                        "value": value,
                        "n_cases": len(cases.cases),
                        "n_undefined": 0,
                    }
                )
                for quantity, values in cases.quantities.items():
                    for index in range(values.shape[2]):
                        rows.append(
                            pd.DataFrame(
                                common
                                | {
                                    "case": cases.cases,
                                    "subject": cases.subjects,
                                    "quantity": quantity,
                                    "index": index,
                                    "value": values[place, :, index],
                                }
                            )
                        )
        return StudyTables(Manifest("simulated"), pd.DataFrame(scores), pd.concat(rows, ignore_index=True))


def _runs(cases: TaskCases) -> np.ndarray:
    """A name for the run behind each arm."""
    arms = zip(*(cases.arms[name].to_list() for name in ARM), strict=True)
    return np.array(
        [f"{name}-{cases.task if name == 'TS' else 'all'}-f{share:g}-s{seed}" for name, share, seed in arms], object
    )


def simulate(design: Design, seed: int) -> Simulated:
    """Draw one study. The same design and seed give the same study."""
    random = np.random.default_rng(seed)
    about = _about(design, random)
    aggregations = ["TS", *design.levels]
    arms = pd.DataFrame(list(product(aggregations, design.fractions, range(design.seeds))), columns=ARM)
    effects = {
        name: (random.normal(0, design.group_sd, design.groups), random.normal(0, design.task_sd, design.tasks))
        for name in design.levels
    }
    if design.collapse_share:
        effects = {
            name: (of_group, of_task - design.collapse_loss * (random.random(design.tasks) < design.collapse_share))
            for name, (of_group, of_task) in effects.items()
        }
    names, fractions = arms["aggregation"].to_numpy(object), arms["fraction"].to_numpy(float)
    joint = names != "TS"
    shared = random.normal(0, design.joint_seed_sd, len(arms)) * joint
    model = pd.factorize(pd.MultiIndex.from_frame(arms[["aggregation", "fraction"]]))[0]
    first = {each: int((model == each).argmax()) for each in range(model.max() + 1)}
    base = {fractions[place]: place for place in first.values() if names[place] == "TS"}
    common = random.normal(0, 1, (model.max() + 1, design.subjects)) if design.shared_cases else None
    tasks, truth = [], []
    for number, row in enumerate(about.to_dict("records")):
        gains = np.zeros(len(arms))
        for name, (of_group, of_task) in effects.items():
            size = np.log2(row["n_full"] * fractions / design.n_ref)
            gain = design.levels[name] + design.slopes.get(name, 0.0) * size + design.type_effects.get(row["type"], 0.0)
            gains = np.where(names == name, gain + of_group[row["place"]] + of_task[number], gains)
        level = random.uniform(0.6, 0.8)
        run = shared + random.normal(0, design.seed_sd_of.get(row["type"], design.seed_sd), len(arms))
        draw = _auc_cases if design.auc else _mean_cases
        tasks.append(
            draw(
                design,
                row["task"],
                row["type"],
                arms,
                level + gains + run,
                _parts(design, model, random, common),
                random,
            )
        )
        for place in first.values():
            if joint[place]:
                share = fractions[place]
                gain = gains[place] - gains[base[share]]
                truth.append((f"{names[place]}-TS", row["task"], share, row["n_full"] * share, float(gain)))
    columns = ["contrast", "task", "fraction", "n_train", "gain"]
    groups = {name: of_group for name, (of_group, _) in effects.items()}
    kept = _without_missing(design, tasks, random) if design.missing else tasks
    return Simulated(design, tuple(kept), about, pd.DataFrame(truth, columns=columns), groups)


def _without_missing(design: Design, tasks: Sequence[TaskCases], random: np.random.Generator) -> list[TaskCases]:
    """Every task without the arms of missing runs; of a joint run all tasks are missing."""
    joint = (tasks[0].arms["aggregation"] != "TS").to_numpy()
    joint_missing = random.random(len(joint)) < design.missing
    kept = []
    for cases in tasks:
        there = ~np.where(joint, joint_missing, random.random(len(joint)) < design.missing)
        quantities = {name: values[there] for name, values in cases.quantities.items()}
        kept.append(replace(cases, arms=cases.arms[there].reset_index(drop=True), quantities=quantities))
    return kept


def _about(design: Design, random: np.random.Generator) -> pd.DataFrame:
    """Tasks spread over groups of uneven size and over types, sizes even on a logarithmic scale."""
    shares = random.dirichlet(np.full(design.groups, 3.0))
    place = np.concatenate(
        [np.arange(design.groups), random.choice(design.groups, design.tasks - design.groups, p=shares)]
    )
    low, high = np.log(design.n_range)
    types = (str(TaskType.CLASSIFICATION),) if design.auc else design.types
    return pd.DataFrame(
        {
            "task": [f"task{number:02d}" for number in range(design.tasks)],
            "type": [types[number % len(types)] for number in range(design.tasks)],
            "group": [f"group{number}" for number in place],
            "place": place,
            "n_full": np.exp(random.uniform(low, high, design.tasks)),
        }
    )


def _parts(design: Design, model: np.ndarray, random: np.random.Generator, common: np.ndarray | None) -> np.ndarray:
    """What subjects and cases add to each score, A x N: subject, subject x model, noise of the run.

    `model` numbers the aggregation at a fraction behind each arm: its seeds share the subject's part. `common` is what
    subjects that serve all tasks bring to each of them.
    """
    subject = np.repeat(np.arange(design.subjects), design.cases_per_subject)
    own = random.normal(0, design.interaction_sd, (model.max() + 1, design.subjects))
    if design.failures:
        missed = random.random(own.shape) < design.failures
        own = own - FAILURE * (missed - design.failures)  # no change of the mean
    if common is not None:
        own = np.sqrt(1 - design.shared_cases) * own + np.sqrt(design.shared_cases) * design.interaction_sd * common
    own = own[model]
    noise = random.normal(0, design.noise_sd, (len(model), len(subject)))
    return random.normal(0, design.subject_sd, design.subjects)[subject] + own[:, subject] + noise


def _cases(
    design: Design, task: str, type_name: str, arms: pd.DataFrame, quantities: dict[str, np.ndarray]
) -> TaskCases:
    subject = np.repeat(np.arange(design.subjects), design.cases_per_subject)
    names = np.array([f"{task}/{number:05d}" for number in range(len(subject))], dtype=object)
    owner = "all" if design.shared_cases else task
    subjects = np.array([f"{owner}/s{number:05d}" for number in subject], dtype=object)
    return TaskCases(task, type_name, arms, names, subjects, quantities, left_out=0)


def _mean_cases(design, task, type_name, arms, score, parts, random) -> TaskCases:
    return _cases(design, task, type_name, arms, {VALUE: (score[:, None] + parts)[:, :, None]})


_AUC_PARTS = 8.0
"""Scale of subject, interaction and noise parts against a class distance of about 1 in the AUC model."""


def _auc_cases(design, task, type_name, arms, score, parts, random) -> TaskCases:
    """Two classes whose latent scores lie so far apart that the expected AUC is `score`."""
    labels = np.repeat(random.permutation(design.subjects) % 2, design.cases_per_subject)
    latent = parts * _AUC_PARTS + _distance(design, score)[:, None] * labels
    second = stats.logistic.cdf(latent)
    quantities = {
        "probability": np.stack([1 - second, second], axis=2),
        "label": np.broadcast_to(labels[None, :, None], (*second.shape, 1)),
    }
    return _cases(design, task, type_name, arms, quantities)


def _distance(design: Design, auc: np.ndarray) -> np.ndarray:
    """Distance of two normal classes with a given AUC: AUC = Phi(d / (sqrt(2) sd))."""
    sd = _AUC_PARTS * np.sqrt(design.subject_sd**2 + design.interaction_sd**2 + design.noise_sd**2)
    return stats.norm.ppf(np.clip(auc, 0.02, 0.98)) * np.sqrt(2) * sd
