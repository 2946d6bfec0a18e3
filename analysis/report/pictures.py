"""Figures on the page: the written SVG, made lighter, as a data URI, so that the page needs no other file and no ids
clash."""

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from string import printable
from typing import Final
from urllib.parse import quote

from analysis.figures import FIGURES, Written
from analysis.light_svg import light_svg

_ENLARGED: Final = 1.5
"""Figures are drawn for paper with letters of 7 points; on a screen they stand larger."""

LARGEST: Final = 600_000
"""Bytes of an SVG above which the PNG is shown, where that is smaller."""

_PLAIN: Final = "".join(set(printable) - set('%#&"\t\n\r\v\f'))
"""What stands for itself in a data URI within an attribute of HTML that is in double quotes."""


@dataclass(frozen=True)
class Picture:
    """`source` is a data URI, as it stands in HTML; `width` in CSS pixels; `files` are relative to the page."""

    title: str
    caption: str
    source: str
    width: int
    files: tuple[str, ...]


def pictures(written: Written, folder: Path) -> dict[str, Picture]:
    """Every drawn figure by name; `folder` is that of the page."""
    result = {}
    for figure in FIGURES:
        if figure.name in written.files:
            files = {path.suffix: path for path in sorted(written.files[figure.name])}
            names = tuple(path.relative_to(folder).as_posix() for path in files.values())
            uri, width = _data_uri(files[".svg"], files[".png"]), _width(files[".svg"])
            result[figure.name] = Picture(figure.title, figure.caption, uri, width, names)
    return result


def _data_uri(svg: Path, png: Path) -> str:
    """The SVG as text, which takes a tenth more than itself; base64 would take a third."""
    light = light_svg(svg.read_text(encoding="utf-8"))
    if len(light.encode()) > max(LARGEST, png.stat().st_size):
        return f"data:image/png;base64,{base64.b64encode(png.read_bytes()).decode()}"
    quoted = light.replace("'", "&apos;").replace('"', "'")
    return f"data:image/svg+xml,{quote(quoted, safe=_PLAIN)}"


def _width(svg: Path) -> int:
    """Width on the page: that of the SVG in points, enlarged."""
    points = re.search(r'width="([\d.]+)pt"', svg.read_text())
    return round(float(points[1]) * 96 / 72 * _ENLARGED) if points else 0
