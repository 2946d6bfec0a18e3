"""The 27 tasks of the FMC_UIA 2026 challenge by name."""

from dataclasses import dataclass

from aggregation_lab.tasks.known_types import CLASSIFICATION, DETECTION, REGRESSION, SEGMENTATION
from aggregation_lab.tasks.task import Task

_LATERALITY_TASKS = frozenset({"fetal_head_pos_cls", "fetal_sacral_pos_cls"})


@dataclass(frozen=True)
class ChallengeTask:
    """A row of the challenge's task table: the task, its images in the training release, its organ."""

    task: Task
    rows: int
    organ: str


def _challenge_tasks() -> dict[str, ChallengeTask]:
    seg, cls, det, reg = SEGMENTATION, CLASSIFICATION, DETECTION, REGRESSION
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
