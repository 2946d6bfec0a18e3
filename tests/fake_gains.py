"""Made-up frames of scores, gains and data, for `fake_analysis`."""

from itertools import product

import numpy as np
import pandas as pd

from aggregation_lab.tasks import TaskType
from analysis.questions.families import HEADLINE, SMALLER
from analysis.statistics.verdicts import BENEFIT, HARM, NO_LOSS, SAME_MODEL, UNDECIDED

TYPES = tuple(str(name) for name in TaskType)


def n(task, share: float) -> int:
    return max(1, round(task.n_full * share))


def gains(about, contrasts, fractions, random) -> pd.DataFrame:
    rows = []
    for contrast, share, (place, task) in product(contrasts, fractions, enumerate(about.itertuples())):
        level = {"CG-TS": 0.012, "AU-TS": 0.005}.get(contrast, -0.005)
        gain = level - 0.015 * np.log2(n(task, share) / 700) + random.normal(0, 0.03)
        se = random.uniform(0.006, 0.02)
        same = place == 0 and contrast == "CG-TS"
        gain, se = (0.0, np.nan) if same else (gain, se)
        low, high = gain - 2.8 * se, gain + 2.8 * se
        verdict = BENEFIT if low > 0 else NO_LOSS if low > -0.03 else HARM if high < 0 else UNDECIDED
        metric = TaskType.of(task.type).primary.name
        base = 0.7 + 0.02 * place % 0.2
        raw = (12.0, 12.0 - 60 * gain) if metric == "MRE" else (base, base + gain)
        p = float(np.exp(-((gain / se) ** 2) / 2))
        rows.append(
            {
                "contrast": contrast,
                "fraction": share,
                "task": task.task,
                "type": task.type,
                "group": task.group,
                "n_train": float(n(task, share)),
                "seeds": 3,
                "unpaired": 0,
                "family": HEADLINE if share == 1.0 else SMALLER,
                "repeats": "",
                "own_scatter": False,
                "subjects": 60 + place,
                "metric": metric,
                "unit": "px" if metric == "MRE" else "1",
                "base_raw": raw[0],
                "joint_raw": raw[1],
                "base_score": base,
                "relative": gain / base,
                "joint_score": base + gain,
                "gain": gain,
                "gain_unit": "1",
                "low": gain - 2 * se,
                "high": gain + 2 * se,
                "se": se,
                "df": 12.5,
                "seed_share": 0.6,
                "case_share": 0.4,
                "basis": "seeds and cases",
                "undefined_draws": 0,
                "rarest_class": 25.0 if task.type == "classification" else np.nan,
                "margin": 0.02 if place % 3 else 0.03,
                "p": p,
                "p_adjusted": float(np.minimum(1.0, 2 * p)),
                "low_adjusted": low,
                "high_adjusted": high,
                "p_loss": p / 2,
                "p_loss_adjusted": p,
                "verdict": SAME_MODEL if same else verdict,
                "exceeds_margin": verdict == BENEFIT and low > 0.03,
                "supported_margin": float(np.maximum(0.0, -low)),
                "power": random.uniform(0.2, 0.95),
                **_decide(verdict == UNDECIDED and not same),
                "joint_passes": 20.0,
                "base_passes": 25.0 if place == 3 else 20.0,
                "compute_ratio": 0.8 if place == 3 else 1.0,
                "learned_nothing": False,
                "base_improving": bool(place % 4 == 1),
                "joint_improving": bool(place % 5 == 2),
                "base_rising": float(2 * (place % 4 == 1)),
                "base_curves": 3.0,
                "joint_rising": float(place % 5 == 2),
                "joint_curves": 3.0,
            }
        )
    return pd.DataFrame(rows)


def _decide(undecided: bool) -> dict[str, object]:
    if not undecided:
        plan = {"detectable": np.nan, "more_replicates": np.nan, "more_test_subjects": np.nan}
        return plan | {"decided_by": np.nan, "would_decide": ""}
    plan = {"detectable": 0.041, "more_replicates": 14.0, "more_test_subjects": 186.0, "decided_by": "both"}
    return plan | {"would_decide": "would notice ±0.041; 14 more seeds and about 250 test subjects (64 now)"}


def seed_gains(gains, random) -> pd.DataFrame:
    keep = ["contrast", "fraction", "task", "type", "group", "n_train", "joint_score", "base_score", "gain"]
    parts = [
        gains[keep].assign(
            seed=seed,
            gain=gains["gain"] + random.normal(0, 0.01, len(gains)),
            joint_run=[f"j{seed}-{place}" for place in range(len(gains))],
            base_run=[f"b{seed}-{place}" for place in range(len(gains))],
        )
        for seed in range(3)
    ]
    return pd.concat(parts, ignore_index=True)


def scores(about, aggregations, fractions, random) -> pd.DataFrame:
    rows = []
    for name, share, (place, task) in product(aggregations, fractions, enumerate(about.itertuples())):
        metric = TaskType.of(task.type).primary.name
        points = metric == "MRE"
        rows.append(
            {
                "aggregation": name,
                "fraction": share,
                "task": task.task,
                "type": task.type,
                "group": task.group,
                "n_train": float(n(task, share)),
                "n_test": 60 + place,
                "metric": metric,
                "unit": "px" if points else "1",
                "direction": "lower" if points else "higher",
                "mean": random.uniform(8, 14) if points else random.uniform(0.4, 0.9),
                "sd": random.uniform(0.2, 1.2) if points else random.uniform(0.005, 0.05),
                "seeds": 3,
                "score": random.uniform(0.5, 0.9),
                "floor": 15.0 if points else 0.45,
                "beats_floor": bool(place % 7 != 3),
                "verdict": "" if name == "TS" else (HARM, BENEFIT, NO_LOSS, UNDECIDED, SAME_MODEL)[place % 5],
                "still_improving": bool(place % 4 == 1),
                "rising": float(2 * (place % 4 == 1)),
                "curves": 3.0,
            }
        )
    return pd.DataFrame(rows)


def collapsed(of_scores: pd.DataFrame) -> pd.DataFrame:
    """One of three runs of the last aggregation, on the third task, is at the floor."""
    last = of_scores[of_scores["aggregation"] == of_scores["aggregation"].iloc[-1]]
    row = last[last["fraction"] == last["fraction"].max()].iloc[:3].iloc[-1]
    kept = {name: row[name] for name in ("aggregation", "fraction", "task", "type", "group", "metric", "unit", "floor")}
    about: dict[str, object] = {"seed": 1, "run": "b1-1", "runs": 3, "reason": "the same answer for every test case"}
    return pd.DataFrame([kept | about | {"value": row["floor"], "others_low": row["mean"], "others_high": row["mean"]}])


def reference(of_scores: pd.DataFrame) -> pd.DataFrame:
    """A plain network a little below TS, on every fifth task a good deal above."""
    rows = of_scores[of_scores["aggregation"] == of_scores["aggregation"].iloc[0]].reset_index(drop=True)
    difference = np.where(np.arange(len(rows)) % 5 == 2, -0.05, 0.02)
    return rows.drop(columns=["aggregation", "n_test", "verdict", "still_improving", "rising", "curves"]).assign(
        reference="ResNet18",
        base_mean=rows["mean"] + difference,
        base_sd=rows["sd"],
        base_score=rows["score"] + difference,
        difference=difference,
        difference_unit=rows["unit"],
        low=difference - 0.01,
        high=difference + 0.01,
        margin=0.02,
        weak_base=difference < -0.02,
    )


def pooled(gains) -> pd.DataFrame:
    rows = []
    for (contrast, share), part in gains.groupby(["contrast", "fraction"], sort=False):
        sets = [("overall", "all", part)]
        sets += [(level, name, members) for level in ("type", "group") for name, members in part.groupby(level)]
        for level, name, members in sets:
            used = members[members["verdict"] != SAME_MODEL]
            mean, half = used["gain"].mean(), 0.02 / np.sqrt(max(1, len(used)))
            new = half * 2.2 if len(used) > 2 else np.nan
            rows.append(
                {
                    "contrast": contrast,
                    "fraction": share,
                    "level": level,
                    "name": name,
                    "tasks": len(used),
                    "same_model": len(members) - len(used),
                    "learned_nothing": 0,
                    "base_improving": int(used["base_improving"].sum()),
                    "gain": mean,
                    "low": mean - half,
                    "high": mean + half,
                    "p": 0.034,
                    "gaining": int((used["gain"] > 0).sum()),
                    "median": used["gain"].median(),
                    "low_new": mean - new,
                    "high_new": mean + new,
                    "p_new": 0.21 if len(used) > 2 else np.nan,
                    "sd_tasks": used["gain"].std(),
                }
            )
    return pd.DataFrame(rows)


def data(about, fractions) -> pd.DataFrame:
    rows = [
        {
            "task": task.task,
            "type": task.type,
            "group": task.group,
            "metric": TaskType.of(task.type).primary.name,
            "fraction": share,
            "n_train": float(n(task, share)),
            "n_test": 80,
            "subjects": 60,
            "margin": 0.02,
            "margin_raw": 5.6 if TaskType.of(task.type).primary.name == "MRE" else 0.02,
            "margin_share": 0.08,
        }
        for task, share in product(about.itertuples(), fractions)
    ]
    return pd.DataFrame(rows)


def curves(about, aggregations, random) -> pd.DataFrame:
    parts = []
    share = np.linspace(0.1, 1, 10)
    for (place, task), name, seed in product(enumerate(about.itertuples()), aggregations, range(3)):
        level = random.uniform(0.6, 0.85)
        parts.append(
            pd.DataFrame(
                {"aggregation": name, "task": task.task, "type": task.type, "group": task.group, "seed": seed}
                | {"share": share, "score": level * (1 - np.exp(-4 * share)) + random.normal(0, 0.01, 10)}
                | {"still_improving": place % 4 == 1 and name != "CG"}
            )
        )
    return pd.concat(parts, ignore_index=True)
