"""Made-up frames of the questions that are asked of gains, for `fake_analysis`."""

from itertools import pairwise, product

import numpy as np
import pandas as pd

from analysis.statistics.verdicts import BENEFIT, HARM, NO_LOSS, SAME_MODEL, UNDECIDED
from tests.fake_gains import TYPES

TYPE_FRAMES = ("sensitivity", "type_test", "stability")


def line(level, slope, n) -> dict[str, object]:
    x = np.log2(n / 800)
    half = 0.012 + 0.006 * np.abs(x)
    fit = level + slope * x
    return {"n": n, "fit": fit, "low": fit - half, "high": fit + half}


def lines(about, contrasts, fractions, random) -> dict[str, pd.DataFrame]:
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
            pd.DataFrame({"contrast": contrast, "scope": scope, **line(level, -0.012, n)})
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
            drawn = line(0.005 + random.normal(0, 0.01), -0.012, sizes)
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


def types(gains, contrasts, fractions, random) -> dict[str, pd.DataFrame]:
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
    return {name: pd.DataFrame(rows) for name, rows in zip(TYPE_FRAMES, (sensitivity, tests, stability), strict=True)}


def advice(about, joint, random) -> dict[str, pd.DataFrame]:
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


def budget(about, gains, aggregations, fractions, random) -> dict[str, pd.DataFrame]:
    ledger = [
        {"aggregation": name, "fraction": share, "runs": 30, "images_seen": 1.2e6 * share, "steps": 37_500 * share}
        | {"flops": 3.1e17 * share, "flops_before": 0.0, "hours": 5.25 * share, "passes_low": 20.0, "passes_high": 43.5}
        | {"flops_ratio": 1.0 + 0.02 * place, "still_improving": 0.2, "beats_floor": 0.9}
        for (place, name), share in product(enumerate(aggregations), fractions)
    ]
    full = gains[gains["fraction"] == gains["fraction"].max()]
    power = [
        {"contrast": row.contrast, "task": row.task, "type": row.type, "group": row.group, "margin": row.margin}
        | {"seeds": 3, "subjects": 64, "sd_seed": 0.014, "se_cases": 0.008, "detectable": 0.034, "seeds_to_detect": 9.0}
        | {"seeds_to_exclude": np.nan, "hours_per_seed": 2.5, "hours": np.nan}
        | {"more_replicates": 14.0, "more_test_subjects": 186.0, "decided_by": "both"}
        | {"limit": "test cases: their error alone is larger than the margin allows"}
        for row in full.itertuples()
    ]
    multiverse = [
        {"contrast": row.contrast, "fraction": row.fraction, "task": row.task, "verdict": row.verdict}
        | {"choices": 24, "share": 0.75, HARM: 0.05, BENEFIT: 0.1, NO_LOSS: 0.1, UNDECIDED: 0.75}
        for row in full[full["verdict"] != SAME_MODEL].itertuples()
    ]
    return {"ledger": pd.DataFrame(ledger), "power": pd.DataFrame(power), "multiverse": pd.DataFrame(multiverse)}


def routing(about, random) -> dict[str, pd.DataFrame]:
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


def affinities(about, random) -> dict[str, pd.DataFrame]:
    rows = []
    for signal, (one, other) in product(("lookahead", "image_divergence"), product(about.itertuples(), repeat=2)):
        mean = random.normal(0.01 * (one.group == other.group), 0.004)
        rows += [
            {"aggregation": "AU", "signal": signal, "task": one.task, "group": one.group, "other": other.task}
            | {"mean": mean, "low": mean - 0.003, "high": mean + 0.003, "replicates": 3, "moments": 20}
        ] * (one.task != other.task)
    return {"affinities": pd.DataFrame(rows)}


def findings() -> pd.DataFrame:
    verdicts = ("supported", "contradicted", "undecided", "not testable")
    rows = [
        {"finding": place + 1, "claim": "CG is more stable than AU", "part": "spread over groups and fractions"}
        | {"estimate": -0.004, "low": -0.011, "high": 0.002, "p": 0.19, "verdict": verdict}
        | {"effect": "spread of CG smaller by 0.004", "evidence": "stability, pooled"}
        for place, verdict in enumerate(verdicts)
    ]
    return pd.DataFrame(rows)
