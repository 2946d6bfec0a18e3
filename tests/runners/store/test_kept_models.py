"""Which run answers a task: by validation alone, over all seeds, of runs that have kept a model."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from aggregation_lab import results
from aggregation_lab.errors import ResultsError, StudyError
from aggregation_lab.files import file_digest, write_json
from aggregation_lab.kept.model_files import write_description
from aggregation_lab.run import MODEL, SPEC, weights_file
from aggregation_lab.storage.sealed_json import write_sealed
from runners.planning.plan import Label, PlannedRun
from runners.planning.study_schema import Study
from runners.store.identity import Identity
from runners.store.kept_models import choose_models
from runners.store.study_folder import StudyFolder
from tests.tiny import planned

NAN = float("nan")


def finish(folder: Path, run: PlannedRun, scores: dict[int, float], step: int, kept: bool) -> None:
    """A finished run with a curve, and the weights of a step of it."""
    task = run.spec.tasks[0].name
    rows = [
        {"run": run.id, "task": task, "type": "classification", "fraction": run.spec.fraction, "seed": run.spec.seed}
        | {"step": at, "images_seen": at, "loss": 1.0, "score": score, "still_improving": False}
        for at, score in scores.items()
    ]
    table = results.RUN_TABLES["curves"]
    write_json(folder / SPEC, run.spec.to_json())
    results.write_table(results.append([pd.DataFrame(rows)], table), table, folder / "curves.parquet")
    digests = {}
    if kept:
        weights = {"best": {"file": weights_file("best"), "step": step, "score": scores[step]}}
        write_description(folder, {"tasks": {task: {}}, "weights": weights, "scored": "last"})
        (folder / weights_file("best")).write_bytes(b"weights")
        digests = {name: file_digest(folder / name) for name in (MODEL, weights_file("best"))}
    write_sealed(folder / "done.json", {"run": run.id, "seconds": 1.0, "kept": digests})


Trained = tuple[PlannedRun, dict[int, float], int, bool]
"""A run, its validation scores by step, the step of its weights, and whether they were kept."""


def study_of(out: Path, *runs: Trained) -> StudyFolder:
    folder = StudyFolder(out)
    Identity(Study(name="chosen")).write(folder.identity_file)
    folder.write_plan([run for run, *_ in runs])
    for run, scores, step, kept in runs:
        finish(folder.runs.folder(run), run, scores, step, kept)
    return folder


def run_of(aggregation: str, seed: int, fraction: float = 1.0) -> PlannedRun:
    """Runs of one task; the number of steps tells those of two aggregations apart."""
    run = planned("lung", seed=seed, fraction=fraction, steps=5 if aggregation == "TS" else 6)
    return replace(run, labels=(Label(aggregation, "unit"),))


def test_the_best_mean_over_seeds_at_the_step_of_the_weights_answers_by_its_best_seed(tmp_path):
    runs = [
        (run_of("TS", 0), {1: 0.95, 2: 0.60}, 2, True),  # best at another step than that of its weights
        (run_of("TS", 1), {1: 0.10, 2: 0.70}, 2, True),
        (run_of("AU", 0), {1: 0.40, 2: 0.99}, 1, True),
        (run_of("AU", 1), {1: 0.80, 2: 0.99}, 1, True),
        (run_of("AU", 2), {1: 0.99}, 1, False),  # the best, and without a model
        (run_of("AU", 0, 0.5), {1: 0.99}, 1, True),  # on half the data
    ]
    folder = study_of(tmp_path, *runs)
    by_name = {(run.labels[0].aggregation, run.spec.seed, run.spec.fraction): run for run, *_ in runs}
    chosen = choose_models([tmp_path], ["lung"], None)["lung"]
    assert (chosen.label, chosen.seeds) == ("TS", 2) and chosen.score == pytest.approx(0.65, rel=1e-9, abs=0)
    assert chosen.folder == folder.runs.folder(by_name["TS", 1, 1.0])
    of_au = choose_models([tmp_path], ["lung"], "AU")["lung"]
    assert of_au.label == "AU" and of_au.score == pytest.approx(0.6, rel=1e-9, abs=0)
    assert of_au.folder == folder.runs.folder(by_name["AU", 1, 1.0])


def test_a_score_that_is_undefined_loses_and_still_answers(tmp_path):
    study_of(tmp_path / "both", (run_of("TS", 0), {1: NAN}, 1, True), (run_of("AU", 0), {1: 0.1}, 1, True))
    assert choose_models([tmp_path / "both"], ["lung"], None)["lung"].label == "AU"
    study_of(tmp_path / "one", (run_of("TS", 0), {1: NAN}, 1, True))
    assert choose_models([tmp_path / "one"], ["lung"], None)["lung"].label == "TS"


def test_runs_are_taken_as_they_are_named_and_refused_where_two_answer(tmp_path):
    runs = [(run_of("TS", 0), {1: 0.5}, 1, True), (run_of("TS", 1), {1: 0.5}, 1, False)]
    folder = study_of(tmp_path, *runs)
    whole, bare = (folder.runs.folder(run) for run, *_ in runs)
    chosen = choose_models([whole], ["lung"], None)["lung"]
    assert (chosen.folder, chosen.score, chosen.label) == (whole, None, whole.name)
    with pytest.raises(ResultsError, match="kept no model; keep: .models: last. in the study file"):
        choose_models([bare], ["lung"], None)
    with pytest.raises(ResultsError, match="task lung: both .* and .* have a model; give one of them"):
        choose_models([whole, tmp_path], ["lung"], None)


def test_what_has_no_model_is_one_line(tmp_path):
    study_of(tmp_path, (run_of("TS", 0), {1: 0.5}, 1, False))
    with pytest.raises(ResultsError, match="no finished run that is asked for has kept a model"):
        choose_models([tmp_path], ["lung"], None)
    with pytest.raises(StudyError, match="--aggregation TT: is none of .*; did you mean TS"):
        choose_models([tmp_path], ["lung"], "TT")
    with pytest.raises(StudyError, match="is not the output of a study"):
        choose_models([tmp_path / "runs"], ["lung"], None)
