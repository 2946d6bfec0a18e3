"""Made-up frames on grouping, for `fake_analysis`."""

import numpy as np
import pandas as pd

from analysis.grouping.predicted_gain import BASELINE, MODEL, SIGNAL, WHOLE
from analysis.grouping.set_features import NAIVE


def grouping(about: pd.DataFrame, joint: list[str], random: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Every frame of `analysis.frames.grouping`."""
    names = list(about["task"])
    predicted = []
    for aggregation in joint:
        for task in about.itertuples():
            gain = random.normal(0.01, 0.02)
            expected = gain / 2 + random.normal(0, 0.01)
            predicted.append(
                {"aggregation": aggregation, "unit": "all", "task": task.task, "type": task.type, "group": task.group}
                | {"partners": "+".join(name for name in names if name != task.task), "gain": gain, "se": 0.006}
                | {"test_gain": gain + 0.01, "predicted": expected, "low": expected - 0.03, "high": expected + 0.03}
                | {"predicted_set": gain / 3, "rank_correlation": 0.81, "rank_correlation_set": 1.0}
            )
    errors = [
        {"predictor": name, "kind": kind, "tasks": len(about), "gains": len(predicted), "error_new_task": 0.03}
        | {"error_new_set": 0.02, "skill": 0.1, "skill_error": 0.08, "used": used, "reason": "because"}
        for name, kind, used in (
            *((name, BASELINE, False) for name in NAIVE),
            ("lookahead", SIGNAL, True),
            (MODEL, WHOLE, True),
        )
    ]
    errors[-1]["reason"] = "uses lookahead"
    half = max(1, len(names) // 2)
    found = [
        {"unit": f"unit_{1 + (place >= half)}", "task": task.task, "type": task.type, "group": task.group}
        | {"partners": "+".join(names[:half]), "predicted": 0.02, "low": -0.01, "high": 0.05}
        | {"why": "lookahead +0.012, against the mean trained set"}
        for place, task in enumerate(about.itertuples())
    ]
    text = f"{' + '.join(names[:half])} | {' + '.join(names[half:])}"
    partitions = [
        {"partition": name, "trained": True, "units": 3, "tasks": text, "hours": 1.0 + 0.4 * place}
        | {"score": 0.7 + place / 90, "gain": place / 90, "low": np.nan, "high": np.nan, "pareto": True}
        | {"hours_guessed": False}
        for place, name in enumerate(["TS", *joint])
    ] + [
        {"partition": f"found, {units} units", "trained": False, "units": units, "tasks": text}
        | {"hours": 1.1 + units / 9, "score": 0.72, "gain": 0.02, "low": 0.01, "high": 0.03, "pareto": False}
        | {"hours_guessed": True}
        for units in (2, 3, 4)
    ]  # fmt: skip
    return {
        "prediction_errors": pd.DataFrame(errors),
        "predicted_gains": pd.DataFrame(predicted),
        "found_means": pd.DataFrame(
            [
                {"contrast": f"{joint[0]}-TS", "which": which, "seeds": seeds, "gain": 0.02, "low": 0.01, "high": 0.03}
                for which, seeds in (("of the choice", 2), ("later", 3))
            ]
        ),
        "partitions": pd.DataFrame(partitions),
        "found_groups": pd.DataFrame(found),
    }
