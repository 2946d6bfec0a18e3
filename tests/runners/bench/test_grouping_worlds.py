"""The world of the search for groups: what its pictures show, what is found in it, and how results are counted."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from runners.bench.setting import Setting
from runners.bench.worlds import grouping as module
from runners.bench.worlds.grouping import WORLD, grouping
from runners.bench.worlds.grouping_study import SEARCHED, grouped


def test_clinical_groups_are_half_right():
    groups, structures = WORLD.groups(), WORLD.structures
    together = [(groups[one] == groups[other], against) for one, other, against in WORLD.pairs()]
    assert (True, True) in together and (True, False) in together and (False, False) in together
    apart = [task for task, number in Counter(structures.values()).items() if number == 1]
    assert len(apart) == WORLD.apart
    assert len({groups[task] for task, number in structures.items() if number in apart}) == 1


def test_tasks_of_one_structure_ask_the_same_of_pictures_of_one_kind():
    plan = WORLD.plan(np.random.default_rng(0))
    one, other, apart = "task_0", f"task_{WORLD.readers[0]}", f"task_{sum(WORLD.readers)}"
    stands_for = []
    for task, place in ((one, 0), ("task_1", 0), (other, 1), (apart, 0)):
        by_label: dict[int, set[int]] = {0: set(), 1: set()}
        for picture in plan[task].parts["train"]:
            by_label[picture.label].add(id(picture.shown[place].mark))
        assert len(by_label[0]) == len(by_label[1]) == 1 and by_label[0] != by_label[1]
        stands_for.append(frozenset(by_label[0] | by_label[1]))
    assert stands_for[0] == stands_for[1] and len(set(stands_for)) == 3
    others = {(picture.label, id(picture.shown[1].mark)) for picture in plan[one].parts["train"]}
    assert len(others) == 4  # the other structure says nothing of the label
    assert len({len(task.parts["train"]) for task in plan.values()}) == len(WORLD.sizes)


@pytest.mark.slow
def test_one_seed_is_trained_searched_and_compared(tmp_path):
    tiny = replace(WORLD, pictures=(8, 8, 8), passes=2.0, seeds=2, readers=(2, 2), apart=1)
    result = grouped(tiny, 100, tmp_path / "study")
    every = sorted(tiny.structures)
    for partition in result["partitions"].values():
        assert sorted(task for unit in partition["tasks"] for task in unit) == every
        assert 0 <= partition["score"] <= 1
    assert {"TS", "CG", "AU", "guess_1", SEARCHED, "size", "clusters", "planted"} <= set(result["partitions"])
    parted = {name: partition["parted"] for name, partition in result["partitions"].items()}
    assert parted["TS"] and parted["planted"] and not parted["AU"] and not parted["CG"]
    assert {"model", "no information", "same clinical group", "similar size"} <= set(result["predictors"])
    ranks = [each["rank"] for each in result["predictors"].values()]
    assert all(math.isnan(rank) or -1 <= rank <= 1 for rank in ranks)  # equal predictions have no rank
    assert "gradient_cosine" in result["signals"] and "feature_cka" not in result["signals"]


def made_up(world, seed, folder):
    """A world in which what is found is better than AU and CG at even seeds, and far worse at the others."""
    score = 0.8 if seed % 2 else 0.95
    scores = {
        "TS": 0.8,
        "CG": 0.9,
        "AU": 0.85,
        "searched": score,
        "guess_1": 0.7,
        "size": 0.7,
        "clusters": 0.89,
        "planted": 1,
    }
    partitions = {
        name: {"tasks": [["task_0", "task_1"], ["task_2"]], "score": value, "parted": name == "searched"}
        for name, value in scores.items()
    }
    predictor = {"rank": 0.5 + 0.1 * seed, "rank_new": 0.2, "error": 0.1, "gains": 12}
    names = ("model", "no information", "same clinical group", "same type", "similar size", "all affinities")
    return {
        "partitions": partitions,
        "predictors": dict.fromkeys(names, predictor),
        "signals": {"lookahead": {"told": 0.75, "parted": bool(seed)}},
        "used": ["lookahead"] if seed else [],
    }


def test_results_are_kept_and_counted_and_seeds_can_be_shared_out(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        module, "grouped", lambda world, seed, folder: calls.append(seed) or made_up(world, seed, folder)
    )
    setting = Setting(tmp_path, out=tmp_path / "kept", worlds=2)
    grouping(replace(setting, worlds=1, first=1))
    table = grouping(setting)
    assert calls == [1, 0]
    rows = {row[0]: row[1:] for row in table.rows}
    counted = ("2 of 2", "2.0", "0.875", "+0.075 [-0.878, +1.028]", "1 of 2", "1 of 2")
    assert rows["found"] == (*counted, "+0.550 [-0.085, +1.185]", "+0.200 [+0.200, +0.200]", "0.100")
    assert rows["affinities alone: clusters of all signals"][0] == "0 of 2"
    assert rows["affinities alone: clusters of all signals"][4:6] == (
        "2 of 2",
        "0 of 2",
    )  # within the margin, not above
    assert rows["every task alone: TS"][6:] == ("", "", "")
    assert "- lookahead: 0.75; 1 of 2" in table.note and "Affinities are used in 1 of 2." in table.note
    monkeypatch.setattr(module, "grouped", lambda *_: pytest.fail("nothing is to be trained"))
    assert str(grouping(replace(setting, worlds=5, finished=True))) == str(table)
    assert not grouping(replace(setting, first=7, finished=True)).rows
