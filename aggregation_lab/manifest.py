"""What an analysis needs besides the score tables of a study: margins, settings, digests, leakage.

`manifest.json` lies beside the tables. A table from another trainer has none; `Manifest(study)` stands in.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aggregation_lab.errors import ResultsError
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed

MANIFEST = "manifest.json"

DEFAULT_MARGIN = 0.02
"""Loss of unit-free score that counts as none where a study names no margin."""


@dataclass(frozen=True)
class Manifest:
    """`margins` by task; `settings` as in the study file; `dataset` and `split` are digests.

    `leakage` holds the counts of `aggregation_lab.data.splits.leakage`. `planned` and `finished` count runs.
    """

    study: str
    margins: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    version: str | None = None
    dataset: str | None = None
    split: str | None = None
    leakage: Mapping[str, int] | None = None
    planned: int | None = None
    finished: int | None = None

    def margin(self, task: str) -> float:
        return self.margins.get(task, DEFAULT_MARGIN)

    def write(self, folder: Path) -> None:
        write_sealed(folder / MANIFEST, asdict(self))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder of score tables. Raises `ResultsError` where it is missing or damaged."""
    file = folder / MANIFEST
    try:
        return Manifest(**read_sealed(file))
    except FileNotFoundError as error:
        raise ResultsError(f"{file}: does not exist; run `agglab run-grid` on the study once more") from error
    except (OSError, ValueError, TypeError) as error:
        raise ResultsError(f"{file}: cannot be read ({error}); run `agglab run-grid` once more to write it") from error
