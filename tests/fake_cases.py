"""Made-up frames of single cases, for `fake_analysis`."""

import numpy as np
import pandas as pd

from aggregation_lab.tasks import TaskType
from analysis.cases.parts import case_parts
from analysis.statistics.verdicts import SAME_MODEL

CASES = 12
TASKS = 2
"""Of the first tasks alone: each is a figure of a report."""


def cases(gains: pd.DataFrame, random: np.random.Generator) -> dict[str, pd.DataFrame]:
    full = gains[(gains["fraction"] == gains["fraction"].max()) & (gains["verdict"] != SAME_MODEL)]
    first = list(dict.fromkeys(full["task"]))[:TASKS]
    parts = []
    for row in full[full["task"].isin(first)].itertuples():
        base, change = random.uniform(0.3, 0.9, CASES), random.normal(row.gain, 0.1, CASES)
        about = {name: getattr(row, name) for name in ("contrast", "fraction", "task", "type", "group")}
        parts.append(
            pd.DataFrame(
                {
                    **about,
                    "case": [f"{row.task}/images/{place:02d}.png" for place in range(CASES)],
                    "subject": [f"patient {place // 2}" for place in range(CASES)],
                    "score": TaskType.of(row.type).case_score,
                    "joint_score": base + change,
                    "base_score": base,
                    "gain": change,
                    "seeds": 3,
                    "shown_seed": random.integers(0, 3, CASES),
                    "class": [str(place % 2) for place in range(CASES)],
                    "source": "images",
                    "image_size": random.uniform(300, 900, CASES),
                    "target_size": random.uniform(0.01, 0.4, CASES),
                }
            )
        )
    rows = pd.concat(parts, ignore_index=True)
    with_sides = rows.assign(joint="", base="")
    return {"case_gains": rows, "case_parts": case_parts(with_sides).drop(columns=["joint", "base"])}
