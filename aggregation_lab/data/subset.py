"""A part of every task for a quick look: whole subjects, the same ones whenever it is drawn."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from aggregation_lab.data.interpretation.case_checks import SPLIT_PARTS
from aggregation_lab.data.rows.cases import Case
from aggregation_lab.data.rows.problems import Problems


def subset_of(cases: Sequence[Case], subject_of: Mapping[str, str], most: int, problems: Problems) -> list[Case]:
    """At most `most` cases of each task, all cases of a subject or none; a warning says how many are left.

    Subjects come in the order of a digest of their name, so tasks that share subjects keep the same ones, and cases
    that are added to the data move nobody out but for room. Of each class of a classification task, and of each task,
    as many subjects as a split needs are kept, even if that makes more cases.
    """
    tasks: dict[str, dict[str, list[Case]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        tasks[case.task][subject_of[case.image]].append(case)
    kept: set[int] = set()
    for task, subjects in sorted(tasks.items()):
        chosen = _chosen(subjects, most)
        here = [case for subject in chosen for case in subjects[subject]]
        kept.update(map(id, here))
        count = sum(map(len, subjects.values()))
        if len(here) < count:
            message = f"{len(here)} of {count} cases, of {len(chosen)} of {len(subjects)} subjects, take part"
            problems.warning("subset", None, task, f"{message}: enough for a quick look, not for a result")
    return [case for case in cases if id(case) in kept]


def _chosen(subjects: Mapping[str, Sequence[Case]], most: int) -> list[str]:
    order = sorted(subjects, key=lambda subject: hashlib.sha256(subject.encode()).hexdigest())
    needed: dict[str, None] = {}
    for label in sorted({case.label for members in subjects.values() for case in members}):
        showing = [subject for subject in order if any(case.label == label for case in subjects[subject])]
        needed.update(dict.fromkeys(showing[:SPLIT_PARTS]))
    chosen = dict(needed)
    count = sum(len(subjects[subject]) for subject in chosen)
    for subject in order:
        if subject in chosen:
            continue
        count += len(subjects[subject])
        if count > most:
            break
        chosen[subject] = None
    return [subject for subject in order if subject in chosen]
