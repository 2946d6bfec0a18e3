"""A unit's encoder and one head as ONNX, for programs without torch; checked against torch before the file is there."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aggregation_lab.errors import ModelError
from aggregation_lab.files import atomic_path, read_bytes
from aggregation_lab.inference.model import TrainedModel
from aggregation_lab.tasks import Task

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4
"""Largest difference from torch: of probabilities, and of coordinates as shares of the image's side."""
MOST_PIXELS = 1e-3
"""Largest share of pixels whose class may differ: two classes that are equal but for rounding."""
CHECKED = (1, 3)
"""Sizes of the batches on which the file is compared; it takes any."""


LUMA = (19595, 38470, 7471)
"""What red, green and blue add to a grey, in 65536ths: Pillow's, by which the run's own images were made grey."""


class _OneTask(nn.Module):
    """B x 3 x S x S pixels in 0..255 (float32) -> normalised predictions of one task, with one head alone.

    A run that saw grey images only takes colours as `agglab predict` does: made grey, in whole numbers.
    """

    mean: Tensor
    std: Tensor
    luma: Tensor

    def __init__(self, model: TrainedModel, task: Task):
        super().__init__()
        self.network, self.task_name = model.network, task.name
        self.position = model.network.tasks.index(task)
        self.register_buffer("mean", 255 * model.mean)
        self.register_buffer("std", 255 * model.std)
        self.register_buffer("luma", torch.tensor(LUMA).view(1, 3, 1, 1) / 65536)
        self.grey = model.description.channels == 1

    def forward(self, images: Tensor) -> Tensor:
        if self.grey:
            images = torch.floor((images * self.luma).sum(1, keepdim=True) + 0.5)
        inputs = (images - self.mean) / self.std
        index = torch.full((images.shape[0],), self.position, dtype=torch.long)
        output = self.network(inputs, index, [(self.task_name, slice(None))])[self.task_name]
        head: Any = self.network.heads[self.task_name]
        return head.predict(output)


def export_onnx(model: TrainedModel, task: str | Task, file: Path) -> float:
    """Write the model of one task as ONNX; returns the largest difference from torch that was seen.

    Input `images`: B x 3 x S x S float32 in 0..255, RGB (grey three times), resized to the run's S without keeping the
    aspect ratio; made grey inside where all images of the run were. Images of more than 8 bits are to be scaled from
    the file's `levels` first. Output `prediction`: what the task's type predicts for such squares, coordinates as
    shares of the sides; masks are S x S class indices. It computes in float32, whatever the run did, and takes any
    number of images. `model` is moved to the CPU.

    Raises `ModelError` where a package is missing, the file is there and is no export of this run and task, or the
    exported model differs from torch by more than `TOLERANCE`.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ModelError(f"export needs {', '.join(missing)}; pip install -e '.[onnx]' brings it")
    chosen = model.task(task)
    if os.path.lexists(file) and not _of_same_task(file, _properties(model, chosen)):
        raise ModelError(f"{file}: is there already, and is no export of this run and task; choose another --out")
    alone = _OneTask(model, chosen).cpu().eval()
    model.cpu()
    example = torch.zeros(2, 3, model.image_size, model.image_size)
    with torch.no_grad(), _quiet():
        program: Any = torch.onnx.export(
            alone,
            (example,),
            dynamo=True,
            dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1, max=4096)}},
            input_names=["images"],
            output_names=["prediction"],
            verbose=False,
        )
    for key, value in _properties(model, chosen).items():
        program.model.metadata_props[key] = value
    with atomic_path(file) as temporary:
        with _quiet():
            program.save(str(temporary), external_data=False)
        worst = _difference(model, chosen, temporary)
        if not worst <= (MOST_PIXELS if chosen.type.masked else TOLERANCE):
            raise ModelError(f"{file}: not written, the exported model differs from torch by {worst:.2g}")
    return worst


def _properties(model: TrainedModel, task: Task) -> dict[str, str]:
    described = model.description
    return {
        "run": described.spec.id,
        "weights": f"{described.weights} {described.digest}",
        "task": task.name,
        "type": str(task.type),
        "classes": str(task.classes),
        "image_size": str(model.image_size),
        "channels": str(described.channels),
        "levels": ";".join(described.levels.get(task.name, ())),
    }


def _of_same_task(file: Path, properties: dict[str, str]) -> bool:
    """Whether the file is an earlier export of the same run and task, which may be replaced."""
    import onnx

    try:
        found = {each.key: each.value for each in onnx.load_model_from_string(read_bytes(file)).metadata_props}
    except Exception:  # whatever a parser raises: it is no export
        return False
    return all(found.get(key) == properties[key] for key in ("run", "task"))


def _difference(model: TrainedModel, task: Task, file: Path) -> float:
    """The largest difference of the file from what the model predicts of images of that size, on coloured noise and
    flat images: of masks the share of pixels."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    size, random = model.image_size, np.random.default_rng(0)
    worst = 0.0
    for count in CHECKED:
        images = random.integers(0, 256, (count, size, size, 3)).astype(np.uint8)
        images[0] = images[0].mean()
        seen = np.stack([model.input_of(image, task).pixels for image in images])
        expected = model(torch.from_numpy(seen).movedim(-1, 1), task).numpy()
        (found,) = session.run(None, {"images": images.transpose(0, 3, 1, 2).astype(np.float32)})
        if found.shape != expected.shape or found.dtype != expected.dtype:
            return float("inf")
        apart = found != expected if task.type.masked else np.abs(found.astype(float) - expected.astype(float))
        worst = max(worst, float(apart.mean() if task.type.masked else apart.max()))
    return worst


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own remarks are of no use to a reader: what it makes is compared afterwards."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
