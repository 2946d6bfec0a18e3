"""Commands on trained models: predict, submit, export. What they do is imported when they are called."""

from pathlib import Path
from typing import Annotated

import typer

from runners.commands.arguments import DeviceOption, JsonOption, QuietOption, RunArgument, WeightsOption, as_path
from runners.console.terminal import screen


def predict(
    run: RunArgument,
    images: Annotated[
        list[Path],
        typer.Argument(parser=as_path, metavar="IMAGES", help="Folders, images, or a .txt with one path per line."),
    ],
    out: Annotated[Path, typer.Option("--out", parser=as_path, metavar="PATH", help="Folder of the predictions.")],
    task: Annotated[str | None, typer.Option("--task", help="The task; not needed where the run has one only.")] = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predict a task for images, with the model of a run that kept it; continues where it was stopped.

    Masks come as PNG of class indices, all else as a table, in pixels of the images. Exit code 0: every image has a
    prediction; 1: some could not be read, one line each.
    """
    from runners.commands.use_models import predict_images

    console = screen(quiet or as_json)
    raise typer.Exit(predict_images(run, images, out, task, weights, device, console, as_json=as_json))


def submit(
    sources: Annotated[
        list[Path],
        typer.Argument(parser=as_path, metavar="RUN_OR_STUDY", help="Runs that kept models, or studies' outputs."),
    ],
    val: Annotated[Path, typer.Argument(parser=as_path, metavar="VAL", help="The challenge's folder without labels.")],
    out: Annotated[Path, typer.Option("--out", parser=as_path, metavar="PATH", help="New folder of the submission.")],
    aggregation: Annotated[
        str | None,
        typer.Option("--aggregation", metavar="NAME", help="Of a study, for all tasks: TS, AU, arm/AU ..."),
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Leave out tasks that no model is there for.")] = False,
    device: DeviceOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the files of a submission to the FMC_UIA challenge, and check that every row is answered once.

    Of a study, each task is answered by the aggregation with the best validation score. What answered what, and the
    digests of the files, stand beside the folder in PATH.json.
    """
    from runners.commands.write_submission import submit_to_challenge

    console = screen(quiet or as_json)
    code = submit_to_challenge(sources, val, out, aggregation, device, console, some=partial, as_json=as_json)
    raise typer.Exit(code)


def export(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", parser=as_path, metavar="FILE", help="The .onnx file.")],
    task: Annotated[str | None, typer.Option("--task", help="The task; not needed where the run has one only.")] = None,
    weights: WeightsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a run's encoder and the head of one task as ONNX, checked against torch."""
    from runners.commands.use_models import export_model

    console = screen(quiet or as_json)
    raise typer.Exit(export_model(run, out, task, weights, console, as_json=as_json))
