"""Cells that two contrasts are compared on: a clinical group at a fraction, of the tasks that both contrasts have."""

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.contrasts import Contrast
from analysis.gains import PairedGain
from analysis.questions.means import poolable

Common = Mapping[tuple[str, float], Sequence[tuple[PairedGain, PairedGain]]]
"""By clinical group and fraction, the gains of the tasks there under two contrasts."""


def common_cells(
    pairs: Mapping[tuple[Contrast, float], Sequence[PairedGain]], first: str, second: str
) -> dict[tuple[str, float], list[tuple[PairedGain, PairedGain]]]:
    """The tasks that two contrasts, given by name, both have in a clinical group at a fraction: a task that one of them
    lacks would move the mean of the other alone."""
    of_second = {
        (pair.task, share): pair
        for (contrast, share), own in pairs.items()
        if contrast.name == second
        for pair in poolable(own)
    }
    cells: dict[tuple[str, float], list[tuple[PairedGain, PairedGain]]] = {}
    for (contrast, share), own in pairs.items():
        for pair in poolable(own) if contrast.name == first else ():
            if (pair.task, share) in of_second:
                cells.setdefault((pair.group, share), []).append((pair, of_second[pair.task, share]))
    return dict(sorted(cells.items()))


def cell_means(common: Common) -> np.ndarray:
    """Mean gain of the tasks of each cell under both contrasts (K x 2)."""
    return np.array(
        [[np.mean([pair.gain for pair in side]) for side in zip(*own, strict=True)] for own in common.values()]
    )
