"""Made-up result frames, every one of `FRAMES` filled: what tables, figures and reports are tried on.

The numbers are plausible, not computed: nothing may be concluded from how the frames fit each other.
"""

from itertools import pairwise, product

import numpy as np
import pandas as pd

from aggregation_lab.manifest import Manifest
from aggregation_lab.tasks import TaskType
from analysis.frames import FRAMES, frame, ordered
from analysis.questions.task_gains import HEADLINE, SMALLER
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.statistics.verdicts import BENEFIT, HARM, NO_LOSS, SAME_MODEL, UNDECIDED
from analysis.study import StudyTables

FRACTIONS = (0.25, 0.5, 1.0)
TYPES = tuple(str(name) for name in TaskType)
GROUPS = ("breast", "lung", "obstetrics", "thyroid", "gynaecology", "abdomen", "cardiac", "neuro", "vascular")
ENDS = ("lesion", "3cls", "nodule_det", "caliper", "multi", "lesion_caliper")


def fake_analysis(
    tasks: int = 10,
    fractions: tuple[float, ...] = FRACTIONS,
    aggregations: tuple[str, ...] = ("TS", "CG", "AU"),
    seed: int = 0,
) -> Analysis:
    """An analysis in which no frame is empty; the first task has the same model in TS and CG."""
    random = np.random.default_rng(seed)
    about = _about(tasks, random)
    joint = [name for name in aggregations if name != "TS"]
    contrasts = [f"{name}-TS" for name in joint] + ["AU-CG"]
    gains = _gains(about, contrasts, fractions, random)
    frames = {
        "gains": gains,
        "seed_gains": _seed_gains(gains, random),
        "scores": _scores(about, aggregations, fractions, random),
        "pooled": _pooled(gains),
        "data": _data(about, fractions),
        **_lines(about, contrasts, fractions, random),
        **_types(gains, contrasts, fractions, random),
        **_advice(about, joint, random),
        **_budget(about, gains, aggregations, fractions, random),
        **_routing(about, random),
        "learning_curves": _curves(about, aggregations, random),
        "findings": _findings(),
        "excluded": frame("excluded", [{"table": "cases", "rows": 1200, "reason": "validation rows"}]),
    }
    sides = {f"{name}-TS": (name, "TS") for name in joint} | {"AU-CG": ("AU", "CG"), "CG-TS minus AU-TS": ("CG", "AU")}
    whole = {name: ordered(name, _with_sides(rows, sides)) for name, rows in frames.items()}
    assert set(whole) == set(FRAMES)
    return Analysis(_study(about, aggregations, fractions), Settings(), whole, ("two tasks have one seed only",))


def some_columns(name: str, rows: list[dict]) -> pd.DataFrame:
    """A frame of which only some columns matter: the others are missing values."""
    return frame(name, [dict.fromkeys(FRAMES[name], np.nan) | row for row in rows])


def _with_sides(rows: pd.DataFrame, sides: dict[str, tuple[str, str]]) -> pd.DataFrame:
    if "contrast" not in rows:
        return rows
    pairs = [sides.get(name, (name, name)) for name in rows["contrast"]]
    return rows.assign(joint=[pair[0] for pair in pairs], base=[pair[1] for pair in pairs])


def empty_analysis() -> Analysis:
    """An analysis of which nothing could be computed: every frame has its columns and no row."""
    frames = {name: frame(name, []) for name in FRAMES}
    return Analysis(_study(_about(1, np.random.default_rng(0)), ("TS",), (1.0,)), Settings(), frames)


def holey_analysis(tasks: int = 10) -> Analysis:
    """The frames of `fake_analysis` as one seed without cases leaves them: no intervals, no p, nothing decided."""
    known = {"gain", "base_score", "joint_score", "base_raw", "joint_raw", "mean", "score", "slope", "fit", "n"}
    known |= {"fraction", "n_train", "n_low", "n_high", "share", "similarity", "estimate"}
    whole = fake_analysis(tasks)
    frames = {}
    for name, rows in whole.frames.items():
        blank = [column for column in rows.select_dtypes("floating").columns if column not in known]
        frames[name] = rows.assign(**{column: np.nan for column in blank})
    frames["gains"] = frames["gains"].assign(verdict=UNDECIDED, basis="none")
    return Analysis(whole.study, whole.settings, frames)


def _about(tasks: int, random: np.random.Generator) -> pd.DataFrame:
    groups = [GROUPS[place % (5 if tasks <= 10 else 9)] for place in range(tasks)]
    names = [f"{group}_{ENDS[place % len(ENDS)]}" for place, group in enumerate(groups)]
    types = [TYPES[place % len(TYPES)] for place in range(tasks)]
    names = [name if name not in names[:place] else f"{name}_{place}" for place, name in enumerate(names)]
    n_full = np.round(np.exp(random.uniform(np.log(150), np.log(5000), tasks))).astype(int)
    return pd.DataFrame({"task": names, "type": types, "group": groups, "n_full": n_full})


def _study(about: pd.DataFrame, aggregations: tuple[str, ...], fractions: tuple[float, ...]) -> StudyTables:
    rows = [
        {"aggregation": name, "task": task.task, "type": task.type, "group": task.group, "fraction": share}
        for task, name, share in product(about.itertuples(), aggregations, fractions)
    ]
    return StudyTables(Manifest("fake", version="1", planned=90, finished=90), pd.DataFrame(rows))


def _n(task, share: float) -> int:
    return max(1, round(task.n_full * share))


def _gains(about, contrasts, fractions, random) -> pd.DataFrame:
    rows = []
    for contrast, share, (place, task) in product(contrasts, fractions, enumerate(about.itertuples())):
        level = {"CG-TS": 0.012, "AU-TS": 0.005}.get(contrast, -0.005)
        gain = level - 0.015 * np.log2(_n(task, share) / 700) + random.normal(0, 0.03)
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
                "n_train": float(_n(task, share)),
                "seeds": 3,
                "family": HEADLINE if share == 1.0 else SMALLER,
                "subjects": 60 + place,
                "metric": metric,
                "unit": "px" if metric == "MRE" else "1",
                "base_raw": raw[0],
                "joint_raw": raw[1],
                "base_score": base,
                "relative": gain / base,
                "joint_score": base + gain,
                "gain": gain,
                "low": gain - 2 * se,
                "high": gain + 2 * se,
                "se": se,
                "df": 12.5,
                "seed_share": 0.6,
                "case_share": 0.4,
                "basis": "seeds and cases",
                "undefined_draws": 0,
                "margin": 0.02 if place % 3 else 0.03,
                "p": p,
                "p_adjusted": float(np.minimum(1.0, 2 * p)),
                "low_adjusted": low,
                "high_adjusted": high,
                "p_loss": p / 2,
                "p_loss_adjusted": p,
                "verdict": SAME_MODEL if same else verdict,
                "supported_margin": float(np.maximum(0.0, -low)),
                "power": random.uniform(0.2, 0.95),
                "base_improving": bool(place % 4 == 1),
                "joint_improving": bool(place % 5 == 2),
            }
        )
    return pd.DataFrame(rows)


def _seed_gains(gains, random) -> pd.DataFrame:
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


def _scores(about, aggregations, fractions, random) -> pd.DataFrame:
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
                "n_train": float(_n(task, share)),
                "n_test": 60 + place,
                "metric": metric,
                "unit": "px" if points else "1",
                "mean": random.uniform(8, 14) if points else random.uniform(0.4, 0.9),
                "sd": random.uniform(0.2, 1.2) if points else random.uniform(0.005, 0.05),
                "seeds": 3,
                "score": random.uniform(0.5, 0.9),
                "floor": 15.0 if points else 0.45,
                "beats_floor": bool(place % 7 != 3),
                "verdict": "" if name == "TS" else (HARM, BENEFIT, NO_LOSS, UNDECIDED, SAME_MODEL)[place % 5],
                "still_improving": bool(place % 4 == 1),
            }
        )
    return pd.DataFrame(rows)


def _pooled(gains) -> pd.DataFrame:
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


def _data(about, fractions) -> pd.DataFrame:
    rows = [
        {
            "task": task.task,
            "type": task.type,
            "group": task.group,
            "metric": TaskType.of(task.type).primary.name,
            "fraction": share,
            "n_train": float(_n(task, share)),
            "n_test": 80,
            "subjects": 60,
            "margin": 0.02,
        }
        for task, share in product(about.itertuples(), fractions)
    ]
    return pd.DataFrame(rows)


def _line(level, slope, n) -> dict[str, object]:
    x = np.log2(n / 800)
    half = 0.012 + 0.006 * np.abs(x)
    fit = level + slope * x
    return {"n": n, "fit": fit, "low": fit - half, "high": fit + half}


def _lines(about, contrasts, fractions, random) -> dict[str, pd.DataFrame]:
    across, across_line, influence, within, within_line = [], [], [], [], []
    n = np.geomspace(about["n_full"].min(), about["n_full"].max(), 60)
    for contrast in contrasts:
        crossing = {"n_star": 1200.0, "n_star_low": 500.0, "n_star_high": 2600.0, "crossover": "stops paying"}
        if contrast == "CG-TS":
            crossing = dict.fromkeys(crossing, np.nan) | {"crossover": "undetermined"}
        if contrast == "AU-CG":
            crossing["n_star_high"] = np.nan
        slope = {"slope": -0.012, "low": -0.02, "high": -0.004, "p": 0.0004}
        for scope, method in product(("all", TYPES[0]), ("mixed model", "OLS")):
            across.append(
                {"contrast": contrast, "fraction": max(fractions), "scope": scope, "method": method}
                | {"tasks": len(about), "groups": 5, "level": 0.008, "sd_group": 0.01, "sd_task": 0.02}
                | {
                    "converged": True,
                    "note": "errors clustered by task" if method == "OLS" else "",
                    "base_improving": 3,
                }
                | slope
                | crossing
            )
        across_line += [
            pd.DataFrame({"contrast": contrast, "scope": scope, **_line(level, -0.012, n)})
            for scope, level in (("all", 0.007), (TYPES[0], 0.02))
        ]
        influence += [
            {"contrast": contrast, "task": name, "slope_without": -0.011, "change": 0.001, "change_in_se": 0.25}
            for name in about["task"]
        ]
        scopes = [("task", task.task, task.type, task.group, task.n_full) for task in about.itertuples()]
        scopes += [("pooled", name, name, "all", about["n_full"].mean()) for name in ("all", *TYPES)]
        for place, (level, name, kind, group, top) in enumerate(scopes):
            sizes = np.geomspace(top * min(fractions), top, 60)
            within.append(
                {"contrast": contrast, "level": level, "name": name, "type": kind, "group": group}
                | {"tasks": 1 if level == "task" else 3, "n_min": sizes[0], "n_max": sizes[-1]}
                | {"base_improving": place % 4 == 1}
                | slope
                | crossing
            )
            drawn = _line(0.005 + random.normal(0, 0.01), -0.012, sizes)
            share = sizes / top
            within_line.append(
                pd.DataFrame({"contrast": contrast, "level": level, "name": name, **drawn, "fraction": share})
            )
    return {
        "across": pd.DataFrame(across),
        "across_line": pd.concat(across_line, ignore_index=True),
        "influence": pd.DataFrame(influence),
        "within": pd.DataFrame(within),
        "within_line": pd.concat(within_line, ignore_index=True),
    }


def _types(gains, contrasts, fractions, random) -> dict[str, pd.DataFrame]:
    sensitivity, tests, stability = [], [], []
    for (contrast, share, kind), part in gains.groupby(["contrast", "fraction", "type"], sort=False):
        mean = part["gain"].mean()
        sensitivity.append(
            {"contrast": contrast, "fraction": share, "type": kind, "tasks": len(part), "gain": mean}
            | {"low": mean - 0.02, "high": mean + 0.02, "harmed": (part["verdict"] == HARM).mean()}
            | {"negative": (part["gain"] < 0).mean(), "against_others": mean - 0.01}
            | {"others_low": mean - 0.04, "others_high": mean + 0.02, "p": 0.31}
            | {"base_improving": int(part["base_improving"].sum())}
        )
    for contrast, share in product(contrasts, fractions):
        tests.append(
            {"contrast": contrast, "fraction": share, "tasks": 10, "types": 4, "statistic": 2.31, "p": 0.082}
            | {"note": "few tasks per type"}
        )
    differences = [f"{a} minus {b}" for a, b in pairwise(contrasts[:2])]
    for contrast, scope in product(
        [*contrasts, *differences], ("all fractions", *(f"fraction {x:g}" for x in fractions))
    ):
        spread, worst = random.uniform(0.01, 0.03), -random.uniform(0.01, 0.05)
        stability.append(
            {"contrast": contrast, "scope": scope, "cells": 15 if scope == "all fractions" else 5, "spread": spread}
            | {"spread_low": spread - 0.006, "spread_high": spread + 0.008, "worst": worst}
            | {"worst_low": worst - 0.02, "worst_high": worst + 0.02, "worst_cell": "thyroid at 0.25"}
            | {"harmed": 0.12, "negative": 0.41, "negative_low": 0.28, "negative_high": 0.52, "base_improving": 4}
        )
    return {name: pd.DataFrame(rows) for name, rows in zip(_TYPE_FRAMES, (sensitivity, tests, stability), strict=True)}


_TYPE_FRAMES = ("sensitivity", "type_test", "stability")


def _advice(about, joint, random) -> dict[str, pd.DataFrame]:
    guidelines = []
    for (kind, group), part in about.groupby(["type", "group"]):
        top = float(part["n_full"].max())
        for place, (low, high) in enumerate(((top / 4, top / 2), (top / 2, top))):
            advice = random.choice(["TS", *joint, "undecided"])
            guidelines.append(
                {"type": kind, "group": group, "n_low": low, "n_high": high, "advice": advice}
                | {"expected": "CG +0.012 [-0.004, 0.028], gains 94 %; AU +0.005 [-0.010, 0.020], gains 71 %"}
                | {"chance": 0.94, "harm": 0.01, "tasks": 3 + place}
                | {"reason": "the interval of the best joint aggregation excludes a loss as large as the margin"}
                | {"base_improving": place if kind == TYPES[0] else 0}
            )
    regret = [
        {"scheme": scheme, "rule": rule, "tasks": len(about), "regret": 0.011, "low": 0.004, "high": 0.02}
        | {"worst": 0.06, "abstained": 0.4 if rule == "guideline" else np.nan}
        for scheme in ("leave one task out", "leave one group out")
        for rule in ("guideline", "always TS", *(f"always {name}" for name in joint))
    ]
    return {"guidelines": pd.DataFrame(guidelines), "regret": pd.DataFrame(regret)}


def _budget(about, gains, aggregations, fractions, random) -> dict[str, pd.DataFrame]:
    ledger = [
        {"aggregation": name, "fraction": share, "runs": 30, "images_seen": 1.2e6 * share, "steps": 37_500 * share}
        | {"flops": 3.1e17 * share, "hours": 5.25 * share, "passes_low": 20.0, "passes_high": 43.5}
        | {"flops_ratio": 1.0 + 0.02 * place, "still_improving": 0.2, "beats_floor": 0.9}
        for (place, name), share in product(enumerate(aggregations), fractions)
    ]
    full = gains[gains["fraction"] == gains["fraction"].max()]
    power = [
        {"contrast": row.contrast, "task": row.task, "type": row.type, "group": row.group, "margin": row.margin}
        | {"seeds": 3, "sd_seed": 0.014, "se_cases": 0.008, "detectable": 0.034, "seeds_to_detect": 9.0}
        | {"seeds_to_exclude": np.nan, "hours_per_seed": 2.5, "hours": np.nan}
        | {"limit": "test cases: their error alone is larger than the margin allows"}
        for row in full.itertuples()
    ]
    multiverse = [
        {"contrast": row.contrast, "fraction": row.fraction, "task": row.task, "verdict": row.verdict}
        | {"choices": 24, "share": 0.75, HARM: 0.05, BENEFIT: 0.1, NO_LOSS: 0.1, UNDECIDED: 0.75}
        for row in full[full["verdict"] != SAME_MODEL].itertuples()
    ]
    return {"ledger": pd.DataFrame(ledger), "power": pd.DataFrame(power), "multiverse": pd.DataFrame(multiverse)}


def _routing(about, random) -> dict[str, pd.DataFrame]:
    usage, similarity = [], []
    for task in about.itertuples():
        for block in range(6, 12):
            usage += [
                {"aggregation": "AU", "task": task.task, "group": task.group, "block": block}
                | {"expert": expert, "share": share}
                for expert, share in enumerate(random.dirichlet(np.full(4, 2.0)))
            ]
    for first, second in product(about.itertuples(), about.itertuples()):
        value = 1.0 if first.task == second.task else 0.5 + 0.3 * (first.group == second.group)
        similarity.append({"aggregation": "AU", "task": first.task, "other": second.task, "similarity": value})
    return {"usage": pd.DataFrame(usage), "similarity": pd.DataFrame(similarity)}


def _curves(about, aggregations, random) -> pd.DataFrame:
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


def _findings() -> pd.DataFrame:
    verdicts = ("supported", "contradicted", "undecided", "not testable")
    rows = [
        {"finding": place + 1, "claim": "CG is more stable than AU", "part": "spread over groups and fractions"}
        | {"estimate": -0.004, "low": -0.011, "high": 0.002, "p": 0.19, "verdict": verdict}
        | {"effect": "spread of CG smaller by 0.004", "evidence": "stability, pooled"}
        for place, verdict in enumerate(verdicts)
    ]
    return pd.DataFrame(rows)
