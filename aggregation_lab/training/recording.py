"""What a finished run leaves in its folder: its rows of the five tables and those of `affinity`, then `done.json`.

Labels that depend on the study (aggregation, unit, clinical group) are added when the study is collected.
"""

import math
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aggregation_lab import results
from aggregation_lab.files import file_digest
from aggregation_lab.kept.digests import KEPT
from aggregation_lab.kept.predictions import PredictionWriter
from aggregation_lab.method_names import libraries
from aggregation_lab.run import DONE, MASKS, PREDICTIONS, SAME_ANSWER
from aggregation_lab.scoring import in_pixels, rows_in_pixels, score_rows
from aggregation_lab.storage.sealed_json import write_sealed
from aggregation_lab.tasks.same_answer import said
from aggregation_lab.training.course import same_answer_since
from aggregation_lab.training.device import peak_memory, precision_name
from aggregation_lab.training.trainer import Trainer


def write_results(
    trainer: Trainer, root: Path, alive: Callable[[], None], kept: Sequence[str] = (), predictions: bool = False
) -> None:
    """Score the test cases, write the run's tables into its folder and, last, `done.json`.

    `alive` is called before each task is scored and may end the run by raising. `kept` names files that are in the
    folder already and belong to the result; with `predictions`, those that are scored are kept, too.
    """
    start = time.monotonic()
    spec, ledger = trainer.spec, trainer.ledger
    scored_step = trainer.best_step if spec.training.checkpoint == "best" else trainer.step
    same_answer = same_answer_since(ledger.curve, scored_step)
    for line in said(same_answer):
        print(line)
    run: dict[str, Any] = {"run": spec.id, "fraction": spec.fraction, "seed": spec.seed}
    scores, cases, routing, writer = [], [], [], PredictionWriter()
    for test, train in zip(trainer.test_cases, trainer.train_cases, strict=True):
        alive()
        task = test.task
        labels = {**run, "task": task.name, "type": str(task.type)}
        predicted = trainer.evaluator.predict(test)
        scored = in_pixels(task, test.cases, predicted.values)
        if predictions:
            scored = writer.passing(task, test.cases["case"], scored)
        rows = rows_in_pixels(task, test.cases, scored, root)
        cases.append(rows.assign(**labels, split="test"))
        scores.append(score_rows(task, rows).assign(**labels, split="test", n_train=len(train)))
        for block, shares in predicted.usage.items():
            gates = pd.DataFrame({"expert": np.arange(len(shares)), "share": shares.astype(float)})
            routing.append(gates.assign(**labels, block=block))
    trainer.store.check()
    curve = _curve(trainer).assign(**run)
    seen = sum(ledger.images_seen.values())
    flops = trainer.flops()
    ledger.seconds += time.monotonic() - start
    summary = pd.DataFrame(
        [
            {
                **run,
                "tasks": "+".join(task.name for task in spec.tasks),
                "steps": trainer.steps,
                "images_seen": seen,
                "passes": seen / sum(len(cases) for cases in trainer.train_cases),
                "flops": flops,
                "parameters": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
                "seconds": ledger.seconds,
                "train_seconds": ledger.train_seconds,
                "peak_memory": peak_memory(trainer.device),
                "converged": not curve["still_improving"].any(),
                "device": trainer.device.type,
                "precision": precision_name(trainer.precision),
                "versions": versions(*libraries(spec.training.aggregator)),
                "started": ledger.started,
                "resumes": ledger.resumes,
            }
        ]
    )
    frames = {"scores": scores, "cases": cases, "runs": [summary], "curves": [curve], "routing": routing}
    if trainer.affinity is not None:
        frames["affinity"] = [trainer.affinity.table().assign(**run)]
    for name, parts in frames.items():
        _, table = results.find_table(name)
        results.write_table(results.append(parts, table), table, trainer.folder / f"{name}.parquet")
    if predictions:
        writer.write(trainer.folder, spec.id)
        kept = [*kept, PREDICTIONS, MASKS]
    digests = {name: file_digest(trainer.folder / f"{name}.parquet") for name in frames}
    done = {
        "run": spec.id,
        "seconds": ledger.seconds,
        "images_seen": seen,
        "device": trainer.device.type,
        "micro_batch": trainer.objective.micro_batch,
        **({} if trainer.was_capped is None else {"capped": trainer.was_capped}),
        "digests": digests,
        **({SAME_ANSWER: same_answer} if same_answer else {}),
        **({KEPT: {name: file_digest(trainer.folder / name) for name in kept}} if kept else {}),
    }
    write_sealed(trainer.folder / DONE, done)


def _curve(trainer: Trainer) -> pd.DataFrame:
    curve = pd.DataFrame(trainer.ledger.curve)
    improving = trainer.course.still_rising(trainer.ledger.curve)
    types = {name: str(task.type) for name, task in trainer.tasks.items()}
    return curve.assign(
        still_improving=curve["task"].map(improving).astype(bool),
        type=curve["task"].map(types),
        loss=curve["loss"].where(curve["loss"].map(math.isfinite)),
    )


@cache
def versions(*more: str) -> str:
    """Versions that a result depends on, those of the packages `more` too, and the commit where the package runs from a
    git checkout."""
    parts = [f"python {platform.python_version()}"]
    for package in ("aggregation-lab", "torch", "timm", *more):
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    except OSError:
        commit = ""
    return ", ".join([*parts, *([f"commit {commit}"] if commit else [])])
