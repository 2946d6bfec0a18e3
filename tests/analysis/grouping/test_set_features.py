"""Features of tasks in sets: affinities from the partners, averaged or added up."""

import numpy as np
import pandas as pd

from analysis.grouping.set_features import set_features

TASKS = pd.DataFrame(
    {"type": ["classification"] * 4, "group": ["a", "a", "b", "b"], "n_train": [10, 20, 40, 40]}, index=list("pqrs")
)
PAIRS = np.array([[9.0, 1.0, 2.0, 3.0], [4.0, 9.0, 5.0, 6.0], [0.0, 0.0, 9.0, np.nan], [1.0, 2.0, 0.0, 9.0]])
"""[i, j] from i onto j; the diagonal counts for nothing, and one pair is not known."""
SETS = np.array([[True, True, True, False], [False, False, True, True], [True, False, False, False]])


def test_affinities_are_means_over_known_partners():
    values = set_features(TASKS, {"signal": PAIRS}).of("signal", SETS)
    np.testing.assert_allclose(values[0, :3], [(4 + 0) / 2, (1 + 0) / 2, (2 + 5) / 2], rtol=1e-12, atol=1e-12)
    assert values[1, 2] == 0.0 and np.isnan(values[1, 3])  # its only partner is not known
    assert np.isnan(values[0, 3]) and np.isnan(values[2]).all()


def test_added_up_each_partner_counts_by_its_distance_from_the_mean_pair():
    features = set_features(TASKS, {"signal": PAIRS})
    average, added_up = features.families["signal"]
    assert average == "signal"
    values, mean = features.of(added_up, SETS), 24 / 11
    np.testing.assert_allclose(
        values[0, :3], [4 + 0 - 2 * mean, 1 + 0 - 2 * mean, 2 + 5 - 2 * mean], rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(
        values[1, 2:], [0 - mean, 0.0], rtol=1e-12, atol=1e-12
    )  # what is not known is as the mean pair
    assert np.isnan(values[0, 3]) and np.isnan(values[2]).all()
