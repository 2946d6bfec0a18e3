"""Planted worlds: what their pictures show, that models see it, and how results are kept and counted."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.questions.finding_parts import CONTRADICTED, NOT_TESTABLE, SUPPORTED
from analysis.statistics.verdicts import UNDECIDED
from runners.bench.setting import Setting
from runners.bench.worlds import hypothesis as module
from runners.bench.worlds.capacity_study import judged
from runners.bench.worlds.hypothesis import hypothesis
from runners.bench.worlds.pictures import CELL, SIDE, Shown, draw, marks
from runners.bench.worlds.planted import WORLDS, MisleadingMarks

MISLEADING, WANTING = WORLDS


def test_marks_leave_the_mean_of_their_cell_and_speckle_hides_none_of_it():
    random = np.random.default_rng(0)
    (mark,) = marks(1, random)
    assert mark.sum() == 0 and mark.shape == (CELL, CELL)
    plain = np.mean([draw((), random) for _ in range(600)], 0)
    shown = np.mean([draw((Shown(mark, 8.0, 16),), random) for _ in range(600)], 0)
    assert plain.shape == (SIDE, SIDE)
    np.testing.assert_allclose(shown - plain, np.tile(mark, (4, 4)) * 8 * 255 / 50, rtol=0, atol=10)


def stands_for(world: MisleadingMarks, part: str, *, other: bool) -> list[bool]:
    """Whether the faint mark of each picture stood for its class, or for the `other` one, in its task's training."""
    found = []
    for task in world.plan(np.random.default_rng(3)).values():
        of_class = {
            label: [each.shown[1].mark for each in task.parts["train"] if each.label == label] for label in (0, 1)
        }
        for picture in task.parts[part]:
            label = 1 - picture.label if other else picture.label
            found.append(any(picture.shown[1].mark is mark for mark in of_class[label]))
    return found


def test_faint_marks_agree_with_every_label_but_those_of_the_test():
    assert isinstance(MISLEADING, MisleadingMarks)
    for part in ("train", "val"):
        assert not any(stands_for(MISLEADING, part, other=True))
    assert not any(stands_for(MISLEADING, "test", other=False))
    # a kind may be absent from the training of a task
    assert np.mean(stands_for(MISLEADING, "test", other=True)) > 0.9


def test_tasks_that_want_capacity_share_no_mark():
    plan = WANTING.plan(np.random.default_rng(3))
    shown = [{id(each.shown[0].mark) for each in task.parts["train"]} for task in plan.values()]
    assert all(len(own) == 2 for own in shown) and len(set.union(*shown)) == 2 * len(plan)


@pytest.mark.slow
def test_misleading_marks_harm_the_joint_model_in_every_width(tmp_path):
    small = replace(MISLEADING, widths=(8, 18), seeds=1, groups=3)
    found = judged(small, 11, tmp_path / "study")
    assert found["verdict"] == NOT_TESTABLE  # one seed decides nothing
    for arm in ("width_8", "width_18"):
        assert found["scores"][f"{arm} AU"] < found["scores"][f"{arm} TS"] - 0.2
        assert found["scores"][f"{arm} AU"] < found["scores"][f"{arm} CG"] - 0.1


def made_up(world, seed, folder):
    """A study that comes out right at even seeds, undecided at the others."""
    parts = [
        {"part": name, "verdict": SUPPORTED, "estimate": place + 0.01 * seed, "low": 0.0, "high": 9.0}
        for place, name in enumerate(("slope of CG", "slope of AU", "AU against CG"))
    ]
    verdict = UNDECIDED if seed % 2 else world.truth
    return {"verdict": verdict, "parts": parts, "scores": {"width_8 TS": 0.8}}


def test_results_are_kept_counted_and_made_again_only_where_they_are_damaged(tmp_path, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(
        module, "judged", lambda world, seed, folder: calls.append(seed) or made_up(world, seed, folder)
    )
    setting = Setting(tmp_path, out=tmp_path / "kept", worlds=3)
    rows = {row[0]: row for row in hypothesis(setting).rows}
    assert len(calls) == 6 and rows[MISLEADING.name][1:6] == (SUPPORTED, 3, 2, 1, 0)
    slopes = [f"{MISLEADING.margin - 0.02 - place:+.3f} to {MISLEADING.margin - place:+.3f}" for place in (0, 1)]
    assert list(rows[MISLEADING.name][6:9]) == [*slopes, "+2.000 to +2.020"]  # in their order, kept or not
    (file,) = (tmp_path / "kept").glob("misleading_marks-2-*.json")
    file.write_text(file.read_text().replace("0.02", "0.03"))
    assert rows == {row[0]: row for row in hypothesis(setting).rows}
    assert len(calls) == 7 and "made again" in capsys.readouterr().out
    monkeypatch.setattr(module, "judged", lambda *_: pytest.fail("nothing is to be trained"))
    assert len(hypothesis(replace(setting, worlds=5, finished=True)).rows) == 2
    assert all(row[2] == 3 for row in hypothesis(replace(setting, worlds=5, finished=True)).rows)


def test_a_wrong_verdict_is_counted_as_wrong(tmp_path, monkeypatch):
    other = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED}
    monkeypatch.setattr(
        module, "judged", lambda world, seed, folder: made_up(world, seed, folder) | {"verdict": other[world.truth]}
    )
    rows = hypothesis(Setting(tmp_path, out=tmp_path / "kept", worlds=2)).rows
    assert [row[2:6] for row in rows] == [(2, 0, 0, 2), (2, 0, 0, 2)]
