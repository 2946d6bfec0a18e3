"""How heavy the page of a whole study is: 27 tasks, and as many verdicts with pictures as a report shows."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy.ndimage import gaussian_filter

from aggregation_lab.tasks.marks import Region
from analysis.gallery.blocks import MOST_BLOCKS
from analysis.gallery.figures import case_figure
from analysis.gallery.page import strip_html
from analysis.gallery.strips import Panel, Strip
from analysis.report.page import render
from tests.analysis.gallery.test_gallery_browser import MOST_BYTES
from tests.analysis.report.test_report import traced

FIGURES = 1_500_000
"""Bytes that the figures of the page may take. Drawing them takes longer than all the rest of this test."""
STRIPS = 7
"""Of a verdict: three at either end and the one in the middle."""


def speckled(width: int = 800, height: int = 600) -> Image.Image:
    """Speckle as fine as that of a scanner, which a JPEG hardly makes smaller."""
    noise = np.random.default_rng(0).normal(size=(2, height, width))
    envelope = np.hypot(*(gaussian_filter(part, 2) for part in noise))
    return Image.fromarray((255 * envelope / envelope.max()).astype(np.uint8))


def ragged(seed: int, width: int = 800, height: int = 600) -> list[Region]:
    """A contour with the teeth that a badly trained model draws."""
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), 25)
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot((rows - height / 2) / height, (columns - width / 2) / width)
    return [Region(1, distance < 0.3 + 0.1 * field / field.std())]


@pytest.mark.slow
def test_27_tasks_with_every_picture_open_with_less_than_6_mb(tmp_path: Path):
    """Pictures and case figures are loaded as they are scrolled to, and count in the whole alone."""
    analysis = traced(27)
    page = len(render(analysis, {}, []).encode()) + FIGURES
    rows = analysis.case_gains
    row = {**rows.iloc[0].to_dict(), "joint": "AU", "base": "TS"}
    panels = [Panel(name, "DSC 0.812", ragged(seed)) for seed, name in enumerate(("TS", "CG", "AU"), 1)]
    strip = Strip(row, speckled(), ragged(0), panels)
    html = strip_html(strip, f"gallery/{strip.file_name}")
    one = rows[(rows["task"] == row["task"]) & (rows["contrast"] == row["contrast"])]
    figure = case_figure(one.assign(joint="AU", base="TS"))[0]
    opened = page + MOST_BLOCKS * STRIPS * len(html.encode())
    later = MOST_BLOCKS * (STRIPS * len(strip.jpeg) + size_of(figure, tmp_path))
    assert 'loading="lazy"' in html and "data:image" not in html
    assert len(strip.jpeg) > 5_000 and opened < MOST_BYTES and opened + later < 10_000_000


def size_of(figure: Figure, folder: Path) -> int:
    figure.savefig(folder / "figure.svg")
    return (folder / "figure.svg").stat().st_size
