"""Aggregations that are the same runs as another one, under a second name: they would count its evidence twice."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from aggregation_lab.aggregation import FLOOR, PARADIGMS
from analysis.frames import frame
from analysis.study import StudyTables


def copies(study: StudyTables) -> dict[str, str]:
    """By name of a partition that is not TS, CG or AU: the aggregation before it that has all of its runs, and no
    other."""
    rows = study.scores[(study.scores["aggregation"] != FLOOR) & (study.scores["run"] != "")]
    keys = [name for name in ("arm", "task", "fraction", "seed", "run") if name in rows]
    models = {str(name): frozenset(part[keys].itertuples(index=False)) for name, part in rows.groupby("aggregation")}
    first: dict[frozenset, str] = {}
    found = {}
    for name in study.aggregations:
        same = first.setdefault(models[name], name) if name in models else name
        if same != name and name not in PARADIGMS:
            found[name] = same
    return found


def without_copies(study: StudyTables) -> StudyTables:
    """The tables without such partitions, and a note of each; as they are where nothing to compare would be left."""
    same = copies(study)
    if not same or len(study.aggregations) - len(same) < 2:
        return study
    left_out = [
        {
            "table": "scores",
            "rows": int((study.scores["aggregation"] == name).sum()),
            "reason": f"{name} has the runs of {other}, which stand for both",
        }
        for name, other in same.items()
    ]
    said = tuple(
        f"{name} is the same partition as {other}: both have the same runs, so {name} is left out of every comparison, "
        f"where it would count what speaks for or against {other} twice."
        for name, other in same.items()
    )
    return replace(
        study,
        scores=_others(study.scores, same),
        cases=None if study.cases is None else _others(study.cases, same),
        runs=None if study.runs is None else _others(study.runs, same),
        curves=None if study.curves is None else _others(study.curves, same),
        routing=None if study.routing is None else _others(study.routing, same),
        affinity=None if study.affinity is None else _others(study.affinity, same),
        excluded=frame("excluded", [*study.excluded.to_dict("records"), *left_out]),
        notes=(*study.notes, *said),
        every_arm=None if study.every_arm is None else without_copies(study.every_arm),
    )


def _others(rows: pd.DataFrame, same: Mapping[str, str]) -> pd.DataFrame:
    return rows[~rows["aggregation"].isin(list(same))].reset_index(drop=True)
