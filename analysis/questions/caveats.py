"""What a sceptical reader of a study must be told, one sentence each."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import cast

import pandas as pd

from aggregation_lab.aggregation import ARROW, FLOOR, FOUND
from aggregation_lab.manifest import DEFAULT_MARGIN
from aggregation_lab.tasks import METRICS
from aggregation_lab.text import listed
from analysis.contrasts import contrasts, trained_twice
from analysis.frames import at_full
from analysis.statistics.rare_classes import FEWEST_OF_CLASS
from analysis.statistics.uncertainty import BORROWED, BORROWED_AND_CASES, CASES, NONE, SEEDS
from analysis.statistics.verdicts import SAME_MODEL, UNDECIDED
from analysis.study import StudyTables

MATCHED = (0.9, 1.1)
"""Operations over those of the base that still count as the same compute."""

FEW_SUBJECTS = 20
"""Test subjects below which resampling them says little."""

ENOUGH_SEEDS = 6
"""Seeds from which the signs of gains alone could reach p < 0.05: two-sided, 2 / 2^seeds."""

ENOUGH_POWER = 0.8

LARGE_MARGIN = 0.25
"""Share of what the base has learned over the floor from which on a margin is no small loss."""

FEWEST_TASKS = 5
"""Tasks below which means over tasks say little."""

_NAMED = 5


def caveats(study: StudyTables, frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """What a sceptical reader must be told, one sentence each; `frames` needs scores, gains, ledger and data.

    What was left out is counted in the frame `excluded` instead.
    """
    trained = frames["scores"][frames["scores"]["aggregation"] != FLOOR]
    return [
        *_design(study),
        *_margins_chosen(study, frames["gains"], frames["data"]),
        *_missing_contrasts(study, frames["gains"]),
        *_missing_pairs(study, frames["gains"]),
        *_seeds(study, trained),
        *_folds(study),
        *_what_can_be_decided(study, frames["gains"]),
        *_training(study),
        *_floors(study.aggregations[0], trained, frames["gains"]),
        *_margins(study, frames["data"]),
        *_compute(study, frames["ledger"]),
        *_test_sets(study, trained, frames["gains"], frames["data"]),
    ]


def _named(names: Iterable[str]) -> str:
    return listed(list(dict.fromkeys(names)), _NAMED)


def _if_any(tasks: Iterable[str], total: int, said: str) -> list[str]:
    """The sentence, its `{}` replaced by how many and which tasks; nothing without tasks."""
    chosen = sorted(set(tasks))
    return [said.format(f"{len(chosen)} of {total} tasks ({_named(chosen)})")] if chosen else []


def _design(study: StudyTables) -> list[str]:
    about, found = study.manifest, []
    if about.leakage is None:
        found.append("Whether images leak from training to test was not counted.")
    elif count := about.leakage.get("crossing_components", 0):
        found.append(f"{count} components of related images stand in two parts of the split: test scores are too high.")
    if about.planned is not None and about.finished is not None and about.finished < about.planned and not about.looks:
        found.append(f"{about.planned - about.finished} of {about.planned} planned runs are not finished.")
    if study.full < 1:
        found.append(
            f"No model was trained on all training data: what is called full data is {100 * study.full:g} % of it."
        )
    aggregations = about.settings.get("aggregations")
    if about.found is None and isinstance(aggregations, Mapping) and aggregations.get(FOUND, ()) is None:
        found.append(
            f"The groups of {FOUND} are not known yet: the runs that they are found from are not all finished."
        )
    if study.base is not None:
        untested = "" if study.base == "TS" else "; what the findings say of gains over TS is not tested"
        found.append(f"Gains are over {study.base}, which was named as their base{untested}.")
    if more := trained_more(study.aggregations):
        found.append(more)
    if study.base is None and "TS" not in study.aggregations:
        found.append("There is no TS: gains compare joint models with each other, not with models of one task.")
    return found


def _margins_chosen(study: StudyTables, gains: pd.DataFrame, data: pd.DataFrame) -> list[str]:
    """Margins that nobody chose, that were changed, or that there are none of."""
    about, tasks = study.manifest, set(study.scores["task"])
    found: list[str] = []
    named = about.margins if about.margins_named is None else about.margins_named
    unnamed = f"No margin was named for {{}}: {DEFAULT_MARGIN:g} stands in, a default that was not chosen for them."
    in_a_unit = set(data.loc[data["margin"].isna(), "task"]) - set(gains.loc[gains["margin"].notna(), "task"])
    none = (
        "Gains of {} are in the unit of the metric, in which there is no margin: any loss that is shown to differ from "
        "0 is harm there, however small, and no meaningful loss cannot be shown. Give a unit-free metric of such a "
        "task, too, such as the error as a share of the image's size, or judge relative gains (--scale relative), of "
        "which the margin is a share of the base."
    )
    changed = [
        f"{task} ({was:g} to {now:g})" for task, (was, now) in sorted(about.margins_changed.items()) if task in tasks
    ]
    if changed:
        found.append(
            f"Margins were changed after verdicts had been read, in {len(changed)} of {len(tasks)} tasks, "
            f"{_named(changed)}: where that was because of them, verdicts of no meaningful loss or harm say less than "
            "stated."
        )
    found += _if_any(tasks - set(named) - in_a_unit, len(tasks), unnamed)
    return found + _if_any(in_a_unit & set(gains["task"]), len(tasks), none)


def trained_more(aggregations: Sequence[str]) -> str:
    """That sequential aggregations had more training than the base of their gains; empty where they had not."""
    base = aggregations[0]
    longer = [name for name in aggregations if ARROW in name and name != base]
    twice = trained_twice(base)
    if not longer or ARROW in base or twice in aggregations:
        return ""
    had = "has had" if len(longer) == 1 else "have had"
    return (
        f"{_named(longer)} {had} two stages of training, {base} one: part of the gains may be longer training. "
        f"{twice}, the same second stage from the base's own weights, is the fair base; add it to aggregations."
    )


def _seeds(study: StudyTables, trained: pd.DataFrame) -> list[str]:
    full = at_full(trained)
    fewest = full.groupby("aggregation")["seeds"].max().min()
    found = []
    if fewest == 1 and study.cases is None:
        found = ["One seed and no cases: gains have no interval and every verdict is undecided."]
    elif fewest == 1:
        found = [
            "One seed only: intervals cover the chance of test cases, not that of training, and every verdict is "
            "undecided until another seed is trained."
        ]
    elif fewest < ENOUGH_SEEDS:
        support = "" if study.cases is None else " and on test cases"
        found = [
            f"{fewest:.0f} seeds only: signs of gains alone cannot give p below {2 / 2**fewest:g}, so verdicts lean on "
            f"normal scatter over seeds{support}."
        ]
    rows = study.scores[study.scores["aggregation"] != FLOOR]
    sizes = rows.groupby(["task", "fraction", "seed"])["n_train"].nunique()
    uneven = sizes[sizes > 1].index.get_level_values("task")
    said = "Aggregations saw different numbers of training cases in {}."
    return found + _if_any(uneven, rows["task"].nunique(), said)


def _folds(study: StudyTables) -> list[str]:
    """What rotating test folds leave open."""
    count = study.manifest.folds
    if count == 1:
        return []
    rows = study.scores[study.scores["aggregation"] != FLOOR]
    seeds = sorted(int(seed) for seed in rows["seed"].unique())
    tested = {study.manifest.fold(seed) for seed in seeds}
    found = [
        "Folds have training data in common: intervals take them for independent replicates, which is an approximation."
    ]
    if len(tested) < count:
        found.append(f"{len(tested)} of {count} folds are tested: the images of the others never are.")
    if len(tested) < len(seeds):
        found.append(f"{len(seeds)} seeds test {len(tested)} folds: seeds of one fold count as one replicate.")
    return found


def _missing_pairs(study: StudyTables, gains: pd.DataFrame) -> list[str]:
    """Runs that are in no gain, and tasks that a contrast lacks, or has with fewer seeds, at the largest fraction."""
    full, found = gains[gains["fraction"] == study.full], _unpaired(study, gains)
    tasks = set(study.scores.loc[study.scores["fraction"] == study.full, "task"])
    for name, rows in full.groupby("contrast", sort=False):
        lacking = f"{name}: no seed under both aggregations in {{}}, so it says nothing of these tasks."
        found += _if_any(tasks - set(rows["task"]), len(tasks), lacking)
        fewer = rows.loc[(rows["seeds"] < rows["seeds"].max()) & (rows["unpaired"] == 0), "task"]
        if study.looks is None:  # else tasks are meant to have fewer
            found += _if_any(fewer, len(tasks), f"{name}: fewer pairs of seeds than in other tasks in {{}}.")
    return found


def _unpaired(study: StudyTables, gains: pd.DataFrame) -> list[str]:
    """Runs without a counterpart of their seed, at every fraction."""
    found, tasks = [], study.scores["task"].nunique()
    for key, rows in gains[gains["unpaired"] > 0].groupby(["contrast", "fraction"], sort=False):
        name, share = cast("tuple[str, float]", key)
        where = name if share == study.full else f"{name} at fraction {share:g}"
        said = "some seeds have a score under one of both aggregations alone in {}: in means of scores, in no gain."
        found += _if_any(rows["task"], tasks, f"{where}: {said}")
    return found


def _missing_contrasts(study: StudyTables, gains: pd.DataFrame) -> list[str]:
    """Contrasts of which no gain could be made at the largest fraction."""
    full = gains[gains["fraction"] == study.full]
    names = [contrast.name for contrast in contrasts(study.aggregations) if contrast.name not in set(full["contrast"])]
    said = "{} cannot be compared at fraction {:g}: no task has a seed under both aggregations."
    return [said.format(name, study.full) for name in names]


def _what_can_be_decided(study: StudyTables, gains: pd.DataFrame) -> list[str]:
    """Intervals that cover less than both sources of chance, and power for the margin, at the largest fraction."""
    full = gains[(gains["fraction"] == study.full) & (gains["verdict"] != SAME_MODEL)]
    total = full["task"].nunique()
    found = []
    if study.cases is not None:
        alone = full.loc[full["basis"].isin([SEEDS, BORROWED]), "task"]
        said = (
            "Test cases cannot be resampled in {} (one subject, of all or of a class, or no metric): intervals there "
            "cover seeds alone, and the verdict is undecided."
        )
        if study.manifest.folds == 1 and not full["basis"].isin([SEEDS, BORROWED]).all():
            said += " In means their test cases count as the noisiest of the other tasks'."
        found += _if_any(alone, total, said)
    borrowed = full.loc[full["basis"].isin([BORROWED, BORROWED_AND_CASES]), "task"]
    said = "One pair of seeds, or gains that do not vary, in {}: the scatter over seeds is that of tasks of the type."
    found += _if_any(borrowed, total, said)
    if study.scores["seed"].nunique() > 1:
        said = "One pair of seeds, or gains that do not vary, in {}, and no task of the type with more: undecided."
        found += _if_any(full.loc[full["basis"].isin([CASES, NONE]), "task"], total, said)
    for name, rows in full[full["power"].notna()].groupby("contrast", sort=False):
        able = int((rows["power"] >= ENOUGH_POWER).sum())
        if able < len(rows) / 2 and (rows["verdict"] == UNDECIDED).any():
            found.append(
                f"{name}: corrected for the number of tasks, a true gain or loss of the size of the margin would be "
                f"noticed with {100 * ENOUGH_POWER:g} % power in {able} of {len(rows)} tasks only: undecided means too "
                "little data."
            )
    return found


def _training(study: StudyTables) -> list[str]:
    if study.curves is None:
        return ["There are no validation curves: whether the baselines were trained to the end is unknown."]
    found = []
    base, end = study.aggregations[0], "training" if _until_converged(study) else "budget"
    for name, part in study.improving().groupby("aggregation"):
        consequence = "gains over them are flattered" if name == base else "more training may raise its gains"
        said = f"{name} models were still improving when their {end} ended in {{}}: {consequence}."
        runs = part.groupby("task")[["rising", "curves"]].sum()
        counted = runs[runs["rising"] > 0].itertuples(name=None)
        named = [f"{task} in {up:.0f}/{of:.0f} runs" if of > 1 else str(task) for task, up, of in counted]
        found += _if_any(named, part["task"].nunique(), said)
    return found


def _until_converged(study: StudyTables) -> bool:
    return study.manifest.settings.get("training", {}).get("until") == "converged"


def _floors(base: str, trained: pd.DataFrame, gains: pd.DataFrame) -> list[str]:
    """Tasks in which the models of a comparison, or the base alone, are no better than the trivial predictor."""
    known = trained[trained["beats_floor"].notna()].astype({"beats_floor": bool})
    if known.empty:
        return ["There is no trivial predictor to compare with: whether the models learned anything is unknown."]
    total, full = known["task"].nunique(), at_full(known)
    unknown = (
        "There is no trivial predictor to compare with, or not at every fraction, in {}: whether the models learned "
        "anything there is unknown."
    )
    lacking = trained.loc[trained["floor"].isna(), "task"]
    learned = set(full.loc[full["beats_floor"], "task"])
    weak = set(full.loc[~full["beats_floor"] & (full["aggregation"] == base), "task"]) & learned
    nothing = (
        "Neither model of a comparison has a mean above that of the trivial predictor in {}: the verdict there is "
        "undecided; means, lines and tests over tasks include such tasks, advice leaves them out."
    )
    below_base = (
        f"The mean of {base} is not above that of the trivial predictor in {{}}: gains there are over a baseline that "
        "learned nothing."
    )
    compared = at_full(gains)
    below = {*compared.loc[compared["learned_nothing"].eq(True), "task"], *(set(full["task"]) - learned)}
    return [
        *_if_any(lacking, trained["task"].nunique(), unknown),
        *_if_any(below, total, nothing),
        *_if_any(weak, total, below_base),
    ]


def _margins(study: StudyTables, data: pd.DataFrame) -> list[str]:
    """Tasks whose margin is a large part of what there is to lose, one sentence each."""
    full = at_full(data)
    large = full[full["margin_share"].astype(float) > LARGE_MARGIN]
    return [
        f"{row['task']}: the margin {row['margin']:g}{_in_metric(row['metric'], row['margin_raw'])} is "
        f"{100 * row['margin_share']:.0f} % of what {study.aggregations[0]} has learned over the floor, so no "
        "meaningful loss says little; give the task a smaller margin of its own under `margins:` of the "
        "study file before the next runs."
        for row in large.to_dict("records")
    ]


def _in_metric(metric: str, margin: float) -> str:
    unit = METRICS[metric].unit if metric in METRICS else "1"
    return "" if unit == "1" or pd.isna(margin) else f" ({margin:.1f} {unit})"


def _compute(study: StudyTables, ledger: pd.DataFrame) -> list[str]:
    if study.runs is None:
        return ["There is no ledger of runs: whether compute was matched is unknown."]
    ratio = ledger["flops_ratio"].astype(float)
    away = ledger[(ratio < MATCHED[0]) | (ratio > MATCHED[1])]
    parts = [f"{row.aggregation} {row.flops_ratio:.2f} at fraction {row.fraction:g}" for row in away.itertuples()]
    said = "part of the gains, and of what less data does to them, may be a matter of training time"
    over = f"operations over those of {study.aggregations[0]}"
    found = [f"Compute is not matched, so {said}; {over}: {_named(parts)}."] if parts else []
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
    seen = f"; passes over a task's images over those of {base}, median and range: {_named(parts)}" if parts else ""
    return [f"{said}{seen}."]


def _until_its_end(runs: pd.DataFrame) -> list[str]:
    once = runs.drop_duplicates("run")
    capped = int((~once["converged"].astype(bool)).sum())
    said = "had not converged when they ended: a task of theirs was still rising, or has no validation score"
    return [f"{capped} of {len(once)} runs {said}."] if capped else []


def _rare_classes(gains: pd.DataFrame, named: Collection[str], total: int) -> list[str]:
    """Tasks whose score compares classes of which one has few test subjects; `named` have few of all classes."""
    fewest = gains.groupby("task")["rarest_class"].min()
    none = f"Fewer than {FEWEST_OF_CLASS} test subjects of one class in {{}}: no verdict there."
    rough = f"Fewer than {FEW_SUBJECTS} test subjects of one class in {{}}: intervals there are rough."
    few = fewest.index[(fewest >= FEWEST_OF_CLASS) & (fewest < FEW_SUBJECTS)]
    return [
        *_if_any(fewest.index[fewest < FEWEST_OF_CLASS], total, none),
        *_if_any(set(few) - set(named), total, rough),
    ]


def _test_sets(study: StudyTables, trained: pd.DataFrame, gains: pd.DataFrame, data: pd.DataFrame) -> list[str]:
    full = at_full(data)
    found: list[str] = []
    if study.cases is None and trained["seeds"].max() > 1:
        found = ["No cases: test cases cannot be resampled, so intervals hold for these very test cases."]
    elif study.cases is not None:
        few = full.loc[full["subjects"] < FEW_SUBJECTS, "task"]
        found = _if_any(few, len(full), f"Fewer than {FEW_SUBJECTS} test subjects in {{}}: intervals there are rough.")
        found += _rare_classes(gains[gains["fraction"] == study.full], set(few), len(full))
    if len(full) < FEWEST_TASKS:
        tasks = "1 task" if len(full) == 1 else f"{len(full)} tasks"
        found.append(f"{tasks} only: means over tasks say little.")
    return found
