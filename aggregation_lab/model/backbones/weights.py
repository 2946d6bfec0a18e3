"""The weights an encoder starts from: none, those of the hub, or a local checkpoint."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm

from aggregation_lab.errors import ModelError
from aggregation_lab.files import file_digest
from aggregation_lab.model.backbones.checkpoint_file import read_tensors
from aggregation_lab.model.backbones.matching import Match, best_match, fill
from aggregation_lab.text import listed, printable

LEAST_SHARE = 0.9
"""Share of an encoder's parameters that a checkpoint must bring."""
_LISTED = 5
"""Names that a line holds of each kind."""


def unloaded(name: str, options: dict[str, Any]) -> Any:
    """A network of timm at its random start. Raises `ModelError` where it cannot be built."""
    try:
        return timm.create_model(name, **options)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:  # such as weights that timm does not have
        raise ModelError(f"model.encoder: {name!r} cannot be built ({_short(error)})") from error


def from_hub(name: str, options: dict[str, Any]) -> Any:
    """A network of timm with the weights that timm downloads. Raises `ModelError` where that fails."""
    source = _hub_file(name)
    if source is None:
        raise ModelError(
            f"model.weights: timm has no weights for {name}; set weights: random, or give the path of a checkpoint"
        )
    try:
        return timm.create_model(name, pretrained=True, **options)
    except Exception as error:  # no network, no such file, a full disk, an odd proxy
        raise ModelError(
            f"model.weights: {name} could not be loaded from the hub ({_short(error)}); fetch {source} where there is "
            f"a network, put it beside the study file and write weights: {source.split()[0]}"
        ) from error


def _hub_file(name: str) -> str | None:
    """The file that timm downloads, in words that begin with its name."""
    known = timm.get_pretrained_cfg(name)
    if known is None or not known.has_weights:
        return None
    if known.hf_hub_id:
        own = f"{known.architecture}.{known.tag}" if known.tag else known.architecture
        repository = f"{known.hf_hub_id}{own}" if known.hf_hub_id.endswith("/") else known.hf_hub_id
        return f"{known.hf_hub_filename or 'model.safetensors'} of the hub's repository {repository}"
    return f"{str(known.url).rsplit('/', 1)[-1]} from {known.url}"


def load_checkpoint(name: str, network: Any, path: Path, digest: str = "") -> None:
    """Fill the network from a local checkpoint, and say in one line what keeps its random start and what is not used.

    `digest`, if there is one, is how the SHA-256 of the file begins. Raises `ModelError` where the file cannot be read,
    has another digest, or brings less than `LEAST_SHARE` of the parameters.
    """
    match = _checked(name, network, path)
    if digest:
        _check_digest(path, digest)  # after the reading: what was written into the file meanwhile is seen, too
    fill(network, match)
    note = shortfall(name, path, match)
    if note:
        print(note, flush=True)


def _check_digest(path: Path, digest: str) -> None:
    try:
        found = file_digest(path)
    except OSError as error:
        raise ModelError(f"model.weights: {path} cannot be read ({error.strerror or error})") from error
    if not found.startswith(digest):
        raise ModelError(
            f"model.weights: {path} has changed since the study was planned; put the file back, or give the run-grid "
            "command again, which trains anew what starts from it"
        )


def check_checkpoint(name: str, network: Any, path: Path) -> str:
    """What `load_checkpoint` would say, for a network without numbers. Raises `ModelError` as it does."""
    return shortfall(name, path, _checked(name, network, path))


def _checked(name: str, network: Any, path: Path) -> Match:
    match = best_match(name, network, read_tensors(path))
    if match.share < LEAST_SHARE:
        faults = {
            "missing": _listed(match.missing),
            "of another size": printable(", ".join(match.misshapen[:_LISTED]), 600),
            "unexpected": _listed(match.unused),
        }
        listed = "; ".join(f"{kind}: {names}" for kind, names in faults.items() if names)
        raise ModelError(
            f"model.weights: {path} does not fit {name}, it brings {100 * match.share:.0f} % of its parameters where "
            f"{100 * LEAST_SHARE:.0f} % are the least; {listed}"
        )
    return match


def shortfall(name: str, path: Path, match: Match) -> str:
    """What does not fit, in one line; empty where everything does."""
    kinds = {"random start": [*match.missing, *match.misshapen], "not used": match.unused}
    listed = "; ".join(f"{kind}: {_listed(names)}" for kind, names in kinds.items() if names)
    brought = f"brings {len(match.fitting)} tensors of {name}, {100 * match.share:.1f} % of its parameters"
    return f"model.weights: {path} {brought}; {listed}" if listed else ""


def _listed(names: Sequence[str]) -> str:
    """The first names and how many more there are; names that begin alike count as one where there are many."""
    if len(names) > _LISTED:
        begins = Counter(name.split(".")[0] for name in names)
        names = [f"{begin} ({count} tensors)" if count > 1 else begin for begin, count in begins.items()]
    return printable(listed(names, _LISTED), 600)


def _short(error: Exception) -> str:
    return printable(" ".join(str(error).split()), 200)
