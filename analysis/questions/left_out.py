"""What an analysis leaves out, counted: the frame `excluded`."""

from collections.abc import Collection, Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.contrasts import Contrast
from analysis.frames import frame
from analysis.gains import PairedGain, TaskScores
from analysis.settings import Scale
from analysis.study import Resampled, StudyTables


def excluded(
    study: StudyTables,
    scores: Sequence[TaskScores],
    resampled: Resampled | None,
    pairs: Mapping[tuple[Contrast, float], Sequence[PairedGain]],
    scale: Scale,
    of_arms: Sequence[Mapping[Hashable, object]] = (),
) -> pd.DataFrame:
    """The frame `excluded`: what the source left out, undefined and unpaired scores, cases, tasks in other units, and
    last the rows of comparisons of arms."""
    rows = study.excluded.to_dict("records")
    lacking = "a seed under both aggregations"
    if scale != "absolute":
        near = " (as over base scores near 0)" if scale == "relative" else ""
        lacking += f", or{near} with an undefined {scale} gain"
    undefined = sum(int(np.isnan(task.values).sum()) for task in scores)
    rows.append({"table": "scores", "rows": undefined, "reason": "undefined score (no pair made of it)"})
    for (contrast, fraction), members in pairs.items():
        where = f"{contrast.name} at fraction {fraction:g}"
        unpaired = sum(pair.unpaired for pair in members)
        rows.append({"table": "scores", "rows": unpaired, "reason": f"{where}: seed on one side only"})
        unused = _never_paired(scores, contrast, fraction, {pair.task for pair in members})
        reason = f"{where}: tasks without {lacking}: {', '.join(unused)}"
        rows.append({"table": "scores", "rows": sum(unused.values()), "reason": reason})
    by_task = resampled.tasks if resampled else {}
    cases = sum(task.left_out for task in by_task.values())
    rows.append({"table": "cases", "rows": cases, "reason": "test cases that some run has not scored"})
    for name in sorted({name for task in by_task.values() for name in task.unshared}):
        values = {task: arrays.unshared[name] for task, arrays in by_task.items() if name in arrays.unshared}
        reason = f"values of {name}, which some runs of these tasks were scored without: {', '.join(values)}"
        rows.append({"table": "cases", "rows": sum(values.values()), "reason": reason})
    other = [task.task for task in scores if task.unit != "1"]
    reason = f"tasks without a unit-free score, left out of every mean over tasks: {', '.join(other)}"
    rows.append({"table": "scores", "rows": len(other), "reason": reason})
    return frame("excluded", [*(row for row in rows if row["rows"]), *of_arms])


def _never_paired(
    scores: Sequence[TaskScores], contrast: Contrast, fraction: float, paired: Collection[str]
) -> dict[str, int]:
    """Tasks of which a contrast has no pair, and how many scores of theirs stay unused by it."""
    sides = [(name, fraction) for name in (contrast.joint, contrast.base)]
    counts = {task.task: sum(len(task.arm_index.get(side, {})) for side in sides) for task in scores}
    return {task: count for task, count in counts.items() if count and task not in paired}
