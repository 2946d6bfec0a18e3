"""Synthetic studies of which the truth is known: what the statistics are tested and calibrated on (`design`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import pandas as pd

from aggregation_lab.manifest import Manifest
from aggregation_lab.results import ONLY_ARM
from aggregation_lab.tasks import TaskType
from analysis.gains import TaskScores
from analysis.statistics.rare_classes import rarest
from analysis.statistics.resampling import ARM, CaseArrays, draw_weights
from analysis.study import StudyTables
from analysis.validation.cases import auc_cases, mean_cases, score_parts, thinned, without_missing
from analysis.validation.design import Design


@dataclass(frozen=True, eq=False)
class Simulated:
    """One synthetic study: `tasks` as arrays; `about` (task, type, group, n_full); `truth` has the columns contrast,
    task, fraction, n_train, gain."""

    design: Design
    tasks: tuple[CaseArrays, ...]
    about: pd.DataFrame
    truth: pd.DataFrame
    group_gains: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What each clinical group adds to the gain, by joint aggregation."""

    def scores(self, draws: int, seed: int) -> list[TaskScores]:
        """The score of every arm and its resamples, as `analysis.study.task_scores` has them."""
        subjects = np.concatenate([cases.subjects for cases in self.tasks])
        weights = draw_weights(subjects, draws, seed) if draws else None
        scores = []
        for cases, row in zip(self.tasks, self.about.to_dict("records"), strict=True):
            n_train = row["n_full"] * cases.arms["fraction"]
            scores.append(
                TaskScores(
                    task=cases.task,
                    type=str(row["type"]),
                    group=str(row["group"]),
                    unit="1",
                    arms=cases.arms.assign(run=_runs(cases), n_train=n_train),
                    values=cases.scores()["score"],
                    draws=None if weights is None else cases.draws(weights, ["score"])["score"],
                    subjects=cases.n_subjects,
                    subject_names=frozenset(cases.subjects),
                    rarest_class=rarest(cases.classes("score")),
                )
            )
        return scores

    def thinned(self, seed: int) -> "Simulated":
        """The same study with a quarter of all scores missing at random, and every fifth task with one pair."""
        return replace(self, tasks=tuple(thinned(self.tasks, np.random.default_rng(seed))))

    def tables(self) -> StudyTables:
        """The study as tables, of a trainer that gives one value per case."""
        scores, rows = [], []
        for cases, row in zip(self.tasks, self.about.to_dict("records"), strict=True):
            columns = (cases.arms[ARM].to_numpy(), _runs(cases), cases.scores()["score"])
            for arm, ((name, fraction, seed), run, value) in enumerate(zip(*columns, strict=True)):
                common = {
                    "run": run,
                    "arm": ONLY_ARM,
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
                subjects = {"case": cases.cases, "subject": cases.subjects}
                for quantity, values in cases.quantities.items():
                    for index, column in enumerate(values[arm].T):
                        rows.append(
                            pd.DataFrame({**common, **subjects, "quantity": quantity, "index": index, "value": column})
                        )
        return StudyTables(Manifest("simulated"), pd.DataFrame(scores), pd.concat(rows, ignore_index=True))


def _runs(cases: CaseArrays) -> np.ndarray:
    """A name for the run behind each arm."""
    arms = zip(*(cases.arms[name].to_list() for name in ARM), strict=True)
    return np.array(
        [f"{name}-{cases.task if name == 'TS' else 'all'}-f{share:g}-s{seed}" for name, share, seed in arms], object
    )


def simulate(design: Design, seed: int) -> Simulated:
    """Draw one study. The same design and seed give the same study."""
    random = np.random.default_rng(seed)
    about = describe_tasks(design, random)
    arms = pd.DataFrame(list(product(design.aggregations, design.fractions, range(design.seeds))), columns=ARM)
    effects = _effects(design, random)
    names, fractions = arms["aggregation"].to_numpy(object), arms["fraction"].to_numpy(float)
    joint = random.normal(0, design.joint_seed_sd, len(arms)) * (names != "TS")
    joint = np.tile(joint, (design.groups, 1))
    if design.group_seed_sd:
        joint += random.normal(0, design.group_seed_sd, joint.shape) * (names == "CG")
    model = pd.factorize(pd.MultiIndex.from_frame(arms[["aggregation", "fraction"]]))[0]
    common = random.normal(0, 1, (model.max() + 1, design.subjects)) if design.shared_cases else None
    draw = auc_cases if design.auc else mean_cases
    tasks, gains_of = [], {}
    for number, row in enumerate(about.to_dict("records")):
        gains = np.zeros(len(arms))
        for name, (of_group, of_task) in effects.items():
            size = np.log2(row["n_full"] * fractions / design.n_ref)
            gain = design.levels[name] + design.slopes.get(name, 0.0) * size + design.type_effects.get(row["type"], 0.0)
            gains = np.where(names == name, gain + of_group[row["group_index"]] + of_task[number], gains)
        level = random.uniform(0.6, 0.8)
        times = design.noisy if number == design.tasks - 1 else 1.0
        own = random.normal(0, times * design.seed_sd_of.get(row["type"], design.seed_sd), len(arms))
        run = joint[row["group_index"]] + own
        parts = score_parts(design, model, random, common)
        tasks.append(draw(design, row["task"], row["type"], arms, level + gains + run, parts, random))
        gains_of[row["task"]] = gains
    kept = without_missing(design, tasks, random) if design.missing else tasks
    groups = {name: of_group for name, (of_group, _) in effects.items()}
    return Simulated(design, tuple(kept), about, _truth(about, arms, gains_of), groups)


Effects = dict[str, tuple[np.ndarray, np.ndarray]]
"""What each clinical group and each task adds to the gain, by joint aggregation."""


def _effects(design: Design, random: np.random.Generator) -> Effects:
    effects = {
        name: (random.normal(0, design.group_sd, design.groups), random.normal(0, design.task_sd, design.tasks))
        for name in design.levels
    }
    if not design.collapse_share:
        return effects
    return {
        name: (of_group, of_task - design.collapse_loss * (random.random(design.tasks) < design.collapse_share))
        for name, (of_group, of_task) in effects.items()
    }


def _truth(about: pd.DataFrame, arms: pd.DataFrame, gains: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """True gains over TS; those of TS are 0."""
    models = arms.drop_duplicates(["aggregation", "fraction"])
    joint = models[models["aggregation"] != "TS"]
    rows = [
        (f"{name}-TS", row["task"], share, row["n_full"] * share, float(gains[row["task"]][index]))
        for row in about.to_dict("records")
        for index, name, share in joint[["aggregation", "fraction"]].itertuples(name=None)
    ]
    return pd.DataFrame(rows, columns=["contrast", "task", "fraction", "n_train", "gain"])


def describe_tasks(design: Design, random: np.random.Generator) -> pd.DataFrame:
    """Tasks spread over groups of uneven size and over types, sizes even on a logarithmic scale."""
    shares = random.dirichlet(np.full(design.groups, 3.0))
    group_index = np.concatenate(
        [np.arange(design.groups), random.choice(design.groups, design.tasks - design.groups, p=shares)]
    )
    low, high = np.log(design.n_range)
    types = (str(TaskType.CLASSIFICATION),) if design.auc else design.types
    return pd.DataFrame(
        {
            "task": [f"task{number:02d}" for number in range(design.tasks)],
            "type": [types[number % len(types)] for number in range(design.tasks)],
            "group": [f"group{number}" for number in group_index],
            "group_index": group_index,
            "n_full": np.exp(random.uniform(low, high, design.tasks)),
        }
    )
