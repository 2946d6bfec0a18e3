"""A trained model as a module that takes images as they are and answers in their own pixels."""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from aggregation_lab.errors import ResultsError
from aggregation_lab.inference.description import Description
from aggregation_lab.inference.images import AnyImage, ImageInput, image_input
from aggregation_lab.model.m2dino import M2DINO
from aggregation_lab.tasks import Task
from aggregation_lab.text import near_names, printable
from aggregation_lab.training.augmentation import to_model_input
from aggregation_lab.training.device import compute_as_named, pick_precision
from aggregation_lab.training.evaluation import EVALUATION_BATCH, predict_batch
from aggregation_lab.training.out_of_memory import with_less_memory


class TrainedModel(nn.Module):
    """The model of a run: `network`, an `M2DINO`, and `description`, what it must know of its run.

    `predict` takes files, arrays and images of Pillow. Called as a module it takes B x (1 or 3) x S x S pixels in
    0..255 of squares as the run saw them, and gives normalised predictions of one task (see `task.type`).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: M2DINO, description: Description):
        super().__init__()
        self.network, self.description = network, description
        for name in ("mean", "std"):
            values = torch.tensor(getattr(description, name)).view(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The tasks that it was trained for, by name."""
        return {task.name: task for task in self.network.tasks}

    @property
    def image_size(self) -> int:
        """Side of the squares that it sees, in pixels."""
        return self.description.spec.training.image_size

    @property
    def device(self) -> torch.device:
        return self.mean.device

    def task(self, name: str | Task) -> Task:
        """Its task of this name. Raises `ResultsError` where it has none."""
        wanted = name if isinstance(name, str) else name.name
        if wanted not in self.tasks:
            known = near_names(wanted, self.tasks)
            raise ResultsError(f"task {printable(wanted, 60)}: the run was not trained for it{known}")
        return self.tasks[wanted]

    def forward(self, images: Tensor, task: str | Task) -> Tensor:
        """B x (1 or 3) x S x S pixels in 0..255 -> normalised predictions, without gradients."""
        return self.network.predict(self._to_input(images), self.task(task))

    def input_of(self, image: AnyImage, task: str | Task) -> ImageInput:
        """One image as the model sees it for a task. Raises `DataError` where it cannot be read."""
        levels = self.description.levels.get(self.task(task).name, ())
        return image_input(image, self.image_size, self.description.channels, levels)

    def predict(self, images: AnyImage | Iterable[AnyImage], task: str | Task) -> list[np.ndarray]:
        """Predictions of one task in pixels of the original images, in their order; a single image gives a list of one.

        An image is the path of a file, an image of Pillow or an array: H x W grey or H x W x 3 RGB of uint8, or H x W
        of more bits where the run saw such. Segmentation gives H x W class indices (uint8), detection (4,) x_min,
        y_min, x_max, y_max, regression P x 2 points x, y, classification (C,) probabilities.

        Images go through in batches of 64, as the run's test cases did: the same images in the same order give the
        run's own predictions to the last digit, on the same kind of device and with the same number of threads
        (`description.threads`); in another order the last digits may differ.

        Raises `ResultsError` for a task that the run does not have, and `DataError` for an image that cannot be read.
        """
        given = [images] if isinstance(images, Path | str | bytes | Image.Image | np.ndarray) else list(images)
        chosen, found = self.task(task), list[np.ndarray]()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(given), EVALUATION_BATCH):
                part = given[start : start + EVALUATION_BATCH]
                found += self.predict_inputs(list(pool.map(partial(self.input_of, task=chosen), part)), chosen)
        return found

    def predict_inputs(self, inputs: Sequence[ImageInput], task: str | Task) -> list[np.ndarray]:
        """The same, for images that are read already."""
        chosen, found, at_once = self.task(task), list[np.ndarray](), EVALUATION_BATCH
        while len(found) < len(inputs):
            left = inputs[len(found) :]
            work, what = partial(self._predict, left, chosen), f"prediction of {chosen.name}"
            predicted, at_once = with_less_memory(work, at_once, self.device, what)
            sizes = [(each.height, each.width) for each in left[: len(predicted)]]
            found += [chosen.type.in_pixels(one, *size) for one, size in zip(predicted, sizes, strict=True)]
        return found

    def _predict(self, inputs: Sequence[ImageInput], task: Task, count: int) -> np.ndarray:
        pixels = torch.from_numpy(np.stack([each.pixels for each in inputs[:count]])).movedim(-1, 1)
        precision = pick_precision(self.description.precision, self.device)
        compute_as_named(precision)
        self.network.eval()
        return predict_batch(self.network, self._to_input(pixels.to(self.device)), task, precision)

    def _to_input(self, images: Tensor) -> Tensor:
        return to_model_input(images, self.mean, self.std)
