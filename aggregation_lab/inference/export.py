"""A unit's encoder and one head as ONNX, for programs without torch; checked against torch before the file is there."""

import logging
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
from aggregation_lab.files import atomic_path
from aggregation_lab.inference.model import TrainedModel
from aggregation_lab.tasks import Task

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-4
"""Largest difference from torch: of probabilities, and of coordinates as shares of the image's side."""
MOST_PIXELS = 1e-3
"""Largest share of pixels whose class may differ: two classes that are equal but for rounding."""
CHECKED = (1, 3)
"""Sizes of the batches on which the file is compared; it takes any."""


class _OneTask(nn.Module):
    """B x 3 x S x S pixels in 0..255 (float32) -> normalised predictions of one task, with one head alone."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: TrainedModel, task: Task):
        super().__init__()
        self.network, self.task_name = model.network, task.name
        self.position = model.network.tasks.index(task)
        self.register_buffer("mean", 255 * model.mean)
        self.register_buffer("std", 255 * model.std)

    def forward(self, images: Tensor) -> Tensor:
        inputs = (images - self.mean) / self.std
        index = torch.full((images.shape[0],), self.position, dtype=torch.long)
        output = self.network(inputs, index, [(self.task_name, slice(None))])[self.task_name]
        head: Any = self.network.heads[self.task_name]
        return head.predict(output)


def export_onnx(model: TrainedModel, task: str | Task, file: Path) -> float:
    """Write the model of one task as ONNX; returns the largest difference from torch that was seen.

    Input `images`: B x 3 x S x S float32 in 0..255, RGB (grey three times), resized to the run's S without keeping the
    aspect ratio. Output `prediction`: what the task's type predicts for such squares, coordinates as shares of the
    sides; masks are S x S class indices. It computes in float32, whatever the run did, and takes any number of images.
    `model` is moved to the CPU.

    Raises `ModelError` where a package is missing, or the exported model differs from torch by more than `TOLERANCE`.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ModelError(f"export needs {', '.join(missing)}; pip install -e '.[onnx]' brings it")
    chosen = model.task(task)
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
        worst = _difference(alone, chosen, temporary)
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
    }


def _difference(alone: nn.Module, task: Task, file: Path) -> float:
    """The largest difference of the file from torch, on noise and flat images: of masks the share of pixels."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    size, random = session.get_inputs()[0].shape[-1], torch.Generator().manual_seed(0)
    worst = 0.0
    for count in CHECKED:
        images = torch.rand(count, 3, size, size, generator=random) * 255
        images[0] = images[0].mean()
        with torch.no_grad():
            expected = alone(images).numpy()
        (found,) = session.run(None, {"images": images.numpy()})
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
