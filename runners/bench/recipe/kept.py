"""Results of (task, fold, network) in a folder, so that a comparison that was killed continues where it was."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runners.bench.kept_results import keep_result, read_result
from runners.planning.plan import PlannedRun

PEERS = 1
"""Raised whenever the peers change so that they give other scores: their older results then count no more."""


@dataclass(frozen=True)
class KeptResults:
    """One file for each result. Its name holds the id of agglab's run, and so data, split, model, recipe and budget:
    results of other conditions lie beside each other and are never taken for one another."""

    folder: Path

    def get(self, run: PlannedRun, what: str, make: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], bool]:
        """A result, and whether it had to be made; `what` is a network or what else is known of a run."""
        path = self._path(run, what)
        found = read_result(path)
        return (found, False) if found is not None else (keep_result(path, make()), True)

    def has(self, run: PlannedRun, what: str) -> bool:
        """Whether a result is there, damaged or not."""
        return self._path(run, what).is_file()

    def _path(self, run: PlannedRun, what: str) -> Path:
        return self.folder / f"{run.folder_name}-{what}-{PEERS}.json"
