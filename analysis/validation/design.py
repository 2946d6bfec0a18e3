"""What a simulated study is drawn from.

A case's score is a sum of independent normal parts, so the gain that another choice of seeds and test subjects would
show on average is known exactly:

    base level of the task + gain of the aggregation + seed of the run (+ seed of the whole joint model)
    + subject + subject x aggregation + case noise of the run

    gain of task t under aggregation a at n cases = level_a + slope_a log2(n / n_ref) + group + task
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from aggregation_lab.tasks import TaskType


@dataclass(frozen=True)
class Design:
    """What is simulated. Standard deviations and gains are on the unit-free score."""

    tasks: int = 27
    groups: int = 8
    seeds: int = 5
    subjects: int = 100
    """Test subjects per task."""
    cases_per_subject: int = 1
    folds: int = 1
    """Test folds that rotate with the seeds (`fold_learner`)."""
    capacities: Mapping[str, int] = field(default_factory=dict)
    """Random features of the learner in each arm, where a study has arms (`fold_learner`)."""
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
    noisy: float = 1.0
    """How many times as much the seeds of the last task scatter."""
    missing: float = 0.0
    """Share of runs that are missing at random: a run of TS lacks one task, a joint run lacks all."""
    failures: float = 0.0
    """Share of subjects whose cases a model misses altogether: their score falls by `FAILURE`, which skews the mean."""
    joint_seed_sd: float = 0.0
    """Of a joint run, common to all its tasks."""
    group_seed_sd: float = 0.0
    """Of a CG run, common to the tasks of its clinical group, each of which has a model of its own."""
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
    types: tuple[str, ...] = tuple(str(kind) for kind in TaskType)
    auc: bool = False
    """Score by AUC instead of a mean: cases then have a class and a probability."""
    positives: int = 0
    """Of these, the test subjects of the second class; 0 for half of them."""

    def with_(self, **changes: object) -> "Design":
        """The same design but for some fields."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def aggregations(self) -> list[str]:
        """TS and the joint ones."""
        return ["TS", *self.levels]

    @property
    def full(self) -> float:
        """The largest fraction."""
        return max(self.fractions)

    @property
    def subject_of_case(self) -> np.ndarray:
        """The number of the subject of each case (N)."""
        return np.repeat(np.arange(self.subjects), self.cases_per_subject)
