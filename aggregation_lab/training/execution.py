"""One run from its spec to its tables: what a worker calls."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from aggregation_lab.data.cache import ImageCache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import Split
from aggregation_lab.errors import AgglabError, is_out_of_memory
from aggregation_lab.run import BEFORE_COOLDOWN, CHECKPOINT, RunSpec
from aggregation_lab.training.affinity.settings import AffinitySettings
from aggregation_lab.training.checkpoint import read_checkpoint
from aggregation_lab.training.device import pick_device, release_memory, reset_peak_memory
from aggregation_lab.training.keep import NOTHING, Keep
from aggregation_lab.training.out_of_memory import memory_errors_explained
from aggregation_lab.training.recording import write_results
from aggregation_lab.training.recording_models import write_models
from aggregation_lab.training.trainer import Progress, Trainer


def train_run(
    spec: RunSpec,
    dataset: Dataset,
    split: Split,
    cache: ImageCache,
    folder: Path,
    *,
    report: Callable[[Progress], None] = lambda progress: None,
    threads: int | None = None,
    device: str | None = None,
    checkpoint_seconds: float = 60.0,
    keep: Keep = NOTHING,
    start: Path | None = None,
    affinity: AffinitySettings | None = None,
) -> None:
    """Train one run in `folder`, continuing its checkpoint if there is one, and write its tables and what it keeps.

    `start` is the folder of the finished run that the spec starts from, if it does. `report` is called after every
    step, and while a frozen trunk is computed, and may raise `RunInterrupted`. The tables and what is kept are written
    before `done.json`, whose presence says that the run is finished. `affinity` makes a run of several tasks record
    how they bear on each other, in one table more. Raises `TrainingError` where a loss is not finite or explodes, or
    one image at a time is more than memory holds, and `AgglabError` where a file cannot be read or written, or what the
    run reads was damaged meanwhile.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    chosen = pick_device(device)
    release_memory(chosen)  # what this process holds of the run before, others on the same accelerator may need
    reset_peak_memory(chosen)
    cache.check()
    with memory_errors_explained("the run"):
        build = partial(Trainer, spec, dataset, split, cache, folder, chosen, report, keep, start, affinity)
        trainer = _begin(build, folder / CHECKPOINT)
        trainer.train(report, checkpoint_seconds)
        # scoring can be killed, or meet a full disk
        trainer.save()
        kept = write_models(trainer, dataset, keep.models)
        if trainer.was_capped and (folder / BEFORE_COOLDOWN).is_file():
            kept.append(BEFORE_COOLDOWN)
        trainer.take_best()
        end, score = trainer.steps, trainer.mean_score()
        scoring = Progress(end, end, score=score, phase="scoring", device=chosen.type)
        write_results(trainer, dataset.root, alive=lambda: report(scoring), kept=kept, predictions=keep.predictions)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _begin(build: Callable[[], Trainer], checkpoint: Path) -> Trainer:
    """A trainer at the checkpoint, or at its start where there is none; an unusable one is set aside and named.

    Raises `AgglabError` where the file system does not give it now: the training in it is not lost.
    """
    trainer = build()
    if checkpoint.is_file():
        try:
            trainer.restore(read_checkpoint(checkpoint))
        except OSError as error:
            if is_out_of_memory(error):
                raise
            advice = "once it can be, the same run-grid command continues the run from there"
            raise AgglabError(f"{checkpoint}: cannot be read ({error.strerror or error}); {advice}") from error
        except Exception as error:  # a damaged file fails in many ways; training again is right for each of them
            if is_out_of_memory(error):
                raise
            aside = checkpoint.replace(checkpoint.with_suffix(".damaged"))
            print(f"{checkpoint}: cannot be continued ({error}); kept as {aside.name}, the run starts again")
            return build()
    return trainer
