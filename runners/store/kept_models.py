"""Which run's model answers each task: of runs that are named, or of a study by its validation scores."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from aggregation_lab import results
from aggregation_lab.errors import ResultsError, StudyError
from aggregation_lab.kept.model_files import kept_kinds, read_description, scored_kind
from aggregation_lab.run import DONE, MODEL, SPEC, run_folders
from aggregation_lab.text import near_names, printable
from runners.store.run_folder import State
from runners.store.study_folder import StudyFolder

TRAIN = "keep: {models: last} in the study file and `agglab run-grid STUDY --rerun unkept` train them with models"


@dataclass(frozen=True)
class Choice:
    """The run that answers a task, and why: `label` is its aggregation, `score` the mean validation score of its
    aggregation over `seeds` seeds, None where the run was named, or
    the score is undefined."""

    task: str
    folder: Path
    label: str
    score: float | None = None
    seeds: int = 1


def choose_models(sources: Sequence[Path], tasks: Iterable[str], aggregation: str | None) -> dict[str, Choice]:
    """The run of each task that a source has a model for; a source is a run's folder or a study's.

    Raises `ResultsError` where a source is neither or has no model, or two sources have one for the same task.
    """
    chosen: dict[str, Choice] = {}
    for source in sources:
        if (source / SPEC).is_file() or (source / DONE).is_file():
            found = _of_run(source)
        else:
            found = _of_study(StudyFolder(source), set(tasks), aggregation)
        for choice in found:
            other = chosen.setdefault(choice.task, choice)
            if other is not choice:
                both = f"both {other.folder} and {choice.folder} have a model"
                raise ResultsError(f"task {choice.task}: {both}; give one of them")
    return chosen


def runs_with_model(study: Path) -> dict[Path, tuple[str, ...]]:
    """The run folders of a study that have kept a model, in the order of their names, and the tasks of each."""
    kept = [folder for folder in run_folders(study / "runs").values() if (folder / MODEL).is_file()]
    return {folder: tuple(read_description(folder)["tasks"]) for folder in kept}


def _of_run(folder: Path) -> list[Choice]:
    if not kept_kinds(folder):
        raise ResultsError(f"{printable(str(folder), 400)}: kept no model; {TRAIN}")
    return [Choice(name, folder, folder.name) for name in read_description(folder)["tasks"]]


def _of_study(folder: StudyFolder, tasks: set[str], aggregation: str | None) -> list[Choice]:
    """For each task the aggregation with the best mean validation score over seeds, and of it the best seed's run.

    Only runs on the largest fraction count, and only where they have kept a model.
    """
    runs, store = folder.read_plan(), folder.runs
    most = max(run.spec.fraction for run in runs)
    whole = [run for run in runs if run.spec.fraction == most]
    labels = {name for run in whole for label in run.labels for name in (label.aggregation, label.model)}
    if aggregation is not None and aggregation not in labels:
        near = near_names(aggregation, labels)
        raise StudyError(f"--aggregation {printable(aggregation, 60)}: is none of {folder}{near}")
    states, folders = store.present(whole), store.folders(whole)
    scores: dict[str, dict[str, dict[Path, float]]] = defaultdict(lambda: defaultdict(dict))
    for run in whole:
        if states[run.id].state is not State.DONE or not kept_kinds(folders[run.id]):
            continue
        asked = [label.model for label in run.labels if aggregation in (None, label.aggregation, label.model)]
        for name, score in _validation_scores(folders[run.id]).items():
            for label in asked if name in tasks else ():
                scores[name][label][folders[run.id]] = score
    if not scores:
        raise ResultsError(f"{folder}: no finished run that is asked for has kept a model; {TRAIN}")
    chosen = []
    for name, by_label in sorted(scores.items()):
        means = {label: fmean(of_seeds.values()) for label, of_seeds in by_label.items()}
        best = max(means, key=lambda label: means[label])
        run_folder = max(by_label[best], key=lambda each: by_label[best][each])
        known = means[best] if math.isfinite(means[best]) else None
        chosen.append(Choice(name, run_folder, best, known, len(by_label[best])))
    return chosen


def _validation_scores(folder: Path) -> dict[str, float]:
    """The validation score of each task of a finished run, of the weights that `load_model` takes; minus infinity where
    it is undefined, as AUC with one class is."""
    described = read_description(folder)
    step = described["weights"][scored_kind(described, kept_kinds(folder))]["step"]
    curves = results.read_table(folder / "curves.parquet", results.RUN_TABLES["curves"])
    at_step = curves[curves["step"] == step]
    scores = at_step["score"].astype(float).fillna(-math.inf)
    return dict(zip(at_step["task"].astype(str), scores, strict=True))
