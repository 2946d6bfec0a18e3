"""How heavy the page of a whole study is: 27 tasks, and as many verdicts with pictures as a report shows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from aggregation_lab.tasks.marks import Region
from analysis.gallery.blocks import MOST_BLOCKS, write_figure
from analysis.gallery.figures import MOST_DOTS, case_figure
from analysis.gallery.page import strip_html
from analysis.gallery.strips import Panel, Strip
from analysis.report.page import render
from tests.analysis.gallery.test_gallery_browser import MOST_BYTES
from tests.analysis.report.test_report import traced

FIGURES = 930_000
"""Bytes that the figures of this page take, 896,000, and some more. Drawing them takes longer than all the rest."""
STRIPS = 7
"""Of a verdict: three at either end and the one in the middle."""


def speckled(width: int = 800, height: int = 600) -> Image.Image:
    """Speckle as fine as that of a scanner, which no format makes much smaller."""
    noise = np.random.default_rng(0).normal(size=(2, height, width))
    envelope = np.hypot(*(gaussian_filter(part, 2) for part in noise))
    return Image.fromarray((255 * envelope / envelope.max()).astype(np.uint8))


def ragged(seed: int, width: int = 800, height: int = 600) -> list[Region]:
    """A contour with the teeth that a badly trained model draws."""
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), 25)
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot((rows - height / 2) / height, (columns - width / 2) / width)
    return [Region(1, distance < 0.3 + 0.1 * field / field.std())]


def scattered(rows: pd.DataFrame, cases: int) -> pd.DataFrame:
    """As many cases of one task, of several classes, image sources and sizes."""
    random = np.random.default_rng(1)
    base, gain = random.uniform(0.3, 0.9, cases), random.normal(0, 0.1, cases)
    return pd.DataFrame([rows.iloc[0].to_dict()] * cases).assign(
        **{
            "case": [f"case {number}" for number in range(cases)],
            "subject": [f"{number // 2}" for number in range(cases)],
        },
        **{"joint": "AU", "base": "TS", "base_score": base, "joint_score": base + gain, "gain": gain},
        **{"class": random.choice(["0", "1", "2"], cases), "source": random.choice(["one/a", "one/b", "one/c"], cases)},
        **{"image_size": random.uniform(300, 1200, cases), "target_size": random.uniform(0.01, 0.6, cases)},
    )


@pytest.mark.slow
def test_27_tasks_with_every_picture_weigh_less_than_6_mb(tmp_path: Path):
    """The page with its figures, and all pictures and case figures, which are loaded as they are scrolled to."""
    analysis = traced(27)
    page = len(render(analysis, {}, []).encode()) + FIGURES
    rows = analysis.case_gains
    row = {**rows.iloc[0].to_dict(), "joint": "AU", "base": "TS"}
    panels = [Panel(name, "DSC 0.812", ragged(seed)) for seed, name in enumerate(("TS", "CG", "AU"), 1)]
    strip = Strip(row, speckled(), ragged(0), panels)
    html = strip_html(strip, f"gallery/{strip.file_name}")
    drawn = [size_of(scattered(rows, cases), tmp_path) for cases in (MOST_DOTS, 10 * MOST_DOTS)]
    pictures = STRIPS * (len(html.encode()) + len(strip.picture))
    assert 'loading="lazy"' in html and "data:image" not in html and len(strip.picture) > 5_000
    assert page + MOST_BLOCKS * (pictures + max(drawn)) < MOST_BYTES


def size_of(rows: pd.DataFrame, folder: Path) -> int:
    """Bytes of a case figure as a gallery writes it."""
    write_figure(*case_figure(rows), folder, "figure")
    return (folder / "figure.svg").stat().st_size
