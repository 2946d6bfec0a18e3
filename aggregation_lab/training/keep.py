"""What a finished run keeps beside its tables. It decides nothing of a result, so no run's id depends on it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from aggregation_lab.run import MODEL, weights_file

Weights = Literal["last", "best"]
"""`last`: those after the last step. `best`: those with the best mean validation score over the unit's tasks, as
`training.checkpoint: best` takes them; without it they are kept and the last ones are scored."""


@dataclass(frozen=True)
class Keep:
    """`predictions`: those of the test cases, in original pixels. `models`: each kind of weights that is kept."""

    predictions: bool = False
    models: tuple[Weights, ...] = ()

    @property
    def files(self) -> frozenset[str]:
        """Names of the files in the run's folder that hold it; `done.json` has their digests."""
        return frozenset({*map(weights_file, self.models), *([MODEL] if self.models else [])})

    def with_weights(self, kind: Weights) -> "Keep":
        """The same, and weights of this kind, which another run needs."""
        return self if kind in self.models else replace(self, models=(*self.models, kind))

    def to_json(self) -> dict[str, Any]:
        return {"predictions": self.predictions, "models": list(self.models)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Keep":
        return cls(value["predictions"], tuple(value["models"]))


NOTHING = Keep()
"""What a run keeps that nobody has asked to keep anything."""
