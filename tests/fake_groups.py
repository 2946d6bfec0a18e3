"""Score tables of a study with planted affinities, as its runs would leave them: nothing is trained."""

from pathlib import Path

import numpy as np
import pandas as pd

from aggregation_lab import results
from aggregation_lab.manifest import Manifest
from analysis.grouping.local_search import members_of
from analysis.study import StudyTables
from analysis.validation.grouping.simulate_groups import GroupDesign, GroupStudy, simulate_groups

SMALL = GroupDesign(tasks=6, groups=2, seeds=3, contradicting=1, related=3, units=3)


def group_tables(
    design: GroupDesign = SMALL, seed: int = 0, aggregations: tuple[str, ...] = ("CG", "AU")
) -> StudyTables:
    """TS and some joint aggregations of a simulated study; test scores are the true gains with noise of their own."""
    study = simulate_groups(design, seed)
    return StudyTables(
        Manifest("planted", margins=dict.fromkeys(study.measured.tasks.index, 0.02)), **_tables(study, aggregations)
    )


def _tables(study: GroupStudy, aggregations: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    random, tasks = np.random.default_rng(study.seed), study.measured.tasks
    alone = [(k,) for k in range(len(tasks))]
    partitions = {"TS": alone} | {
        name: [*units, *(one for one in alone if not any(set(one) <= set(unit) for unit in units))]
        for name, units in study.measured.partitions.items()
        if name in aggregations
    }
    curves, scores, runs = [], [], []
    for name, units in partitions.items():
        for k, unit in enumerate(sorted(units)):
            true = study.gains(members_of([unit], len(tasks)))[0]
            for seed in range(study.design.seeds):
                run = {"run": f"{unit}/{seed}", "arm": results.ONLY_ARM, "aggregation": name, "unit": f"unit{k}"}
                shared = np.random.default_rng([study.seed, seed, *unit])  # a unit of two aggregations is one run
                for number in unit:
                    about = {"task": tasks.index[number], **tasks.iloc[number][["type", "group"]]}
                    label = {**run, **about, "fraction": 1.0, "seed": seed}
                    for step, before in ((10, 0.2), (20, 0.0)):
                        value = 0.7 + true[number] + shared.normal(0, 0.005) - before
                        point = {"step": step, "images_seen": 16 * step, "loss": 0.5, "still_improving": False}
                        curves.append({**label, **point, "score": value})
                    score = {"metric": "DSC", "direction": "higher", "split": "test", "n_cases": 20, "n_undefined": 0}
                    value = 0.7 + true[number] + random.normal(0, 0.005)
                    scores.append({**label, **score, "n_train": int(tasks["n_train"].iloc[number]), "value": value})
                ledger = {"tasks": "+".join(tasks.index[list(unit)]), "fraction": 1.0, "seed": seed, "steps": 20}
                spent = {"images_seen": 320, "passes": 1.0, "flops": 1.0, "parameters": 1, "seconds": 60.0 * len(unit)}
                setting = {"train_seconds": 50.0, "peak_memory": 1.0, "converged": True, "device": "cpu"}
                other = {"precision": "fp32", "versions": "none", "started": "2026-01-01T00:00:00Z", "resumes": 0}
                first = {"start": "", "passes_before": 0.0, "flops_before": 0.0}
                runs.append({**run, **ledger, **spent, **setting, **other, **first})
    return {"curves": pd.DataFrame(curves), "scores": pd.DataFrame(scores), "runs": pd.DataFrame(runs)}


def write_tables(folder: Path, study: StudyTables) -> Path:
    """The tables as a folder that `load_study` reads."""
    for name, table in results.TABLES.items():
        rows = getattr(study, name)
        columns = [column.name for column in table.columns]
        results.write_table(
            results.append([] if rows is None else [rows[columns]], table), table, folder / f"{name}.parquet"
        )
    study.manifest.write(folder)
    return folder
