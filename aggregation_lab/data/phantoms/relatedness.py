"""The planted relations between tasks, in words and in a table: the known answer that a transfer study can be
held against."""

from itertools import combinations
from typing import Any

from aggregation_lab.data.phantoms.catalogue import SOURCES, TASK_PLANS
from aggregation_lab.data.phantoms.plan import PhantomConfig, pictures
from aggregation_lab.tasks import CHALLENGE_TASKS

CONFLICTS: dict[frozenset[str], dict[str, Any]] = {
    frozenset({"lung_2cls", "lung_disease_3cls"}): {
        "why": "same look, opposed labels: what is class 0 in one task is class 1 in the other",
        "appearances": ["A-lines", "B-lines"],
    },
    frozenset({"thyroid_nodule", "thyroid_nodule_det"}): {
        "why": "same look, opposed targets: each picture has a dark and a bright nodule; the target of one task is "
        "background in the other",
        "targets": {"thyroid_nodule": "dark nodule", "thyroid_nodule_det": "bright nodule"},
    },
    frozenset({"thyroid_nodule", "carotid_artery"}): {
        "why": "same look in two clinical groups, opposed targets: the nodule of one task is background in the other",
        "targets": {"thyroid_nodule": "dark nodule", "carotid_artery": "artery"},
    },
    frozenset({"thyroid_nodule_det", "carotid_artery"}): {
        "why": "same look in two clinical groups, opposed targets: the nodule of one task is background in the other",
        "targets": {"thyroid_nodule_det": "bright nodule", "carotid_artery": "artery"},
    },
}
"""Pairs of tasks that look alike and contradict each other."""

README = """Speckle phantoms in the layout of the FMC_UIA challenge: synthetic ultrasound, no patients.
train/            images, masks and csv_files as in the challenge; the extra column `appearance` says what was drawn
relatedness.json  what was planted: configuration, tasks, and the relation of every pair of tasks
  shared_images   the two tasks use the same pictures (one file, or byte-equal copies)
  shared_anatomy  other pictures of the same anatomy
  conflict        the same look with opposed labels or targets
  unrelated       nothing in common but the physics
"""


def relatedness(config: PhantomConfig) -> dict[str, Any]:
    """The JSON document: `tasks` by name and `pairs` of tasks with their relation and number of shared pictures.

    `relation` is the strongest that holds, in the order conflict, shared_images, shared_anatomy, unrelated.
    """
    used = {task: pictures(config, task) for task in config.tasks}
    contents = {task: {shown.content for part in parts.values() for shown in part} for task, parts in used.items()}
    pairs = []
    for first, second in combinations(config.tasks, 2):
        conflict = CONFLICTS.get(frozenset({first, second}))
        anatomy = sorted(set(TASK_PLANS[first].anatomy) & set(TASK_PLANS[second].anatomy))
        shared = len(contents[first] & contents[second])
        pair: dict[str, Any] = {"tasks": [first, second], "shared_images": shared, "shared_anatomy": anatomy}
        pair["relation"] = (
            "conflict" if conflict else "shared_images" if shared else "shared_anatomy" if anatomy else "unrelated"
        )
        if conflict:
            pair["why"] = conflict["why"]
            for appearance in conflict.get("appearances", ()):
                labels = {task: TASK_PLANS[task].labels[appearance] for task in (first, second)}
                pair.setdefault("labels", {})[appearance] = labels
            if "targets" in conflict:
                pair["targets"] = conflict["targets"]
        pairs.append(pair)
    tasks = {}
    for name in config.tasks:
        plan, task = TASK_PLANS[name], CHALLENGE_TASKS[name].task
        tasks[name] = {
            "type": str(task.type),
            "group": task.group,
            "images": sum(len(part) for part in used[name].values()),
            "sources": {source: len(part) for source, part in used[name].items()},
            "copied_from": {source: SOURCES[source].copy_of for source in used[name] if SOURCES[source].copy_of},
            "anatomy": list(plan.anatomy),
            "labels": plan.labels,
            "structures": list(plan.structures),
        }
    return {"config": config.to_json(), "tasks": tasks, "pairs": pairs}
