"""Options of a grid and its exit code, apart from all that is slow to import."""

from dataclasses import dataclass
from enum import StrEnum

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
UNTIL_DECIDED = "--until-decided"
"""The option of `run-grid` by which looks at the verdicts decide how many seeds are trained."""


class Rerun(StrEnum):
    """Which runs a grid takes up: those without a result, failed ones alone, outdated ones too, those too that lack
    what the study keeps, or all."""

    MISSING = "missing"
    FAILED = "failed"
    STALE = "stale"
    UNKEPT = "unkept"
    ALL = "all"


class EngineName(StrEnum):
    """Where workers run: processes of this machine, jobs of a cluster, or this process."""

    LOCAL = "local"
    SLURM = "slurm"
    DEBUG = "debug"


@dataclass(frozen=True)
class GridOptions:
    """Options of `run-grid`; `jobs` None lets the machine decide."""

    jobs: int | None = None
    only: tuple[str, ...] = ()
    rerun: Rerun = Rerun.MISSING
    fail_fast: bool = False
    device: str | None = None
    engine: EngineName = EngineName.LOCAL
