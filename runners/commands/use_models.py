"""What the commands on trained models do, once their options are read."""

import shlex
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from aggregation_lab.errors import ResultsError
from aggregation_lab.text import near_names, printable
from runners.console.terminal import print_json, screen
from runners.execution.progress import preparation, say
from runners.planning.user_paths import absolute_path, output_path
from runners.store.folder_lock import locked
from runners.store.kept_models import TRAIN, runs_with_model

if TYPE_CHECKING:
    from aggregation_lab.inference.model import TrainedModel

_SHOWN = 20
"""Images that could not be read of which a line is shown; predictions.json has all."""


def heard(console: Console) -> Console:
    """Where a warning is shown: standard error where the command is quiet."""
    return screen(errors=True) if console.quiet else console


def open_model(
    run: Path, task: str | None, weights: str | None, device: str | None, console: Console
) -> "TrainedModel":
    """The model of a run on a device, and as many threads as the run had, so that it predicts what the run predicted.

    Says where the run's scores are of other weights. Raises as `load_model` does, and `ResultsError` for the folder of
    a study, with the runs that have a model of `task`.
    """
    folder = absolute_path(run, "RUN")
    _refuse_study(folder, task)
    import torch

    from aggregation_lab.inference.load import load_model
    from aggregation_lab.training.device import pick_device

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = load_model(folder, weights=weights, device=str(pick_device(device)))
    for warning in told:
        say(heard(console), f"warning  {warning.message}")
    if model.description.threads:
        torch.set_num_threads(model.description.threads)
    return model


def _refuse_study(folder: Path, task: str | None) -> None:
    if not (folder / "runs").is_dir():
        return
    said = f"{printable(str(folder), 400)}: is the folder of a study, and a model is in the folder of a run"
    kept = runs_with_model(folder)
    if not kept:
        raise ResultsError(f"{said}; none of its runs has kept one: {TRAIN}")
    found = [run for run, tasks in kept.items() if task is None or task in tasks]
    if not found:
        there = {name for tasks in kept.values() for name in tasks}
        raise ResultsError(f"{said}; none of them is of {printable(task or '', 60)}{near_names(task, there)}")
    what = "one" if task is None else f"one of {printable(task, 60)}"
    raise ResultsError(f"{said}; {len(found)} of its runs have {what}, the first is {shlex.quote(str(found[0]))}")


def predict_images(
    run: Path,
    sources: Sequence[Path],
    out: Path,
    task: str | None,
    weights: str | None,
    device: str | None,
    console: Console,
    *,
    as_json: bool,
) -> int:
    """Predict a task for all images of the sources into the folder `out`. Exit code 1 where some were left out."""
    from aggregation_lab.inference.earlier_predictions import RECEIPT, TABLE
    from aggregation_lab.inference.image_list import list_images
    from aggregation_lab.inference.prediction_folder import predict_folder

    folder = output_path(out)
    images = list_images([absolute_path(source, "IMAGES") for source in sources])
    model = open_model(run, task, weights, device, console)
    chosen = model.task(_only_task(model, task))
    described = model.description
    say(
        console,
        f"run {described.spec.id}, {described.weights} weights, task {chosen.name} ({chosen.type}) on {model.device}: "
        f"{len(images)} images",
    )
    with locked(folder / ".lock", lambda: say(console, f"{folder}: another predict is at work; waiting")):
        predicted = predict_folder(model, images, chosen, folder, preparation(console))
    for name, reason in list(predicted.left_out.items())[:_SHOWN]:
        say(heard(console), f"left out  {printable(name, 400)}: {reason}")
    if len(predicted.left_out) > _SHOWN:
        say(heard(console), f"and {len(predicted.left_out) - _SHOWN} more, all in {folder / RECEIPT}")
    verb = "were there already" if predicted.was_there else "predicted"
    say(console, f"{predicted.images} images {verb}, {len(predicted.left_out)} left out: {folder / TABLE}")
    if as_json:
        files = {"table": str(folder / TABLE), "receipt": str(folder / RECEIPT)}
        print_json({"images": predicted.images, "left_out": predicted.left_out, **files})
    return 1 if predicted.left_out else 0


def export_model(
    run: Path, out: Path, task: str | None, weights: str | None, console: Console, *, as_json: bool
) -> int:
    """Write the model of one task as ONNX to the file `out`."""
    from aggregation_lab.files import file_digest
    from aggregation_lab.inference.export import export_onnx

    file = absolute_path(out, "--out")
    model = open_model(run, task, weights, "cpu", console)
    chosen = model.task(_only_task(model, task))
    say(console, f"exporting {chosen.name}; this takes half a minute")
    worst = export_onnx(model, chosen, file)
    size = f"{file.stat().st_size / 1e6:.1f} MB"
    say(console, f"{file}: task {chosen.name} ({chosen.type}), {size}, differs from torch by {worst:.1g} at most")
    if as_json:
        print_json({"file": str(file), "sha256": file_digest(file), "task": chosen.name, "difference": worst})
    return 0


def _only_task(model: "TrainedModel", task: str | None) -> str:
    """The task asked for, or the one there is. Raises `ResultsError` where that is not clear."""
    if task is None and len(model.tasks) > 1:
        names = ", ".join(printable(name, 60) for name in model.tasks)
        raise ResultsError(f"--task: is needed, the run has {len(model.tasks)} tasks: {names}")
    return next(iter(model.tasks)) if task is None else task
