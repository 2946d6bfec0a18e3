"""HTML of strips and blocks: what a report, a page of its own and a notebook show alike."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aggregation_lab.tasks.marks import Region
from analysis.gallery.overlay import is_beside_the_image, overlay
from analysis.gallery.strips import Strip
from analysis.tables.cells import number
from analysis.templates import templates

TEMPLATES = Path(__file__).parent / "templates"

STYLE = (TEMPLATES / "gallery.css").read_text(encoding="utf-8")
"""The style sheet of strips."""

SCRIPT = (TEMPLATES / "gallery.js").read_text(encoding="utf-8")
"""What a page with strips does once it is loaded."""

NOT_KEPT = "no prediction was kept"


@dataclass(frozen=True)
class _Shot:
    name: str
    text: str
    source: str
    drawing: str
    alt: str


def strip_html(strip: Strip, source: str) -> str:
    """One case as HTML; `source` is where its image is, relative to the page or as a data URI."""
    width, height = strip.image.size
    beside = is_beside_the_image(strip.truth)
    under = "" if beside else source
    name = _name(strip)
    shots = [
        _Shot("input", "", source, "", f"image of {strip.row['case']}"),
        _Shot("target", "", under, overlay(None, strip.truth, width, height, "the target", name), ""),
    ]
    for panel in strip.panels:
        drawing = f'<span class="none">{NOT_KEPT}</span>'
        if panel.marks is not None:
            label = f"prediction of {panel.name} and target"
            drawing = overlay(panel.marks, strip.truth, width, height, label, name)
        shots.append(_Shot(panel.name, panel.text, under, drawing, ""))
    return templates(TEMPLATES).get_template("strip.html.j2").render(strip=strip, shots=shots, says=says(strip.row))


def _name(strip: Strip) -> str:
    """A name for the target: of its content, so that a notebook that shows other data has another name for them, and of
    the strip, so that a page has it once."""
    about = hashlib.sha256("\n".join(str(strip.row[key]) for key in ("contrast", "task", "case")).encode())
    for mark in strip.truth:
        if isinstance(mark, Region):
            about.update(np.packbits(mark.mask).tobytes())
    return f"t{about.hexdigest()[:10]}"


def says(row: Mapping[str, Any]) -> str:
    """What a case gains, in a sentence."""
    change = "gains" if row["gain"] > 0 else "loses" if row["gain"] < 0 else "neither gains nor loses:"
    amount = f" {number(abs(row['gain']))}:" if row["gain"] else ""
    seeds = int(row["seeds"])
    of = f"mean of {seeds} seeds; pictures of seed {row['shown_seed']}" if seeds > 1 else f"seed {row['shown_seed']}"
    sides = f"{row['base']} {number(row['base_score'])}, {row['joint']} {number(row['joint_score'])}"
    return f"{change}{amount} {sides} ({of})."
