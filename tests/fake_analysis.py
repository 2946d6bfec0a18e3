"""Made-up result frames, every one of `FRAMES` filled: what tables, figures and reports are tried on.

The numbers are plausible, not computed: nothing may be concluded from how the frames fit each other.
"""

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pandas as pd

from aggregation_lab.manifest import Manifest
from analysis.frames import FRAMES, frame, ordered
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.statistics.verdicts import UNDECIDED
from analysis.study import StudyTables
from tests import fake_answers, fake_arms, fake_cases, fake_gains, fake_grouping
from tests.fake_gains import TYPES

FRACTIONS = (0.25, 0.5, 1.0)
GROUPS = ("breast", "lung", "obstetrics", "thyroid", "gynaecology", "abdomen", "cardiac", "neuro", "vascular")
ENDS = ("lesion", "3cls", "nodule_det", "caliper", "multi", "lesion_caliper")


def fake_analysis(
    tasks: int = 10,
    fractions: tuple[float, ...] = FRACTIONS,
    aggregations: tuple[str, ...] = ("TS", "CG", "AU"),
    seed: int = 0,
) -> Analysis:
    """An analysis in which no frame is empty; the first task has the same model in TS and CG."""
    made = _made(tasks, fractions, aggregations, seed)
    return replace(made, frames={name: rows.copy() for name, rows in made.frames.items()})


@cache
def _made(tasks: int, fractions: tuple[float, ...], aggregations: tuple[str, ...], seed: int) -> Analysis:
    random = np.random.default_rng(seed)
    about = _about(tasks, random)
    joint = [name for name in aggregations if name != "TS"]
    contrasts = [f"{name}-TS" for name in joint] + ["AU-CG"]
    gains = fake_gains.gains(about, contrasts, fractions, random)
    seed_gains = fake_gains.seed_gains(gains, random)
    scores = fake_gains.scores(about, aggregations, fractions, random)
    frames = {
        "gains": gains,
        "seed_gains": seed_gains,
        "scores": scores,
        "reference": fake_gains.reference(scores),
        "collapsed": fake_gains.collapsed(scores),
        "pooled": fake_gains.pooled(gains),
        "data": fake_gains.data(about, fractions),
        **fake_answers.lines(about, contrasts, fractions, random),
        **fake_answers.types(gains, contrasts, fractions, random),
        **fake_answers.advice(about, joint, random),
        **fake_answers.budget(about, gains, aggregations, fractions, random),
        **fake_answers.routing(about, random),
        **fake_cases.cases(gains, random),
        **fake_answers.affinities(about, np.random.default_rng(seed)),
        "learning_curves": fake_gains.curves(about, aggregations, random),
        "findings": fake_answers.findings(),
        **fake_arms.arms(gains),
        **fake_grouping.grouping(about, joint, random),
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
    known |= {"fraction", "n_train", "n_low", "n_high", "share", "similarity", "estimate", "size", "hours"}
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
