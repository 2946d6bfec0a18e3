"""Marks as SVG over an image on a page: outlines, boxes, numbered points; shares as bars.

The target is dashed and yellow everywhere, a prediction solid and blue: colours that colour-blind readers tell apart
(Okabe and Ito 2008), and lines that tell without colour; points of a target are rings, those of a prediction crosses.
Their looks are in `gallery.css`. The outlines of a target, the longest text of a page with pictures, are written where
the target stands alone, and only referred to under the predictions.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from aggregation_lab.tasks.marks import Mark, Rectangle, Region, Shares, Spot
from analysis.gallery.outlines import outlines

UNITS = 480
"""Length of the image's longer side in the units of the drawing."""
_TOLERANCE = 2.5
"""By how much an outline may be simplified, in the same units: half the width of its line, which covers it then."""
_DIGITS = 13.0
"""Half the height of a number."""
_LETTER = 24.0
"""The width of one digit."""
_BAR = 26.0


def overlay(
    marks: Sequence[Mark] | None, truth: Sequence[Mark], width: int, height: int, label: str, name: str = ""
) -> str:
    """An SVG as large as an image of width x height pixels: the target beneath, a prediction over it. `label` says for
    people who do not see it what it shows.

    `name` is that of the target on its page. Where `marks` is None its outlines get it; elsewhere they are those of
    that name. Without one they are written out.
    """
    scale = UNITS / max(width, height)
    box = f"0 0 {round(width * scale)} {round(height * scale)}"
    if any(isinstance(mark, Shares) for mark in (*truth, *(marks or ()))):
        drawn = _bars(marks, truth, round(width * scale), round(height * scale))
    else:
        # numbers stand once: those of the target where it is alone
        canvas = _Canvas(scale, width * scale, height * scale)
        outlined = _Naming(name, marks is None)
        drawn = f'<g class="truth">{"".join(_drawn(truth, canvas, outlined, numbered=not marks, ringed=True))}</g>'
        said = _drawn(marks or (), canvas, _Naming("", True), numbered=True, ringed=False)
        drawn += f'<g class="said">{"".join(said)}</g>' if marks else ""
    return f'<svg viewBox="{box}" role="img" aria-label="{escape(label)}">{drawn}</svg>'


def is_beside_the_image(marks: Iterable[Mark]) -> bool:
    """Whether marks say nothing of places in the image, which then is not repeated under them."""
    return any(isinstance(mark, Shares) for mark in marks)


def label_place(lines: Sequence[np.ndarray]) -> tuple[float, float]:
    """Where the number of a structure stands: at the top of its longest outline, where others seldom have theirs."""
    longest = max(lines, key=len)
    x, y = longest[longest[:, 1].argmin()]
    return float(x), float(y)


@dataclass(frozen=True)
class _Naming:
    """Whether outlines are `defined` under a name here or only referred to; without a name they are written out."""

    name: str
    defined: bool

    def outline(self, index: int, lines: Sequence[np.ndarray]) -> str:
        """The closed outlines of the structure `index`."""
        if self.name and not self.defined:
            return f'<use href="#{self.name}-{index}"/>'
        named = f' id="{self.name}-{index}"' if self.name else ""
        return f'<path{named} d="{"".join(map(_path, lines))}"/>'


@dataclass(frozen=True)
class _Canvas:
    """The drawing: its units in a pixel of the image, and its size in units."""

    scale: float
    width: float
    height: float

    def number(self, x: float, y: float, text: str, *, beside: bool) -> str:
        """A number at a place, or `beside` it: on the left where the right is cut off, and never over an edge."""
        wide = _LETTER * len(text)
        if beside:
            x += 11 if x + 11 + wide <= self.width else -11 - wide
        else:
            x = min(max(x, wide / 2), self.width - wide / 2)
        anchor = "" if beside else 'text-anchor="middle"'
        return _text(x, min(max(y, 2 * _DIGITS), self.height - 4), text, anchor)


def _drawn(marks: Sequence[Mark], canvas: _Canvas, naming: _Naming, *, numbered: bool, ringed: bool) -> Iterator[str]:
    scale = canvas.scale
    several = numbered and any(isinstance(mark, Region) and mark.index > 1 for mark in marks)
    for mark in marks:
        if isinstance(mark, Region):
            lines = [line * scale for line in outlines(mark.mask, _TOLERANCE / scale)]
            if lines:
                yield naming.outline(mark.index, lines)
            if lines and several:
                x, y = label_place(lines)
                yield canvas.number(x, y + _DIGITS, str(mark.index), beside=False)
        elif isinstance(mark, Rectangle):
            left, top, right, bottom = (side * scale for side in (mark.left, mark.top, mark.right, mark.bottom))
            size = f'width="{max(0.0, right - left):.1f}" height="{max(0.0, bottom - top):.1f}"'
            yield f'<rect x="{left:.1f}" y="{top:.1f}" {size}/>'
        elif isinstance(mark, Spot):
            x, y = mark.x * scale, mark.y * scale
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8"/>' if ringed else _cross(x, y)
            if numbered:
                yield canvas.number(x, y - 6, str(mark.index + 1), beside=True)


def _cross(x: float, y: float) -> str:
    return f'<path d="M{x - 8:.1f} {y - 8:.1f}l16 16m0 -16l-16 16"/>'


def _path(line: np.ndarray) -> str:
    """A closed line in whole units, each point relative to the one before, which is the shortest."""
    points = np.rint(line).astype(int)
    steps = np.diff(points, axis=0)[:-1]
    moved = " ".join(f"{x} {y}" for x, y in steps.tolist()).replace(" -", "-")
    return f"M{points[0, 0]} {points[0, 1]}l{moved}z"


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" {more}>{text}</text>'


def _bars(marks: Sequence[Mark] | None, truth: Sequence[Mark], width: int, height: int) -> str:
    """A bar for each class; those of the target are dashed outlines of whole length."""
    said, right = (
        next((mark.values for mark in each or () if isinstance(mark, Shares)), ()) for each in (marks, truth)
    )
    count = max(len(said), len(right), 1)
    step = min(2 * _BAR, (height - 16) / count)
    left, full, top = 60.0, width - 150.0, (height - count * step) / 2
    parts = []
    for index in range(count):
        y, thick = top + index * step, 0.62 * step
        if index < len(right) and right[index] >= 0.5:
            outline = f'x="{left:.0f}" y="{y:.1f}" width="{full:.0f}" height="{thick:.1f}"'
            parts.append(f'<g class="truth"><rect {outline}/></g>')
        if index < len(said):
            parts.append(f'<rect class="share" x="{left:.0f}" y="{y:.1f}" width="{full * said[index]:.1f}" '
                         f'height="{thick:.1f}"/>')  # fmt: skip
            parts.append(_text(left + full + 8, y + 0.75 * thick + 3, f"{said[index]:.2f}", 'class="word"'))
        parts.append(_text(left - 8, y + 0.75 * thick + 3, str(index), 'class="word" text-anchor="end"'))
    return "".join(parts)
