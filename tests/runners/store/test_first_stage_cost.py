"""What a first stage has spent on the tasks of a second one: shares that add up to the run."""

import math

import pandas as pd
import pytest

from aggregation_lab.config import TrainingConfig
from runners.store.first_stage_cost import share, with_first_stages

SIZES = {"a": 100, "b": 300, "c": 100}


@pytest.mark.parametrize(
    ("settings", "of_b"),
    [
        ({"sampling": "proportional"}, 0.6),
        ({"sampling": "uniform"}, 1 / 3),
        ({"sampling": "temperature", "temperature": 2.0}, math.sqrt(3) / (2 + math.sqrt(3))),
    ],
)
def test_a_share_follows_the_sampling_and_all_of_them_are_the_whole(settings, of_b):
    training = TrainingConfig.model_validate(settings)
    assert share(SIZES, ["b"], training) == pytest.approx(of_b, rel=1e-12, abs=0)
    assert sum(share(SIZES, [task], training) for task in SIZES) == pytest.approx(1.0, rel=1e-12, abs=0)
    assert share(SIZES, ["a", "b", "c"], training) == pytest.approx(1.0, rel=1e-12, abs=0)


def test_the_ledger_gets_what_was_spent_before():
    runs = pd.DataFrame(
        {
            "run": ["joint", "joint", "later", "alone", "orphan"],
            "images_seen": [1000, 1000, 600, 50, 50],
            "passes": [2.0, 2.0, 2.0, 1.0, 1.0],
            "flops": [500.0, 500.0, 300.0, 10.0, 10.0],
        }
    )
    found = with_first_stages(runs, {"later": "joint", "orphan": "gone"}, {"later": 0.6}).set_index("run")
    assert found.loc["later", ["start", "passes_before", "flops_before"]].to_list() == ["joint", 2.0, 300.0]
    assert found.loc["alone", ["start", "passes_before", "flops_before"]].to_list() == ["", 0.0, 0.0]
    assert (
        found.loc["orphan", "start"] == "gone" and found.loc["orphan", ["passes_before", "flops_before"]].isna().all()
    )
    assert with_first_stages(runs[:0], {}, {}).empty
