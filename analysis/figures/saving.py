"""Figures as files: PDF, SVG, PNG and the numbers they show."""

from functools import partial
from pathlib import Path

import matplotlib
import pandas as pd
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
    with matplotlib.rc_context(RC):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the layout is found once, not again for every format
        for ending, metadata in (("pdf", {"CreationDate": None}), ("svg", {"Date": None}), ("png", {})):
            written.append(folder / f"{stem}.{ending}")
            write_atomic(written[-1], partial(figure.savefig, format=ending, dpi=300, metadata=metadata))
    return written
