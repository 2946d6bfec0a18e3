"""Affinities of pairs of tasks: means and intervals by hand, directions kept apart, and what is not recorded is
empty."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aggregation_lab import results
from analysis.figures import by_name
from analysis.figures.grouping.affinity_map import distances
from analysis.figures.view import NothingToDraw
from analysis.frames import FRAMES
from analysis.grouping.affinities import affinities
from analysis.result import Analysis
from analysis.study import StudyTables
from tests.fake_analysis import fake_analysis

WHOLE = fake_analysis(4)


def recorded(rows: list[tuple]) -> StudyTables:
    """A study with these rows (aggregation, fraction, seed, moment, signal, task_i, task_j, value)."""
    names = ["aggregation", "fraction", "seed", "moment", "signal", "task_i", "task_j", "value"]
    frame = pd.DataFrame(rows, columns=names).assign(run="r", arm="main", unit="all", step=0)
    return replace(WHOLE.study, affinity=frame[[column.name for column in results.AFFINITY.columns]])


def test_means_over_moments_then_seeds_with_students_interval():
    values = {0: (0.1, 0.3), 1: (0.4, 0.6), 2: (0.0, 0.4)}
    rows = [
        ("AU", 1.0, seed, moment, "lookahead", "a", "b", value)
        for seed, both in values.items()
        for moment, value in enumerate(both)
    ]
    (row,) = affinities(recorded(rows)).to_dict("records")
    # means of the seeds: 0.2, 0.5, 0.2; t of two degrees of freedom is 4.302653
    assert row["mean"] == pytest.approx(0.3, rel=0, abs=1e-12)
    half = 4.302653 * np.std([0.2, 0.5, 0.2], ddof=1) / np.sqrt(3)
    assert row["high"] - row["mean"] == pytest.approx(half, rel=1e-6, abs=0)
    assert row["mean"] - row["low"] == pytest.approx(half, rel=1e-6, abs=0)
    assert (row["replicates"], row["moments"]) == (3, 2)


def test_directions_signals_and_aggregations_stay_apart_and_only_full_data_count():
    rows = [
        ("AU", 1.0, 0, 0, "lookahead", "a", "b", 0.2),
        ("AU", 1.0, 0, 0, "lookahead", "b", "a", -0.1),
        ("AU", 1.0, 0, 0, "lookahead", "a", "a", 9.0),
        ("AU", 0.5, 0, 0, "lookahead", "a", "b", 7.0),
        ("CG", 1.0, 0, 0, "lookahead", "a", "b", 0.4),
        ("AU", 1.0, 0, 0, "feature_cka", "a", "b", 0.9),
    ]
    found = affinities(recorded(rows)).set_index(["aggregation", "signal", "task", "other"])["mean"]
    assert dict(found) == {
        ("AU", "lookahead", "a", "b"): 0.2,
        ("AU", "lookahead", "b", "a"): -0.1,
        ("CG", "lookahead", "a", "b"): 0.4,
        ("AU", "feature_cka", "a", "b"): 0.9,
    }


def test_one_replicate_has_no_interval():
    found = affinities(recorded([("AU", 1.0, 0, 0, "lookahead", "a", "b", 0.2)]))
    assert found[["low", "high"]].isna().all(axis=None) and found["replicates"].item() == 1


def test_nothing_recorded_is_an_empty_frame():
    for study in (WHOLE.study, recorded([])):
        found = affinities(study)
        assert found.empty and list(found.columns) == list(FRAMES["affinities"])


def test_distances_rank_pairs_as_their_signal_does():
    values = np.array([[np.nan, 0.9, 0.1], [0.7, np.nan, np.nan], [0.3, np.nan, np.nan]])
    alike, apart = distances(values), distances(values, far_is_high=True)
    np.testing.assert_allclose(alike[0], [0.0, 0.0, 0.6], rtol=0, atol=1e-12)
    assert alike[1, 2] == alike[0, 2]  # unknown: as far as the farthest
    np.testing.assert_allclose(apart[0], [0.0, 0.6, 0.0], rtol=0, atol=1e-12)
    for found in (alike, apart):
        assert np.array_equal(found, found.T) and not found.diagonal().any()


def drawn(rows: pd.DataFrame):
    analysis = Analysis(WHOLE.study, WHOLE.settings, {**WHOLE.frames, "affinities": rows})
    return by_name("affinity_map").on_paper(analysis)


def planted(signal: str, near: float, far: float) -> pd.DataFrame:
    """Two pairs of tasks that are close, `a` with `d` and `b` with `c`."""
    pairs = [{"a", "d"}, {"b", "c"}]
    return pd.DataFrame(
        [
            {"aggregation": "AU", "signal": signal, "task": one, "group": f"group of {one}", "other": other}
            | {"mean": near if {one, other} in pairs else far, "low": 0.0, "high": 0.0, "replicates": 3, "moments": 9}
            for one in "abcd"
            for other in "abcd"
            if one != other
        ]
    )


@pytest.mark.parametrize(("signal", "near", "far"), [("lookahead", 0.4, -0.1), ("image_divergence", 0.1, 0.9)])
def test_the_map_puts_near_tasks_side_by_side_with_their_groups(signal, near, far):
    figure, rows = drawn(planted(signal, near, far))
    heat = figure.axes[0]
    order = [label.get_text() for label in heat.get_yticklabels()]
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset("ad"), frozenset("bc")}
    assert [label.get_text() for label in heat.get_xticklabels()] == order
    beside = heat.child_axes[0]
    assert [label.get_text() for label in beside.get_yticklabels()] == [f"group of {name}" for name in order]
    assert len(rows) == 12


def test_the_map_takes_the_look_ahead_first_and_needs_two_tasks_of_au():
    both = pd.concat([planted("feature_cka", 0.9, 0.1), planted("lookahead", 0.4, -0.1)])
    assert set(drawn(both)[1]["signal"]) == {"lookahead"}
    with pytest.raises(NothingToDraw, match="affinities of the tasks of AU"):
        drawn(both.assign(aggregation="CG"))
