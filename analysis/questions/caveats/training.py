"""Caveats of training: what still rose, runs that failed, and compute that was not matched."""

import pandas as pd

from aggregation_lab.text import enumerated
from analysis.questions.caveats.sentences import if_any, named
from analysis.study import StudyTables

MATCHED = (0.9, 1.1)
"""Operations over those of the base that still count as the same compute."""


def of_training(study: StudyTables) -> list[str]:
    """Models that were still improving when their training ended, by aggregation."""
    if study.curves is None:
        return ["There are no validation curves: whether the baselines were trained to the end is unknown."]
    found = []
    base = study.aggregations[0]
    for name, part in study.improving().groupby("aggregation"):
        consequence = "gains over them are flattered" if name == base else "more training may raise its gains"
        said = f"{name} models were still improving when their training ended in {{}}: {consequence}."
        runs = part.groupby("task")[["rising", "curves"]].sum()
        counted = runs[runs["rising"] > 0].itertuples(name=None)
        risen = [f"{task} in {up:.0f}/{of:.0f} runs" if of > 1 else str(task) for task, up, of in counted]
        found += if_any(risen, part["task"].nunique(), said)
    return found


def of_collapsed(rows: pd.DataFrame) -> list[str]:
    """Runs of the frame `collapsed`, in one sentence: which they are, what rests on them and what to do."""
    if rows.empty:
        return []
    one_run = rows["run"].where(rows["run"] != "", rows["aggregation"])  # tables from elsewhere name no runs
    parts = [_collapsed_run(of_run) for _, of_run in rows.groupby([one_run, "task", "fraction", "seed"], sort=False)]
    more = f"; and {len(parts) - _MOST_RUNS} more" if len(parts) > _MOST_RUNS else ""
    return [
        "A run learned next to nothing of a task that other runs of the same aggregation learned: "
        f"{'; '.join(parts[:_MOST_RUNS])}{more}. Verdicts there rest on a training that failed, which widens their "
        "intervals as noise of the data would. Look at the learning curves, and train all runs anew with another "
        "setting, such as a lower learning rate or a longer warm-up; leaving out failures of one side alone would bias "
        "its gains."
    ]


def _collapsed_run(rows: pd.DataFrame) -> str:
    """One run on one task, by its rows under one aggregation or several."""
    row = rows.iloc[0]
    digits = 3 if row["unit"] == "1" else 1
    value, floor, low, high = (f"{row[name]:.{digits}f}" for name in ("value", "floor", "others_low", "others_high"))
    less = "" if row["fraction"] == 1 else f" at fraction {row['fraction']:g}"
    others = low if low == high else f"{low} to {high}"
    return (
        f"{row['task']} under {enumerated(list(rows['aggregation']))}{less}, seed {row['seed']} ({row['metric']} "
        f"{value}, floor {floor}, other runs {others}; {row['reason']})"
    )


_MOST_RUNS = 5
"""Runs named in a sentence; the frame has all."""


def _until_converged(study: StudyTables) -> bool:
    return study.manifest.settings.get("training", {}).get("until") == "converged"


def of_compute(study: StudyTables, ledger: pd.DataFrame) -> list[str]:
    """Compute that was not matched or not counted, and runs under different conditions."""
    if study.runs is None:
        return ["There is no ledger of runs: whether compute was matched is unknown."]
    ratio = ledger["flops_ratio"].astype(float)
    away = ledger[(ratio < MATCHED[0]) | (ratio > MATCHED[1])]
    parts = [f"{row.aggregation} {row.flops_ratio:.2f} at fraction {row.fraction:g}" for row in away.itertuples()]
    said = "part of the gains, and of what less data does to them, may be a matter of training time"
    over = f"operations over those of {study.aggregations[0]}"
    found = [f"Compute is not matched, so {said}; {over}: {named(parts)}."] if parts else []
    if _until_converged(study):
        found = [*_until_its_end(study.runs), *_own_ends(study, study.runs)]
    unlike = [name for name in ("device", "precision", "versions") if study.runs[name].nunique() > 1]
    if unlike:
        found.append(f"Runs differ in {' and '.join(unlike)}, which may move scores between aggregations.")
    return found


def _own_ends(study: StudyTables, runs: pd.DataFrame) -> list[str]:
    """How much more, or less, was seen of each task than under the base, where every unit was trained to its own end.
    The tasks of a run are those it has scores of."""
    base = study.aggregations[0]
    both = runs["passes"] + runs["passes_before"]
    tasks = study.scores[["run", "aggregation", "task"]].drop_duplicates()
    passes = runs.assign(passes=both).merge(tasks, on=["run", "aggregation"])
    keys = ["task", "fraction", "seed"]
    of_base = passes[passes["aggregation"] == base].set_index(keys)["passes"].rename("base")
    ratio = passes.join(of_base, on=keys).assign(ratio=lambda rows: rows["passes"] / rows["base"])
    parts = [
        f"{name} {of.median():.2f} ({of.min():.2f} to {of.max():.2f})"
        for name, of in ratio[ratio["aggregation"] != base].groupby("aggregation", sort=False)["ratio"]
        if of.notna().any()
    ]
    said = "Compute is not matched: every unit was trained until it had converged, so gains compare ends of training"
    seen = f"; passes over a task's images over those of {base}, median and range: {named(parts)}" if parts else ""
    return [f"{said}{seen}."]


def _until_its_end(runs: pd.DataFrame) -> list[str]:
    once = runs.drop_duplicates("run")
    capped = int((~once["converged"].astype(bool)).sum())
    said = "had not converged when they ended: a task of theirs was still rising, or has no validation score"
    remedy = "a larger `training.most_passes` trains on those that the cap ended, and keeps what is trained"
    return [f"{capped} of {len(once)} runs {said}; {remedy}."] if capped else []
