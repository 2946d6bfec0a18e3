"""Commands on a data folder: import, validate, phantoms. What they do is imported when they are called."""

from pathlib import Path
from typing import Annotated

import typer

from runners.commands.arguments import QuietOption, as_path
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
    scale: Annotated[
        float, typer.Option("--scale", help="Share of the challenge's images, above 0 and at most 1.")
    ] = 0.02,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    quiet: QuietOption = False,
) -> None:
    """Write ultrasound phantoms in the challenge's layout, with planted relatedness that is written down."""
    from runners.commands import study_commands

    raise typer.Exit(study_commands.write_phantom_folder(out, tasks, scale, seed, screen(quiet)))


def import_(
    form: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="folder, csv, masks, coco, nnunet, yolo, voc, medmnist, dicom, nifti, labelme, cvat or video.",
        ),
    ],
    source: Annotated[Path, typer.Argument(parser=as_path, metavar="SOURCE", help="The folder or file to import.")],
    out: Annotated[Path, typer.Argument(parser=as_path, metavar="OUT", help="Data folder; tasks in it stay.")],
    task: Annotated[str | None, typer.Option("--task", help="Name of the task; the source's where not given.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="Clinical group of the task.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="REGEX", help="Finds the patient in an image's path in SOURCE.")
    ] = None,
    subject_prefix: Annotated[
        str | None, typer.Option("--subject-prefix", metavar="TEXT", help="Stands before each subject.")
    ] = None,
    task_type: Annotated[
        str | None, typer.Option("--type", help="segmentation, classification, detection or regression.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option("--classes", metavar="A,B", help="The classes that count, in their order.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="IMAGE=COLUMN", help="What a table calls its columns.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", parser=as_path, metavar="CSV", help="Labels of DICOM, NIfTI or videos.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", parser=as_path, metavar="FOLDER", help="Where image names start from.")
    ] = None,
    mask_values: Annotated[
        str | None, typer.Option("--mask-values", metavar="0=0,255=1", help="Class of each value, or of each #rrggbb.")
    ] = None,
    boxes: Annotated[
        str | None, typer.Option("--boxes", help="Of several boxes in an image the `largest`, or `each` as a case.")
    ] = None,
    step: Annotated[int | None, typer.Option("--step", min=1, help="Take every how many-th frame or slice.")] = None,
    slices: Annotated[
        str | None, typer.Option("--slices", help="Slices of a volume: all, labelled, largest or middle.")
    ] = None,
    channel: Annotated[int | None, typer.Option("--channel", min=0, help="Channel of nnU-Net images.")] = None,
    no_crop: Annotated[bool, typer.Option("--no-crop", help="Keep DICOM images whole, with burned-in text.")] = False,
    copy: Annotated[bool, typer.Option("--copy", help="Copy image files also where they could be linked.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read everything and write nothing.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Bring a common folder into the challenge's layout, as a task of OUT beside those that are there.

    What was read, written and left out, and why, stands in OUT/import/TASK.json.
    """
    from runners.commands.import_data import Written, import_data

    written = Written(
        task=task,
        group=group,
        subject=subject,
        subject_prefix=subject_prefix,
        type=task_type,
        classes=classes,
        columns=columns,
        labels=labels,
        images=images,
        mask_values=mask_values,
        boxes=boxes,
        step=step,
        slices=slices,
        channel=channel,
        no_crop=no_crop,
        copy=copy,
    )
    raise typer.Exit(import_data(form, source, out, written, dry=dry_run, console=screen(quiet)))
