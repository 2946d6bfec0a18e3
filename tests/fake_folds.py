"""Score tables of a study with rotating folds, with cases of which the scores are means."""

import numpy as np
import pandas as pd

from aggregation_lab.manifest import Manifest
from analysis.study import StudyTables

TASKS = [("lung", "detection"), *((f"task{number}", "segmentation") for number in range(5))]
FOLDS, CASES = 5, 8


def folded() -> StudyTables:
    """Six tasks, TS and AU at two fractions, six seeds in five folds; scores are means of case values."""
    random, scores, cases = np.random.default_rng(0), [], []
    for place, (task, kind) in enumerate(TASKS):
        for seed in range(FOLDS + 1):
            numbers = [f"{seed % FOLDS}-{number}" for number in range(CASES)]
            for fraction in (0.5, 1.0):
                for name, gain in (("TS", 0.0), ("AU", 0.01 * place)):
                    values = 0.6 + gain * fraction + random.normal(0, 0.02) + random.normal(0, 0.05, CASES)
                    common = {
                        "run": f"{name}-{task}-{fraction:g}-{seed}", "aggregation": name, "unit": task, "task": task,
                        "type": kind, "group": f"group{place % 3}", "fraction": fraction, "seed": seed, "split": "test",
                    }  # fmt: skip
                    about = {"n_train": round(100 * fraction * (place + 1)), "metric": "score", "direction": "higher"}
                    value = {"value": values.mean(), "n_cases": CASES, "n_undefined": 0}
                    scores.append(common | about | value)
                    own = {"quantity": "value", "index": 0, "value": values, "case": numbers, "subject": numbers}
                    cases.append(pd.DataFrame(common | own))
    manifest = Manifest("folded", settings={"data": {"folds": FOLDS}})
    return StudyTables(manifest, pd.DataFrame(scores), pd.concat(cases, ignore_index=True))
