"""The trained weights of a run as safetensors, which cannot run code, and what one must know to use them as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregation_lab.errors import ResultsError
from aggregation_lab.files import write_bytes
from aggregation_lab.kept.digests import kept_digests, read_kept
from aggregation_lab.run import MODEL, weights_file
from aggregation_lab.storage.sealed_json import DIGEST, write_sealed
from aggregation_lab.text import printable

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
"""Number of the form of model.json."""


def write_weights(folder: Path, kind: str, weights: Mapping[str, "Tensor"], run: str) -> None:
    """Write the weights of a run, from any device, atomically. Raises `AgglabError` where they cannot be written."""
    from safetensors.torch import save

    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    content = save(tensors, {"run": run})  # one entry: several have another order in every process
    write_bytes(folder / weights_file(kind), content)


def write_description(folder: Path, content: Mapping[str, Any]) -> None:
    """Write model.json, with the number of its form and a digest of its content."""
    write_sealed(folder / MODEL, {"format": FORMAT, **content})


def read_description(folder: Path) -> dict[str, Any]:
    """The content of model.json. Raises `ResultsError` where the run kept no model, or the file cannot be used."""
    try:
        content = json.loads(read_kept(folder, MODEL))
    except ValueError as error:
        raise ResultsError(f"{printable(str(folder / MODEL), 400)}: is no JSON ({error})") from error
    if content["format"] != FORMAT:
        raise ResultsError(
            f"{printable(str(folder / MODEL), 400)}: has format {content['format']}, this agglab reads {FORMAT}; use "
            "the agglab that trained the run"
        )
    content.pop(DIGEST, None)
    return content


def kept_kinds(folder: Path) -> tuple[str, ...]:
    """Which weights the finished run in `folder` has kept. Raises `ResultsError` where no run is finished there."""
    digests = kept_digests(folder)
    return tuple(kind for kind in ("last", "best") if weights_file(kind) in digests)


def scored_kind(description: Mapping[str, Any], kinds: Sequence[str]) -> str:
    """Of the kept `kinds` that whose scores the run has, else the only other one; `description` is model.json."""
    return description["scored"] if description["scored"] in kinds else kinds[0]


def read_weights(folder: Path, kind: str) -> dict[str, "Tensor"]:
    """The weights of a kind that the run in `folder` kept, on the CPU, checked against its done.json.

    Raises `ResultsError` where it kept none of this kind, or they are damaged.
    """
    from safetensors.torch import load

    return load(read_kept(folder, weights_file(kind)))
