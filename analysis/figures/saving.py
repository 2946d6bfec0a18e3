"""Figures as files: PDF, SVG, PNG and the numbers they show."""

from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.backend_bases import get_registered_canvas_class
from matplotlib.figure import Figure

from aggregation_lab.files import write_atomic, write_text
from aggregation_lab.storage.spreadsheet_csv import csv_text
from analysis.figures.style import RC


def save(figure: Figure, data: pd.DataFrame, stem: str, folder: Path) -> list[Path]:
    """Write PDF, SVG, PNG (300 dpi) and the CSV of what is shown; each file whole or not at all, without dates.

    Raises `AgglabError` where the folder cannot be written.
    """
    written = [folder / f"{stem}.csv"]
    write_text(written[0], csv_text(data))
    shown_on = figure.canvas
    with matplotlib.rc_context(RC):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the layout is found once, not again for every format
        for ending, metadata in (("pdf", {"CreationDate": None}), ("svg", {"Date": None}), ("png", {})):
            written.append(folder / f"{stem}.{ending}")
            figure.set_dpi(300)  # each format leaves its own
            canvas: Any = get_registered_canvas_class(ending)(figure)
            # by the canvas: `savefig` would draw all of it once more before each format, for a layout that is there
            write_atomic(written[-1], partial(getattr(canvas, f"print_{ending}"), metadata=metadata))
    figure.set_canvas(shown_on)
    return written
