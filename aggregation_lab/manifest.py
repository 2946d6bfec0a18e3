"""What an analysis needs besides the score tables of a study: margins, settings, digests, leakage.

`manifest.json` lies beside the tables. A table from another trainer has none; `Manifest(study)` stands in.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from aggregation_lab.errors import ResultsError
from aggregation_lab.folds import fold_of
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed

MANIFEST = "manifest.json"

DEFAULT_MARGIN = 0.02
"""Loss of unit-free score that counts as none where a study names no margin."""


@dataclass(frozen=True)
class Manifest:
    """`margins` by task, defaults too; `settings` as in the study file; `dataset` and `split` are digests.

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
    found: Mapping[str, Any] | None = None
    """The partition that the grid has found, why, and what it rests on; None where it has found none."""
    looks: Mapping[str, Any] | None = None
    """Where looks at the verdicts decided how many seeds were trained: `seeds` in their order, the numbers of seeds of
    the looks `planned` and `made`, and of each that was made what it `closed`."""
    verdicts_seen: tuple[tuple[int, ...] | int, ...] = ()
    """The seeds at which plain verdicts were read, in the order of reading, as far as that is known; a number alone
    where only that was noted."""
    margins_named: tuple[str, ...] | None = None
    """The tasks of which the study file names the margin; None where that is not known."""
    margins_seen: Mapping[str, float] | None = None
    """The margins that were in force when verdicts were first read; None where nobody has, or it was not noted."""
    recipe: int | None = None
    """The newest way of training among the study's runs (`aggregation_lab.run`); None where it was not noted."""

    @property
    def folds(self) -> int:
        """Rotating test folds; 1 where all seeds have one split."""
        data = self.settings.get("data")
        count = data.get("folds", 1) if isinstance(data, Mapping) else 1
        return count if isinstance(count, int) else 1

    def fold(self, seed: int) -> int | None:
        """The fold that a seed tests; None with one split."""
        return fold_of(seed, self.folds) if self.folds > 1 else None

    @property
    def arms(self) -> dict[str, Mapping[str, Any]]:
        """Settings of every arm by name, in the order of the study; empty where the study has one arm alone."""
        return {arm["name"]: arm for arm in self.settings.get("arms", ())}

    @property
    def base_arm(self) -> str | None:
        """The arm that a report is of where no other is asked for; None where the study has one arm alone."""
        return self.settings.get("base_arm")

    @property
    def reference(self) -> str | None:
        """The arm of the plain network that stands beside TS; None without one."""
        return self.settings.get("reference")

    @property
    def base_aggregation(self) -> str | None:
        """The aggregation that gains are over, where the study names one."""
        return self.settings.get("compare", {}).get("base", {}).get("aggregation")

    def of_arm(self, name: str) -> "Manifest":
        """The same with model and training of an arm, where they are known."""
        own = {part: value for part, value in self.arms.get(name, {}).items() if part in ("model", "training")}
        return replace(self, settings={**self.settings, **own})

    @property
    def margins_changed(self) -> dict[str, tuple[float, float]]:
        """The margins that are not those of the first reading of verdicts, by task: before, and now."""
        seen = self.margins_seen or {}
        return {task: (was, self.margins[task]) for task, was in seen.items() if self.margins.get(task, was) != was}

    def margin(self, task: str) -> float:
        return self.margins.get(task, DEFAULT_MARGIN)

    def write(self, folder: Path) -> None:
        value = asdict(self)
        for name in ("found", "margins_named", "margins_seen", "recipe"):
            if value[name] is None:  # written as it was before there was such a thing
                del value[name]
        write_sealed(folder / MANIFEST, value)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder of score tables. Raises `ResultsError` where it is missing or damaged."""
    file = folder / MANIFEST
    try:
        content = read_sealed(file)
        seen = tuple(tuple(each) if isinstance(each, list) else each for each in content.get("verdicts_seen", ()))
        named = content.get("margins_named")
        return Manifest(**content | {"verdicts_seen": seen, "margins_named": None if named is None else tuple(named)})
    except FileNotFoundError as error:
        raise ResultsError(f"{file}: does not exist; run `agglab run-grid` on the study once more") from error
    except (OSError, ValueError, TypeError) as error:
        raise ResultsError(f"{file}: cannot be read ({error}); run `agglab run-grid` once more to write it") from error
