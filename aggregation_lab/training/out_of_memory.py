"""What to do when memory runs out: the same work on fewer images at once, and one clear line when one is too many."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from aggregation_lab.errors import LESS_MEMORY, TrainingError, is_out_of_memory
from aggregation_lab.training.device import release_memory

Result = TypeVar("Result")


def with_less_memory(work: Callable[[int], Result], size: int, device: torch.device, what: str) -> tuple[Result, int]:
    """The result of `work(size)`, and the size it took: halved, and reported in the log, as often as memory runs out.

    `size` is how many images go through the model at once; `work` starts from nothing each time it is called. Raises
    `TrainingError` where one image is too many.
    """
    while True:
        try:
            return work(size), size
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise TrainingError(f"{what}: out of memory with one image at a time; {LESS_MEMORY}") from error
        # outside the handler: the error, whose traceback holds the tensors of the attempt, is freed by now
        gc.collect()
        release_memory(device)
        smaller = -(-size // 2)
        print(f"{what}: out of memory with {size} images at a time, continues with {smaller}", flush=True)
        size = smaller


@contextmanager
def memory_errors_explained(what: str) -> Iterator[None]:
    """Where nothing can be made smaller: a lack of memory becomes a `TrainingError` that says what to do."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(f"{what}: out of memory; {LESS_MEMORY}") from error
