"""The figure of what partitions cost: its numbers can be told apart where its marks cannot."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from analysis.figures.grouping.costs import partition_costs

SPOTS = {
    "apart": [(1.6, 0.70), (2.0, 0.73), (2.4, 0.66)],
    "in a heap": [(2.40, 0.66), (2.45, 0.66), (2.50, 0.661), (2.52, 0.66), (2.60, 0.663), (2.41, 0.662)],
    "in the same place": [(2.4, 0.66)] * 4,
}


@pytest.mark.parametrize("spots", SPOTS.values(), ids=SPOTS)
def test_numbers_of_units_cover_neither_each_other_nor_a_mark(spots):
    trained = [("TS", 4.5, 0.66), ("CG", 3.0, 0.71), ("AU", 1.8, 0.78)]
    about = {"tasks": "a", "gain": 0.0, "low": -0.02, "high": 0.02, "hours_guessed": True}
    rows = [
        {"partition": name, "trained": True, "units": 1, "hours": hours, "score": score, "pareto": True, **about}
        for name, hours, score in trained
    ] + [
        {"partition": f"found, {units}", "trained": False, "units": units, "hours": hours, "score": score}
        | {"pareto": False, **about}
        for units, (hours, score) in enumerate(spots, 8)
    ]
    ax = partition_costs(pd.DataFrame(rows))
    ax.figure.draw_without_rendering()
    shown = [text.get_text().split(", ") for text in ax.texts]
    assert sorted(int(units) for each in shown for units in each) == list(range(8, 8 + len(spots)))
    assert len(shown) == len(spots) if len(set(spots)) > 3 and spots[0][0] == 1.6 else len(shown) <= len(spots)
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # of the words, without the lines to their marks
    marks = ax.transData.transform([(row["hours"], row["score"]) for row in rows])
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    for box in boxes:
        assert not np.any([box.contains(*mark) for mark in marks])
