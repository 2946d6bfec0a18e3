"""The trained model of a run, from what its folder holds."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aggregation_lab.errors import AgglabError, ResultsError
from aggregation_lab.inference.description import Description
from aggregation_lab.inference.model import TrainedModel
from aggregation_lab.kept.digests import TRAIN_AGAIN, kept_digests
from aggregation_lab.kept.model_files import kept_kinds, read_description, read_weights, scored_kind
from aggregation_lab.model.m2dino import M2DINO, build_m2dino
from aggregation_lab.run import CHECKPOINT, DONE, SPEC, RunSpec, weights_file
from aggregation_lab.storage.sealed_json import read_json
from aggregation_lab.text import printable
from aggregation_lab.training.checkpoint import is_of, read_checkpoint
from aggregation_lab.training.device import pick_device, pick_precision, precision_name


def load_model(run_folder: Path | str, *, weights: str | None = None, device: str = "cpu") -> TrainedModel:
    """The trained model of a run, in evaluation mode.

    `run_folder` is one of a study's `runs/`. A finished run has a model where the study has `keep: {models: last}` or
    `best`; `weights` picks one where both are there, else it is the one whose scores the run has, and a warning says
    where it is not. A run that is not finished gives the weights of its checkpoint: its images of more than 8 bits are
    not read, and grey data take colour images as they are.

    Raises `ResultsError` where the folder holds no weights, or they are damaged or of another run, and `ModelError`
    where the model cannot be built or the device does not exist.
    """
    folder, chosen = Path(run_folder), pick_device(device)
    if (folder / DONE).is_file():
        description, state = _kept(folder, weights)
        network = _untrained(description.spec)
    else:
        if weights is not None:
            raise ResultsError(f"{_named(folder)}: its run is not finished, so there is no choice of weights")
        spec, state = _of_checkpoint(folder)
        network = _untrained(spec)
        usual = network.encoder.pretrained_cfg
        precision = precision_name(pick_precision(spec.training.precision, chosen))
        description = Description(
            spec, spec.training.checkpoint, False, tuple(usual["mean"]), tuple(usual["std"]), precision
        )
    network.load_state_dict(state)
    size, precision_type = description.spec.training.image_size, pick_precision(description.precision, chosen)
    network.backbone.choose_attention(size, chosen, precision_type)
    return TrainedModel(network, description).to(chosen).eval()


def _untrained(spec: RunSpec) -> M2DINO:
    """The network of a run; every weight comes from its files, so nothing is downloaded."""
    random = spec.model.model_copy(update={"weights": "random"})
    with torch.random.fork_rng(devices=[]):
        return build_m2dino(random, spec.tasks, spec.seed, image_size=spec.training.image_size)


def _kept(folder: Path, weights: str | None) -> tuple[Description, dict[str, Tensor]]:
    kinds = kept_kinds(folder)
    if not kinds:
        raise ResultsError(
            f"{_named(folder)}: the run is finished and kept no model; with keep: {{models: last}} in the study file, "
            f"{TRAIN_AGAIN}"
        )
    content = read_description(folder)
    kind = weights or scored_kind(content, kinds)
    if kind not in kinds:
        kept = " and ".join(kinds)
        raise ResultsError(f"{_named(folder)}: kept the {kept} weights, not {printable(kind, 40)}; ask for those")
    description = Description.of_kept(content, kind, kept_digests(folder)[weights_file(kind)])
    if weights is None and not description.scored:
        of_others = f"the run's scores are those of the {content['scored']} ones"
        warnings.warn(f"{_named(folder)}: these are the {kind} weights; {of_others}", stacklevel=3)
    return description, read_weights(folder, kind)


def _of_checkpoint(folder: Path) -> tuple[RunSpec, dict[str, Tensor]]:
    for name in (SPEC, CHECKPOINT):
        if not (folder / name).is_file():
            raise ResultsError(f"{_named(folder)}: holds no {name}{_why(folder)}")
    try:
        spec = RunSpec.from_json(read_json(folder / SPEC))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = type(error).__name__
        raise ResultsError(f"{_named(folder)}: {SPEC} cannot be read ({reason}); run the grid again") from error
    try:
        state: dict[str, Any] = read_checkpoint(folder / CHECKPOINT)
    except (AgglabError, OSError, ValueError) as error:
        raise ResultsError(f"{_named(folder)}: {CHECKPOINT} cannot be used ({error}); run the grid again") from error
    if not is_of(state, spec):
        raise ResultsError(f"{_named(folder)}: {CHECKPOINT} is of run {state['run']}, {SPEC} of {spec.id}")
    best = state["best"] if spec.training.checkpoint == "best" else None
    return spec, best[1] if best is not None else state["model"]


def _named(folder: Path) -> str:
    return printable(str(folder), 400)


def _why(folder: Path) -> str:
    if not folder.is_dir():
        return ", because there is no such folder; give one of the folders in runs/ of a study"
    return f"; a run folder with weights has {SPEC} and {CHECKPOINT}, from its first checkpoint until it is finished"
