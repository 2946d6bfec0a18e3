"""Choices of an analysis that there are none of are named, not computed as others."""

import pytest

from aggregation_lab.errors import ResultsError
from analysis.settings import Settings


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"scale": "Absolute"}, "scale Absolute: is unknown; it takes absolute, relative, standardised"),
        ({"correction": "bh"}, "correction bh: is unknown; it takes BH, Holm, none"),
        ({"alpha": 5}, "alpha 5: must lie between 0 and 1"),
        ({"draws": 0}, "draws 0: takes a number of resamples of at least 1"),
    ],
)
def test_a_choice_that_there_is_none_of_is_one_line(choices, message):
    with pytest.raises(ResultsError) as caught:
        Settings(**choices)
    assert str(caught.value).startswith(message)
