"""Cases as a notebook shows them: their rows, and a line of pictures for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from analysis.gallery.strips import Strip

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = ("case", "joint_score", "base_score", "gain", "seeds", "class", "source")


@dataclass(frozen=True, eq=False, repr=False)
class ShownCases:
    """`frame` has their rows of `case_gains`; a notebook shows the pictures under it. `why_none` says why none are."""

    title: str
    frame: pd.DataFrame
    strips: Sequence[Strip]
    why_none: str = ""

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        rows = self.frame[list(_COLUMNS)].to_string(float_format=lambda value: f"{value:.3f}")
        return "\n".join([self.title, rows, *([self.why_none] if self.why_none else [])])

    def figure(self) -> "Figure":
        """The pictures as a matplotlib figure for a paper. Raises `ResultsError` where there are none."""
        from analysis.gallery.paper import strips_figure

        return strips_figure(self.strips, self.why_none)

    def _repr_html_(self) -> str:
        from analysis.gallery.page import STYLE, strip_html

        table = self.frame[list(_COLUMNS)].to_html(index=False, border=0, float_format=lambda value: f"{value:.3f}")
        strips = "".join(strip_html(strip, strip.data_uri) for strip in self.strips)
        why = f"<p>{escape(self.why_none)}</p>" if self.why_none else ""
        return f"<p><b>{escape(self.title)}</b></p>{table}{why}<style>{STYLE}</style><div class='strips'>{strips}</div>"
