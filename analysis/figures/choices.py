"""The caller's choices of what a figure shows, checked: tasks, order, labels, colours."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import cycle

import matplotlib
import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, ListedColormap, is_color_like, to_hex

from aggregation_lab.errors import ResultsError
from aggregation_lab.text import near_names, printable

Palette = Mapping[str, str] | Sequence[str] | str
"""Colours by name, colours in the order of the legend, or the name of a colormap of matplotlib."""

_FEW = 20
"""Colours up to which a listed colormap of matplotlib is taken for single colours."""


def listed(option: str, names: Iterable[str] | None) -> list[str] | None:
    """Names as a list. Raises `ResultsError` for one name, which would be taken for a list of letters."""
    if isinstance(names, str):
        raise ResultsError(f"{option}: give a list of names, not one name")
    return None if names is None else list(names)


def check_names(option: str, names: Iterable[object], known: Collection[str]) -> None:
    """Raise `ResultsError` for the first name that is not known."""
    for name in names:
        if name not in known:
            raise ResultsError(f"{option}: nothing here is called {printable(str(name))}{near_names(name, known)}")


def in_order(names: Iterable[str], order: Iterable[str]) -> list[str]:
    """Names in the caller's order; those it does not have follow as they come."""
    names = list(dict.fromkeys(names))
    first = [name for name in order if name in names]
    return [*first, *(name for name in names if name not in first)]


def colours(palette: Palette | None, defaults: Mapping[str, str], known: Collection[str] = ()) -> dict[str, str]:
    """The colour of every name of a legend: the caller's, or the default.

    `known` are names that a palette for several figures may have beside those of this one. Raises `ResultsError` for
    another name, or what is no colour.
    """
    if palette is None:
        return dict(defaults)
    if isinstance(palette, Mapping):
        check_names("palette", palette, {*defaults, *known})
        _check_colours(palette.values())
        return {name: palette.get(name, colour) for name, colour in defaults.items()}
    if isinstance(palette, str):
        palette = _steps(_colormap(palette), len(defaults))
    _check_colours(palette)
    return dict(zip(defaults, cycle(palette), strict=False))


def colormap(palette: Palette | None, default: Colormap | str) -> Colormap | str:
    """The colormap of a heat map. Raises `ResultsError` where a palette is none."""
    if palette is None:
        return default
    if isinstance(palette, Mapping):
        raise ResultsError("palette: a heat map takes the name of a colormap, or a list of colours from low to high")
    if isinstance(palette, str):
        return _colormap(palette)
    _check_colours(palette)
    return LinearSegmentedColormap.from_list("palette", list(palette))


def _colormap(name: str) -> Colormap:
    if name not in matplotlib.colormaps:
        close = near_names(name, matplotlib.colormaps)
        raise ResultsError(f"palette: matplotlib has no colormap {printable(name)}{close}")
    return matplotlib.colormaps[name]


def _steps(colors: Colormap, count: int) -> list[str]:
    """So many colours of a colormap: its first, if it is a list of single colours, else evenly spaced."""
    listed = isinstance(colors, ListedColormap) and colors.N <= _FEW
    at = np.arange(count) % colors.N if listed else np.linspace(0, 1, count)
    return [to_hex(colour) for colour in colors(at)]


def _check_colours(given: Iterable[object]) -> None:
    if not (given := list(given)):
        raise ResultsError("palette: has no colour")
    for colour in given:
        if not is_color_like(colour):
            raise ResultsError(f"palette: {printable(str(colour))} is no colour of matplotlib")
