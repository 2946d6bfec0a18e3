"""Arguments and options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

from runners.options import Rerun


def as_path(text: str | Path) -> Path:
    """A path as it was given; an empty one, as a shell makes of a variable without value, is not the current folder."""
    if not str(text).strip():
        raise typer.BadParameter("is empty; give a path")
    return Path(text)


StudyArgument = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="A study file, or a shipped one: demo, us_mini, us_mini_arms, us_mini_found, us_mini_scale, fmc_uia.",
    ),
]
OutArgument = Annotated[Path, typer.Argument(parser=as_path, metavar="OUT", help="Output folder of a study.")]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        parser=as_path,
        metavar="PATH",
        help="Folder in the challenge's layout; takes the place of data.root.",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", parser=as_path, metavar="PATH", help="Output folder; out/NAME where not given."),
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", min=1, max=1024, help="Runs at a time; else one per core, or up to four per accelerator."),
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="PATTERN", help="Runs whose name fits, such as TS, 'CG/*' or 'TS/lung/f1/s0'."),
]
RerunOption = Annotated[
    Rerun,
    typer.Option(
        "--rerun",
        help="missing: without a result; failed: these alone; stale: outdated too, and groups found from other runs; "
        "unkept: those too that lack what `keep` asks for; all.",
    ),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, cuda:1, mps; where not given the best there is.")
]

QuietOption = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for scripts, and nothing else.")]
RunArgument = Annotated[
    Path, typer.Argument(parser=as_path, metavar="RUN", help="Folder of a finished run, in runs/ of a study.")
]
WeightsOption = Annotated[
    str | None, typer.Option("--weights", help="last or best, where the run kept both; else those that were scored.")
]

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCORES", help="Output folder of a study, a table (CSV, Parquet, Feather, JSON), or `paper`."
    ),
]
ReportOption = Annotated[
    Path | None, typer.Option("--to", parser=as_path, metavar="PATH", help="Folder of the report.")
]
MovedOption = Annotated[
    Path | None, typer.Option("--data", parser=as_path, metavar="PATH", help="Where the images lie, if moved.")
]
BaseOption = Annotated[
    str | None,
    typer.Option("--base", metavar="AGGREGATION", help="What gains are over; TS where not given."),
]
ArmOption = Annotated[
    str | None, typer.Option("--arm", metavar="NAME", help="The arm of the study; its base where not given.")
]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="COLUMN=NAME", help="What a table calls a column, such as aggregation=arm."),
]
MarginOption = Annotated[
    list[str] | None,
    typer.Option(
        "--margin",
        metavar="[NAME=]LOSS",
        help="Largest loss that counts as none, of a task, metric or type of a table, in its unit; without a name that "
        "of other unit-free scores, 0.02 where not given.",
    ),
]
ScaleOption = Annotated[str, typer.Option("--scale", help="Scale of gains: absolute, relative or standardised.")]
CorrectionOption = Annotated[str, typer.Option("--correction", help="Multiplicity: BH, Holm or none.")]
DrawsOption = Annotated[int, typer.Option("--draws", min=100, max=1_000_000, help="Resamples of test subjects.")]
