"""What a trained model must know of its run: the spec, how images become its input, and how precisely it computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aggregation_lab.run import RunSpec


@dataclass(frozen=True)
class Description:
    """`weights` is `last` or `best`, `step` where they were taken and `digest` the SHA-256 of their file; `scored` says
    that the run's scores are theirs.

    `channels` 1 where all images of the data were grey: others are made grey, then. `mean` and `std` normalise pixels
    in [0, 1]. `levels`, by task: the ranges of values that became black and white in images of more than 8 bits.
    `threads` and `precision` are those of the run, with which its predictions repeat to the last digit.
    """

    spec: RunSpec
    weights: str
    scored: bool
    mean: Sequence[float]
    std: Sequence[float]
    precision: str
    channels: int = 3
    levels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    threads: int | None = None
    step: int | None = None
    digest: str = ""
    versions: str = ""

    @classmethod
    def of_kept(cls, content: Mapping[str, Any], kind: str, digest: str) -> "Description":
        """From model.json, for one kind of the weights that are kept."""
        return cls(
            spec=RunSpec.from_json(content["spec"]),
            weights=kind,
            scored=kind == content["scored"],
            mean=tuple(content["mean"]),
            std=tuple(content["std"]),
            precision=content["precision"],
            channels=content["channels"],
            levels={name: tuple(task["levels"]) for name, task in content["tasks"].items()},
            threads=content["threads"],
            step=content["weights"][kind]["step"],
            digest=digest,
            versions=content["versions"],
        )
