"""The frame `case_parts`: how the gains of single cases are spread over classes, image sources and sizes.

A description, without intervals: cases of one subject go together, and the parts were not chosen before the runs.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.frames import LABELS, frame, ordered

BY = {
    "class": "class",
    "source": "image source",
    "target_size": "size of the target",
    "image_size": "size of the image",
}
"""Columns of `case_gains` that cases are parted by, and what they are called."""

_SIZES = ("target_size", "image_size")
_THIRDS = ("small", "middle", "large")
_FEWEST = 6
"""Cases from which they are parted by size."""
_FEW_SIZES = 3
"""Different sizes that are each a part of their own."""


def case_parts(gains: pd.DataFrame) -> pd.DataFrame:
    """The frame `case_parts` from rows of `case_gains`; a column with one value alone parts nothing."""
    rows = []
    keys = [*LABELS, "task", "type", "group"]
    for about, cases in gains.groupby(keys, sort=False):
        for by, name, part in parted(cases):
            gain = part["gain"].to_numpy(float)
            of_part = {
                "by": by,
                "name": name,
                "cases": len(part),
                "subjects": part["subject"].nunique(),
                "mean": gain.mean(),
                "median": float(np.median(gain)),
                "low_decile": float(np.quantile(gain, 0.1)),
                "high_decile": float(np.quantile(gain, 0.9)),
                "losing": float((gain < 0).mean()),
            }
            rows.append({**dict(zip(keys, about, strict=True)), **of_part})
    return ordered("case_parts", pd.DataFrame(rows)) if rows else frame("case_parts", [])


def parted(cases: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """By what, name of the part and its cases; the cases are of one task and contrast. Thirds of sizes, else values."""
    for by in BY:
        names = _thirds(cases[by]) if by in _SIZES else cases[by].astype(str)
        known = [name for name in dict.fromkeys(sorted(names)) if name]
        if by in _SIZES:
            known.sort(key=_by_size)
        if len(known) > 1:
            yield from ((by, name, cases[names == name]) for name in known)


def _by_size(name: str) -> float:
    word = name.split(",")[0]
    return _THIRDS.index(word) if word in _THIRDS else float(word)


def _thirds(sizes: pd.Series) -> pd.Series:
    """`small, to 0.11` and so on, or the sizes themselves where they are few; empty where they are not known, or too
    alike for thirds."""
    known = sizes.astype(float)
    if known.nunique() <= _FEW_SIZES:
        return known.map(lambda size: "" if np.isnan(size) else f"{size:.4g}")
    bounds = known.quantile([1 / 3, 2 / 3]).to_numpy() if known.notna().sum() >= _FEWEST else np.full(2, np.nan)
    if not bounds[0] < bounds[1]:
        return pd.Series("", sizes.index)
    words = (f"small, to {bounds[0]:.3g}", f"middle, to {bounds[1]:.3g}", f"large, over {bounds[1]:.3g}")
    return pd.Series(np.array(words, object)[np.searchsorted(bounds, known.fillna(0))], sizes.index).where(
        known.notna(), ""
    )
