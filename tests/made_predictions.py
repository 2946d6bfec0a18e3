"""A finished tiny study with kept predictions, made in seconds: targets that were moved, really scored, not trained."""

from pathlib import Path

import numpy as np
import pandas as pd

from aggregation_lab import results
from aggregation_lab.data.cache import ImageCache
from aggregation_lab.files import file_digest
from aggregation_lab.kept.digests import KEPT
from aggregation_lab.kept.predictions import PredictionWriter
from aggregation_lab.run import DONE, MASKS, PREDICTIONS
from aggregation_lab.scoring import in_pixels, rows_in_pixels, score_rows
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from aggregation_lab.tasks import Task
from runners.planning.plan import PlannedRun
from runners.store.collect import collect
from runners.store.prepared_data import load_prepared
from runners.store.study_folder import StudyFolder
from tests.made_study import make_finished

FAR = {"TS": 0.10, "CG": 0.08, "AU": 0.05}
"""How far predictions lie from their targets, as a share of the image: joint models are better here."""


def make_predicted(
    folder: Path, data: Path, /, *, keep: tuple[str, ...] = ("TS", "CG", "AU"), **changes: object
) -> Path:
    """`folder`/out with finished runs of 2 seeds; those of the aggregations `keep` have kept their predictions."""
    out = StudyFolder(make_finished(folder, data, **{"seeds": 2, **changes}))
    prepared, runs = load_prepared(out), out.read_plan()
    by_case = prepared.dataset.cases.set_index("case", drop=False)
    for number, run in enumerate(runs):
        random = np.random.default_rng(number)
        split, writer, scores, cases = prepared.split(run.fold), PredictionWriter(), [], []
        for task in run.spec.tasks:
            rows = by_case.loc[split.cases("test", task.name)]
            moved = _moved(task, rows, prepared.cache, FAR[run.labels[0].aggregation], random)
            pixels = writer.passing(task, rows["case"], in_pixels(task, rows, moved))
            found = rows_in_pixels(task, rows, pixels, prepared.dataset.root)
            labels = {"run": run.id, "fraction": run.spec.fraction, "seed": run.spec.seed, "task": task.name}
            labels |= {"type": str(task.type), "split": "test"}
            cases.append(found.assign(**labels))
            scores.append(score_rows(task, found).assign(**labels, n_train=20))
        _write(out, run, {"scores": scores, "cases": cases}, writer if run.labels[0].aggregation in keep else None)
    collect(out)
    return out.path


def _moved(task: Task, cases: pd.DataFrame, cache: ImageCache, far: float, random: np.random.Generator) -> np.ndarray:
    """Normalised predictions: the targets, moved."""
    if task.type.masked:
        masks = cache.masks[cache.mask_rows(cases)]
        steps = np.rint(random.normal(0, far * masks.shape[1], (len(masks), 2))).astype(int)
        return np.stack([np.roll(mask, tuple(step), (0, 1)) for mask, step in zip(masks, steps, strict=True)])
    targets = task.type.targets(cases)
    if targets.dtype.kind == "i":  # the probabilities of classes
        wrong = np.abs(random.normal(0, 3 * far, (len(cases), task.classes)))
        shares = np.eye(task.classes)[targets] + wrong
        return (shares / shares.sum(1, keepdims=True)).astype(np.float32)
    return np.clip(targets + random.normal(0, far, targets.shape), 0, 1).astype(np.float32)


def _write(out: StudyFolder, run: PlannedRun, frames: dict, writer: PredictionWriter | None) -> None:
    folder = out.runs.folder(run)
    done = read_sealed(folder / DONE)
    for name, parts in frames.items():
        table = results.RUN_TABLES[name]
        results.write_table(results.append(parts, table), table, folder / f"{name}.parquet")
        done["digests"][name] = file_digest(folder / f"{name}.parquet")
    if writer is not None:
        writer.write(folder, run.id)
        done[KEPT] = {name: file_digest(folder / name) for name in (PREDICTIONS, MASKS)}
    write_sealed(folder / DONE, done)
