"""Clinical tasks: type, classes, clinical group, metrics; and the 27 tasks of the challenge by name."""

import difflib
from dataclasses import dataclass
from enum import StrEnum


class TaskType(StrEnum):
    SEGMENTATION = "segmentation"
    CLASSIFICATION = "classification"
    DETECTION = "detection"
    REGRESSION = "regression"


_SHORT_TYPES = {
    "seg": TaskType.SEGMENTATION,
    "segm": TaskType.SEGMENTATION,
    "cls": TaskType.CLASSIFICATION,
    "classif": TaskType.CLASSIFICATION,
    "det": TaskType.DETECTION,
    "reg": TaskType.REGRESSION,
}


def read_type(text: str) -> TaskType | None:
    """The type that `text` names, in capitals or by a usual short form (`seg`, `cls`); None where it names none."""
    word = text.strip().lower()
    return _SHORT_TYPES.get(word) or next((kind for kind in TaskType if kind == word), None)


def near_type(text: str) -> TaskType | None:
    """The type that a text with a typing error most likely means; None where it is near none."""
    close = difflib.get_close_matches(text.strip().lower(), list(TaskType), n=1, cutoff=0.7)
    return TaskType(close[0]) if close else None


@dataclass(frozen=True)
class Metric:
    """A score's name, its direction and its unit ("1" for unit-free scores in [0, 1] or [-1, 1])."""

    name: str
    higher_is_better: bool
    unit: str = "1"

    @property
    def direction(self) -> str:
        return "higher" if self.higher_is_better else "lower"


METRICS = {
    metric.name: metric
    for metric in (
        Metric("score", True),  # the unit-free score of every type, see UNIT_FREE
        Metric("DSC", True),
        Metric("HD", False, "px"),
        Metric("missed", False, "structures"),
        Metric("accuracy", True),
        Metric("F1_macro", True),
        Metric("F1_weighted", True),
        Metric("MCC", True),
        Metric("AUC", True),
        Metric("IoU", True),
        Metric("MRE", False, "px"),
        Metric("MRE_relative", False),
    )
}
"""Every metric a score table of this project can hold. `MRE_relative` is MRE over the image diagonal, `missed`
counts structures that are in the reference and wholly absent from the prediction."""

TYPE_METRICS = {
    TaskType.SEGMENTATION: ("DSC", "HD", "missed"),
    TaskType.CLASSIFICATION: ("AUC", "F1_macro", "F1_weighted", "MCC", "accuracy"),
    TaskType.DETECTION: ("IoU",),
    TaskType.REGRESSION: ("MRE", "MRE_relative"),
}
"""Metrics of each task type; the first is the primary one."""

UNIT_FREE = {
    TaskType.SEGMENTATION: "DSC",
    TaskType.CLASSIFICATION: "AUC",
    TaskType.DETECTION: "IoU",
    TaskType.REGRESSION: "1 - MRE_relative",
}
"""What the metric `score` is for each type: oriented, in [0, 1], and the only one that may be averaged over types."""


def primary_metric(task_type: TaskType) -> Metric:
    return METRICS[TYPE_METRICS[task_type][0]]


@dataclass(frozen=True)
class Task:
    """One clinical task.

    `classes` follows the challenge's `num_classes`: for segmentation the classes including background, for
    classification the classes, for regression the number of points, for detection 1. `laterality` says that the
    target tells left from right.
    """

    name: str
    type: TaskType
    classes: int
    group: str
    laterality: bool = False

    @property
    def flips(self) -> bool:
        """Whether a mirrored image keeps its target: not with laterality, nor for points, whose order would change."""
        return self.type is not TaskType.REGRESSION and not self.laterality


_LATERALITY_TASKS = frozenset({"fetal_head_pos_cls", "fetal_sacral_pos_cls"})


@dataclass(frozen=True)
class ChallengeTask:
    """A row of the challenge's task table: the task, its images in the training release, its organ."""

    task: Task
    rows: int
    organ: str


def _challenge_tasks() -> dict[str, ChallengeTask]:
    seg, cls, det, reg = TaskType.SEGMENTATION, TaskType.CLASSIFICATION, TaskType.DETECTION, TaskType.REGRESSION
    table = (
        ("breast_lesion", seg, 2, 2220, "breast lesion", "breast"),
        ("cardiac_multi", seg, 4, 1200, "heart", "cardiac"),
        ("carotid_artery", seg, 2, 660, "carotid", "vascular"),
        ("cervix", seg, 2, 327, "cervix", "obstetrics"),
        ("cervix_multi", seg, 3, 260, "cervix lips", "obstetrics"),
        ("fetal_abdomen_multi", seg, 5, 953, "fetal abdomen", "obstetrics"),
        ("fetal_head", seg, 2, 2313, "fetal head", "obstetrics"),
        ("fetal_heart", seg, 2, 180, "fetal heart", "obstetrics"),
        ("head_symphysis_multi", seg, 3, 3060, "pubic symphysis, fetal head", "obstetrics"),
        ("lung", seg, 2, 1853, "lung", "lung"),
        ("ovary_tumor", seg, 2, 880, "ovary", "gynaecology"),
        ("thyroid_nodule", seg, 2, 2093, "thyroid", "thyroid"),
        ("breast_2cls", cls, 2, 557, "breast", "breast"),
        ("breast_3cls", cls, 3, 877, "breast", "breast"),
        ("fetal_head_pos_cls", cls, 8, 2547, "fetal head position", "obstetrics"),
        ("fetal_plane_cls", cls, 6, 7437, "fetal standard planes", "obstetrics"),
        ("fetal_sacral_pos_cls", cls, 8, 482, "fetal sacral position", "obstetrics"),
        ("liver_lesion_2cls", cls, 2, 3277, "liver lesion", "abdomen"),
        ("lung_2cls", cls, 2, 327, "lung", "lung"),
        ("lung_disease_3cls", cls, 3, 637, "lung", "lung"),
        ("organ_cls", cls, 6, 217, "abdominal organs", "abdomen"),
        ("spinal_cord_injury_loc", det, 1, 820, "spinal cord", "neuro"),
        ("thyroid_nodule_det", det, 1, 3000, "thyroid", "thyroid"),
        ("uterine_fibroid_det", det, 1, 513, "uterus", "gynaecology"),
        ("FUGC", reg, 2, 260, "cervix canal ends", "obstetrics"),
        ("IUGC", reg, 3, 2820, "angle of progression", "obstetrics"),
        ("fetal_femur", reg, 2, 621, "femur ends", "obstetrics"),
    )
    return {
        name: ChallengeTask(Task(name, task_type, classes, group, name in _LATERALITY_TASKS), rows, organ)
        for name, task_type, classes, rows, organ, group in table
    }


CHALLENGE_TASKS = _challenge_tasks()
"""The 27 tasks of the FMC_UIA 2026 release. Groups are this project's default and can be changed in a study file."""
