"""What the predictions of a run will take on disk, from made-up ones of the same cases.

Numbers are random, as incompressible as a model's; a class map is the case's own reference at the resolution of the
model, since a prediction worth keeping is about as intricate as what it predicts.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from aggregation_lab.kept.predictions import PredictionWriter, class_map_png
from aggregation_lab.scoring import reference_of
from aggregation_lab.tasks import Task

SAMPLE = 12
"""Masks of a task whose references are read."""


def mask_bytes(task: Task, cases: pd.DataFrame, root: Path, image_size: int) -> float:
    """Mean bytes of the PNG of a predicted class map, over a sample of rows of the case table; 0 for other types.

    Raises `OSError` where a mask cannot be read, `DataError` where it has changed.
    """
    if not task.type.masked or cases.empty:
        return 0.0
    sample = cases.iloc[np.unique(np.linspace(0, len(cases) - 1, min(SAMPLE, len(cases))).astype(int))]
    sizes = []
    row: Any
    for row in sample.itertuples(index=False):
        reference = Image.fromarray(reference_of(row, root).class_map())
        coarse = reference.resize((image_size, image_size), Image.Resampling.NEAREST)
        sizes.append(len(class_map_png(task.type.in_pixels(np.asarray(coarse), row.height, row.width), task.classes)))
    return float(np.mean(sizes))


def run_bytes(tasks: Sequence[Task], cases: Sequence[pd.DataFrame], per_mask: Sequence[float]) -> int:
    """Bytes of both files of a run that tests these cases of its tasks; `per_mask` is `mask_bytes` of each task."""
    writer, random, masks = PredictionWriter(), np.random.default_rng(0), 0.0
    for task, rows, size in zip(tasks, cases, per_mask, strict=True):
        writer.tasks += [task.name] * len(rows)
        writer.cases += rows["case"].tolist()
        writer.masks += [b"-" if task.type.masked else b""] * len(rows)
        writer.values += [[] if task.type.masked else _made_up(task, row, random) for row in rows.itertuples()]
        masks += size * len(rows) if task.type.masked else 0.0
    table, archive = BytesIO(), BytesIO()
    writer.write_table(table, "0" * 12)
    writer.write_masks(archive)
    entries = sum(1 for mask in writer.masks if mask)
    return round(len(table.getvalue()) + len(archive.getvalue()) - entries + masks)


def _made_up(task: Task, row: Any, random: np.random.Generator) -> list[float]:
    """Numbers of a prediction, with the digits that 32 bits give."""
    shape = tuple(task.classes if side < 0 else side for side in task.type.pixel_shape)
    normalised = random.uniform(0, 1, shape).astype(np.float32)
    return task.type.in_pixels(normalised, row.height, row.width).ravel().tolist()
