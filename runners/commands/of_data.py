"""Commands on a data folder: validate, phantoms. What they do is imported when they are called."""

from pathlib import Path
from typing import Annotated

import typer

from runners.commands.arguments import as_path
from runners.console.terminal import screen


def validate(
    data: Annotated[Path, typer.Argument(parser=as_path, metavar="DATA", help="Folder in the challenge's layout.")],
    study: Annotated[str | None, typer.Option("--study", help="A study whose data section applies.")] = None,
) -> None:
    """List ALL problems of a data folder, its tasks, shared images, near-duplicates and what a split must keep apart.

    Exit code 0: usable, warnings shown; 1: not usable.
    """
    from runners.commands.validate_data import validate_data

    raise typer.Exit(validate_data(data, study, screen()))


def phantoms(
    out: Annotated[Path, typer.Argument(parser=as_path, metavar="OUT", help="New folder for the phantoms.")],
    tasks: Annotated[str | None, typer.Option("--tasks", help="Task ids, joined by commas; else all.")] = None,
    scale: Annotated[float, typer.Option("--scale", min=0.0, max=1.0, help="Share of the challenge's images.")] = 0.02,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """Write ultrasound phantoms in the challenge's layout, with planted relatedness that is written down."""
    from runners.commands import study_commands

    raise typer.Exit(study_commands.write_phantom_folder(out, tasks, scale, seed, screen()))
