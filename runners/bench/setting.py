"""What the parts of the benchmarks share: model, image size, batch, data, and how much of the study is run."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aggregation_lab.data.phantoms import PhantomConfig, write_phantoms
from runners.planning import cost

ENCODER = "vit_tiny_patch16_dinov3_qkvb"
SIZE = 128
BATCH = 16

SHARE = 0.15
PASSES = 2.0
"""Share of the rows of --data, and passes over them, that keep the whole within ten minutes on two cores."""


@dataclass(frozen=True)
class Setting:
    """`scratch` is a folder for everything that is written; `data` None takes phantoms. `rounds` repeats each timing.

    `growth_seeds` times ten are the runs of `growth`, `data_sizes` the tasks and images per task of `more_data`.
    `size`, `share` and `passes` say how large the study of the parts `peers`, `scoring` and `overhead` is.
    """

    scratch: Path
    data: Path | None = None
    share: float = SHARE
    passes: float = PASSES
    size: int = SIZE
    rounds: int = 7
    growth_seeds: tuple[int, ...] = (1, 10, 100)
    data_sizes: tuple[tuple[tuple[int, int], ...], ...] = (((3, 64), (9, 64), (27, 64)), ((9, 32), (9, 96), (9, 288)))

    @cached_property
    def phantoms(self) -> Path:
        """A folder of phantoms, drawn on first use."""
        folder = self.scratch / "phantoms"
        write_phantoms(folder, PhantomConfig(scale=0.02), workers=cost.cores())
        return folder
