"""The command line. Everything heavy is imported inside the commands, so that `agglab --help` answers at once."""

import logging
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from aggregation_lab.errors import AgglabError, ModelError, StudyError, is_out_of_memory
from aggregation_lab.shadowing import ShadowedError, check_packages
from aggregation_lab.text import escaped, printable
from aggregation_lab.version import __version__
from runners.commands.of_data import import_, phantoms, validate
from runners.commands.of_models import export, predict, submit
from runners.commands.of_scores import analyze, gallery, group, next_, power, recommend, report
from runners.commands.of_studies import plan, run_grid, scores, status, watch
from runners.console.streams import reader_is_gone, robust_streams
from runners.console.terminal import show_all_characters
from runners.execution.worker_process import describe
from runners.options import INTERRUPTED


class _Commands(TyperGroup):
    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Ctrl-C where no grid catches it: one line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None


_FORMER = {"baseline": "base"}
"""Options by their former names, which scripts may hold."""

app = typer.Typer(
    name="agglab",
    cls=_Commands,
    context_settings={"token_normalize_func": lambda name: _FORMER.get(name, name)},
    help="Task-aggregation studies in ultrasound imaging: TS, CG and AU side by side.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def versions() -> str:
    """Of this project, of Python, and of the torch that is installed, which is not loaded for it."""
    return f"agglab {__version__}, Python {platform.python_version()}, torch {metadata.version('torch')}"


def _show_versions(wanted: bool) -> None:
    if wanted:
        print(versions())
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_versions, is_eager=True, help="Show versions and exit.")
    ] = False,
) -> None:
    """Options of `agglab` itself."""


_OF_STUDIES = (run_grid, plan, import_, validate, status, watch, scores, report, gallery)
_OF_SCORES = (analyze, recommend, power, group, next_)
for command in (*_OF_STUDIES, *_OF_SCORES, predict, submit, export, phantoms):
    app.command(command.__name__.strip("_").replace("_", "-"))(command)


_UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # click's class, of which typer carries its own copy


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry of `agglab`. An error that the user can fix is one line on stderr and exit code 1, or 2 for the study.

    A model that cannot be built is a fault of the study's `model` section; options that mean nothing give 2, too. A
    reader of the output that goes away, as `head` does, is no error.
    """
    logging.getLogger("matplotlib").addFilter(_is_error)
    with robust_streams() as (output, _):
        show_all_characters()
        code = _exit_code(list(sys.argv[1:] if arguments is None else arguments))
        output.flush()
        if output.error is not None and not reader_is_gone(output.error):
            print(f"agglab: standard output: cannot be written ({output.error.strerror})", file=sys.stderr)
            code = code or 1
    sys.exit(code)


def _is_error(record: logging.LogRecord) -> bool:
    """What matplotlib itself says of no more than where it keeps its cache, as in a home that may only be read, is no
    line of a command; its parts, such as that of fonts, have loggers of their own."""
    return record.levelno >= logging.ERROR


def _exit_code(arguments: Sequence[str]) -> int:
    try:
        check_packages()
        return app(args=arguments or ["--help"], prog_name="agglab", standalone_mode=False) or 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except AgglabError as error:
        print(escaped(f"agglab: {error}", keep="\n"), file=sys.stderr)
        return 2 if isinstance(error, StudyError | ModelError | ShadowedError) else 1
    except _UsageError as error:
        print(f"agglab: {_usage(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        if not isinstance(error, OSError) and not is_out_of_memory(error):
            raise
        print(f"agglab: {printable(describe(error), 1000)}", file=sys.stderr)
        return 1


def _usage(error: Any) -> str:
    """One line on what is wrong with the options."""
    message = printable(" ".join(error.format_message().split()), 500).removesuffix(".")
    command = error.ctx.command_path if error.ctx else "agglab"
    return f"{message}; `{command} --help` says what it takes"


if __name__ == "__main__":
    main()
