"""The terminal: text from outside is shown as it is, and never interpreted."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from aggregation_lab.text import escaped


class Terminal(Console):
    """A rich console that prints square brackets, :colons: and escape sequences of data as plain text.

    Styled text is given as `rich.text.Text`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        return super().render_str(escaped(text, keep="\n"), **settings)


def screen(quiet: bool = False, *, errors: bool = False) -> Terminal:
    """The terminal of standard output or, for `errors`, of standard error; 140 columns where it is something else.

    A quiet one shows nothing.
    """
    stream = sys.stderr if errors else sys.stdout
    return Terminal(width=None if stream.isatty() else 140, quiet=quiet, stderr=errors)


def print_json(value: Any) -> None:
    """The one thing that a command with --json writes to standard output."""
    print(json.dumps(value, indent=1, ensure_ascii=True))


def show_all_characters() -> None:
    """Let stdout and stderr write what their encoding lacks as escapes, where they would raise an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
