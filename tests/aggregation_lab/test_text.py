"""Numbers as words: no two shares read the same, and what is not certain does not read as if it were."""

import pytest

from aggregation_lab.text import decimals_apart, decimals_of_limit, exact_per_cent, whole_per_cent


@pytest.mark.parametrize(
    ("share", "shown"), [(0.02, "2%"), (0.025, "2.5%"), (0.125, "12.5%"), (0.005, "0.5%"), (1, "100%")]
)
def test_a_share_of_the_data_reads_as_it_is(share, shown):
    assert exact_per_cent(share, "") == shown


@pytest.mark.parametrize(
    ("chance", "shown"), [(0.997, ">99 %"), (0.004, "<1 %"), (0, "0 %"), (1, "100 %"), (0.006, "1 %"), (0.994, "99 %")]
)
def test_a_chance_is_certain_only_where_it_is(chance, shown):
    assert whole_per_cent(chance) == shown


@pytest.mark.parametrize(
    ("limit", "digits"),
    [(0.0003, 4), (-0.00004, 5), (-0.0003, 4), (-1e-12, 3), (0.0, 3), (0.0006, 3), (-0.02, 3), (float("nan"), 3)],
)
def test_a_limit_does_not_read_as_zero_unless_it_is(limit, digits):
    assert decimals_of_limit(limit) == digits


@pytest.mark.parametrize(
    ("value", "other", "digits"),
    [(0.02004, 0.02, 5), (0.03, 0.02, 3), (0.02, 0.02, 3), (0.02 + 1e-12, 0.02, 3), (float("nan"), 0.02, 3)],
)
def test_numbers_that_differ_do_not_read_alike(value, other, digits):
    assert decimals_apart(value, other) == digits
