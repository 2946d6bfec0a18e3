"""Give a run what a finished one with another cap has for it: its result, or the checkpoint that it goes on from."""

import os
from pathlib import Path

from aggregation_lab.files import cannot_be_written
from aggregation_lab.kept.another_id import write_as
from aggregation_lab.kept.digests import check_digest, kept_digests
from aggregation_lab.run import BEFORE_COOLDOWN, CHECKPOINT
from runners.planning.plan import PlannedRun
from runners.store.other_runs.caps import Extension
from runners.store.run_folder import claimed


def take_over(run: PlannedRun, folder: Path, extension: Extension) -> None:
    """Do so in the run's `folder`, unless another process has the run. Killed meanwhile, it is done again.

    Raises `ResultsError` naming what the finished run has no more, or not as it was written, and `AgglabError` where
    `folder` cannot be written.
    """
    with claimed(folder, run) as claim:
        if claim is None:
            return
        if extension.is_whole:
            write_as(run.spec, extension.folder, folder)
            (folder / CHECKPOINT).unlink(missing_ok=True)
        elif not (folder / CHECKPOINT).exists():
            _link_checkpoint(extension.folder, folder / CHECKPOINT)


def _link_checkpoint(source: Path, checkpoint: Path) -> None:
    """The checkpoint of a finished run in another folder, too; it takes no space until the run writes its own."""
    kept = source / BEFORE_COOLDOWN
    check_digest(kept, kept_digests(source).get(BEFORE_COOLDOWN))
    try:
        os.link(kept, checkpoint)
    except OSError as error:
        raise cannot_be_written(checkpoint, error) from error
