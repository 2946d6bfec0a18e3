"""The rule of `guidelines` as a table: what it advises for each type of task, clinical group and range of sizes."""

import numpy as np
import pandas as pd

from analysis.frames import frame
from analysis.questions.advice.guidelines import ANY_GROUP, Rule

EVERY_GROUP = "any"
"""What stands in place of all groups where the rule tells none of them apart."""

_SIZES = 25


def guideline_table(rule: Rule, rows: pd.DataFrame) -> pd.DataFrame:
    """The frame `guidelines`: for each type, its groups and any other group, the sizes at which the advice changes, or
    of which aggregations something is expected. One row for all groups where the fits tell none apart."""
    table, improving = [], set(rows.loc[rows["base_improving"], "task"])
    for task_type in rule.types:
        of_type = rows[rows["type"] == task_type]
        edges = _edges(rule, task_type)
        sizes = np.sqrt(edges[:-1] * edges[1:]) if len(edges) > 1 else edges
        named = [*sorted(set(of_type["group"])), ANY_GROUP] if rule.tells_groups_apart() else [EVERY_GROUP]
        for group in named:
            advised = [rule.recommend(float(n), task_type, group) for n in sizes]
            alike = [(each.advice, tuple(each.unknown)) for each in advised]
            starts = [0] + [k for k in range(1, len(sizes)) if alike[k] != alike[k - 1]]
            for start, stop in zip(starts, [*starts[1:], len(sizes)], strict=True):
                middle = advised[(start + stop - 1) // 2]
                fitted = of_type[of_type["joint"] == middle.advice] if middle.advice in rule.fits else of_type
                tasks = set(fitted["task"])
                advised_on = [outcome for outcome in middle.expected if outcome.aggregation == middle.advice]
                best = max(advised_on or middle.expected, key=lambda outcome: outcome.chance, default=None)
                table.append(
                    {
                        "type": task_type,
                        "group": group,
                        "n_low": float(edges[start]),
                        "n_high": float(edges[min(stop, len(edges) - 1)]),
                        "advice": middle.advice,
                        "expected": middle.in_words,
                        "chance": best.chance if best else float("nan"),
                        "harm": best.harm if best else float("nan"),
                        "tasks": len(tasks),
                        "reason": middle.reason,
                        "base_improving": len(tasks.intersection(improving)),
                    }
                )
    return frame("guidelines", table)


def _edges(rule: Rule, task_type: str) -> np.ndarray:
    """Sizes between which advice is asked for: evenly on the log scale, and where what was seen begins and ends."""
    low, high = rule.sizes(task_type)
    if not high > low:
        return np.array([low])
    of_type = [seen for (_, kind), seen in rule.seen.items() if kind == task_type and seen.enough]
    ends = [end for seen in of_type for end in (seen.low, seen.high)]
    return np.unique(np.concatenate([np.geomspace(low, high, _SIZES + 1)[1:-1], [low, high], ends]))
