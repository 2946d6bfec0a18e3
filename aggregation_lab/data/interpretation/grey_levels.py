"""Which values of deep images (more than 8 bits) become black and white: decided for a task, not for a file.

A range for each file would change intensities between the images of a task; the range of the file format (65535)
makes exports of 10 or 12 bits nearly black. So all deep images of a task share the smallest range in use that holds
their values. Tasks that share a deep image share its range, because a model sees it once for both.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aggregation_lab.data.images.deep_levels import Levels, usual_levels
from aggregation_lab.data.images.file_scan import Scan
from aggregation_lab.data.rows.cases import Case


@dataclass(frozen=True)
class TaskLevels:
    """Levels of the deep images of some tasks of one depth; `unusual` where no usual range fits them."""

    tasks: tuple[str, ...]
    levels: Levels
    unusual: bool


def find_levels(cases: Iterable[Case], images: Mapping[str, Scan]) -> tuple[dict[str, Levels], list[TaskLevels]]:
    """Levels of each deep image, by path, and the ranges they come from."""
    tasks_of: dict[tuple[str, str], set[str]] = defaultdict(set)
    paths: dict[tuple[str, str], set[str]] = defaultdict(set)
    for case in cases:
        scan = images[case.image]
        if scan.depth and not scan.fault:
            tasks_of[scan.depth, scan.content].add(case.task)
            paths[scan.depth, scan.content].add(case.image)
    levels: dict[str, Levels] = {}
    ranges = []
    for depth in sorted({depth for depth, _ in tasks_of}):
        contents = {content: tasks for (other, content), tasks in tasks_of.items() if other == depth}
        for tasks in _connected(contents.values()):
            members = [path for content, names in contents.items() if names & tasks for path in paths[depth, content]]
            low = min(images[path].low for path in members)
            high = max(images[path].high for path in members)
            levels_of_tasks, unusual = usual_levels(depth, low, high)
            ranges.append(TaskLevels(tuple(sorted(tasks)), levels_of_tasks, unusual))
            levels.update(dict.fromkeys(members, levels_of_tasks))
    return levels, ranges


def _connected(groups: Iterable[set[str]]) -> list[set[str]]:
    """Sets that overlap, joined until none do."""
    joined: list[set[str]] = []
    for group in groups:
        touching = [other for other in joined if other & group]
        joined = [other for other in joined if not other & group] + [group.union(*touching)]
    return joined
