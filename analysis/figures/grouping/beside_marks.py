"""Short texts beside marks that may lie close together: each where it covers no mark and no other text."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from analysis.figures.style import GREY, SMALL

_LETTER, _LINE, _MARK = 0.62 * SMALL, 1.05 * SMALL, 5.0
"""Points: the width of a digit, the height of a line, the width of a mark."""

_ONE_PLACE = 1.5
"""Points between two marks that lie on each other."""

_ANGLES = np.deg2rad([45, 135, -45, -135, 0, 180, 65, 115, -65, -115])
_DIRECTIONS = tuple(zip(np.cos(_ANGLES), np.sin(_ANGLES), strict=True))
_DISTANCES = (8.5, 15.0, 21.0, 28.0, 36.0)
_JOINED = 9.0
"""Points from which a thin line leads from the text to its mark; marks that are `_CROWDED` get one, since nobody could
tell whose the nearest number is."""
_CROWDED = 20.0


def beside_marks(ax: Axes, marks: np.ndarray, texts: Sequence[str], others: np.ndarray) -> None:
    """Write texts beside `marks` (N x 2, in data), away from those and from `others` (M x 2), nearest place first.

    Marks that cannot be told apart get one text, `2, 4, 5`. All that decides the limits of the axes must be drawn. What
    finds no free place stands at the first of them.
    """
    ax.autoscale_view()  # which matplotlib puts off until something is drawn
    halo = [withStroke(linewidth=1.5, foreground="white")]  # lines of intervals may pass behind
    box, scale = ax.get_window_extent(), 72 / ax.figure.dpi
    size = np.array([box.width, box.height]) * scale
    places = [ax.transAxes.inverted().transform(ax.transData.transform(each)) * size for each in (marks, others)]
    first, joined = _in_one_place(places[0], texts)
    own = places[0][first]
    taken = [(x, y, _MARK, _MARK) for x, y in np.concatenate([own, places[1]])]
    lines: list[tuple[np.ndarray, np.ndarray]] = []
    for place, data, text in zip(own, marks[first], joined, strict=True):
        x, y = place
        width = _LETTER * len(text)
        near = sum(np.hypot(*(each - place)) < _CROWDED for each in (*own, *places[1])) > 1
        tried = [
            ((dx, dy), (x + dx, y + dy, width, _LINE))
            for distance in (_DISTANCES[1:] if near else _DISTANCES)
            for dx, dy in ((distance * across, distance * up) for across, up in _DIRECTIONS)
        ]
        inside = [each for each in tried if (0 < each[1][0] < size[0]) and (0 < each[1][1] < size[1])]
        free = [each for each in inside if not any(_overlap(each[1], other) for other in taken)]
        rest = [each for each in (*own, *places[1]) if not np.array_equal(each, place)]
        apart = [
            each
            for each in free
            if not any(_cross((place, place + each[0]), line) for line in lines)
            and not any(_meets((place, place + each[0]), other) for other in rest)
        ]
        offset, rectangle = (apart or free or inside or tried)[0]
        taken.append(rectangle)
        lines.append((place, place + offset))
        line = {"arrowstyle": "-", "color": GREY, "lw": 0.4, "shrinkA": 0, "shrinkB": 2.5}
        ax.annotate(
            text, tuple(data), xytext=offset, textcoords="offset points", fontsize=SMALL, ha="center", va="center",
            arrowprops=line if np.hypot(*offset) > _JOINED else None, zorder=4, path_effects=halo,
        )  # fmt: skip


def _in_one_place(places: np.ndarray, texts: Sequence[str]) -> tuple[list[int], list[str]]:
    """The first mark of each place, and the texts of all marks there, small numbers first."""
    found: dict[int, list[str]] = {}
    for number, text in enumerate(texts):
        same = (each for each in found if np.hypot(*(places[each] - places[number])) < _ONE_PLACE)
        found.setdefault(next(same, number), []).append(text)
    return list(found), [", ".join(sorted(each, key=lambda text: (len(text), text))) for each in found.values()]


def _cross(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> bool:
    """Of two lines by their ends: whether each parts the ends of the other."""

    def side(line: tuple[np.ndarray, np.ndarray], point: np.ndarray) -> float:
        (x, y), (dx, dy) = point - line[0], line[1] - line[0]
        return float(dx * y - dy * x)

    return all(side(line, ends[0]) * side(line, ends[1]) < 0 for line, ends in ((one, other), (other, one)))


def _meets(line: tuple[np.ndarray, np.ndarray], mark: np.ndarray) -> bool:
    """Whether a line, by its ends, runs through a mark."""
    along = line[1] - line[0]
    share = np.clip((mark - line[0]) @ along / (along @ along), 0.0, 1.0)
    return bool(np.hypot(*(line[0] + share * along - mark)) < _MARK / 2)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Of rectangles by centre, width and height."""
    return 2 * abs(one[0] - other[0]) < one[2] + other[2] and 2 * abs(one[1] - other[1]) < one[3] + other[3]
