"""The comparison of networks over folds: its statistics on known gains, and that it continues where it was killed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from aggregation_lab.errors import DataError
from runners.bench.recipe import scores
from runners.bench.recipe.comparison import share_of
from runners.bench.recipe.scores import BETTER, VERDICT, recipe
from runners.bench.setting import Setting

OURS, PEERS = np.array([0.30, 0.26, 0.35, 0.28, 0.31]), np.array([0.25, 0.24, 0.30, 0.22, 0.27])


def test_the_ends_of_the_interval_are_where_the_paired_t_is_at_its_limit():
    share = share_of(OURS, PEERS, 0.97)
    assert share.ratio == pytest.approx(OURS.mean() / PEERS.mean(), rel=1e-12, abs=0)
    assert share.low < share.ratio < share.high
    for end in (share.low, share.high):
        p = stats.ttest_1samp(OURS - end * PEERS, 0).pvalue
        assert p == pytest.approx(0.05, rel=1e-6, abs=0)


@pytest.mark.parametrize("factor, verdict", [(1.3, "met"), (0.7, "not met"), (0.97, "not shown")])
def test_the_verdict_is_that_of_the_interval(factor, verdict):
    noise = np.array([0.004, -0.003, 0.0, 0.002, -0.003])
    share = share_of(factor * PEERS + noise, PEERS, 0.97)
    assert share.verdict == verdict
    assert (share.low > 0.97, share.high < 0.97) == (verdict == "met", verdict == "not met")


def test_pairs_count_and_not_the_scatter_of_the_folds():
    hard_and_easy = np.array([0.05, 0.45, 0.15, 0.35, 0.25])
    paired = share_of(1.2 * hard_and_easy + 0.003 * np.array([1, -1, 0, 1, -1]), hard_and_easy, 0.97)
    mixed = share_of(1.2 * hard_and_easy[::-1], hard_and_easy, 0.97)
    assert paired.verdict == "met" and mixed.verdict == "not shown"


def test_a_peer_that_may_have_gained_nothing_gives_no_end():
    scattered = np.array([0.1, -0.1, 0.12, -0.08, 0.02])
    share = share_of(OURS, scattered, 0.97)
    assert share.interval == "without end" and share.verdict == "met"  # the difference is certain, the ratio is not
    below = share_of(np.array([0.01, -0.01, 0.02, -0.02, 0.0]), np.full(5, -0.3), 0.97)
    assert np.isnan(below.ratio) and below.verdict == "not shown"


def test_two_folds_give_no_interval():
    share = share_of(OURS[:2], PEERS[:2], 0.97)
    assert share.interval == "no interval" and share.verdict == "not shown" and share.ratio > 1


def test_intervals_cover():
    random, true, held = np.random.default_rng(0), 1.1, 0
    for _ in range(2000):
        peers = random.normal(0.25, 0.03, 5)
        share = share_of(true * peers + random.normal(0, 0.02, 5), peers, 0.97)
        held += share.low <= true <= share.high
    assert held / 2000 == pytest.approx(0.95, rel=0, abs=0.015)


@pytest.fixture
def setting(tiny_original, tmp_path) -> Setting:
    (tmp_path / "scratch").mkdir()
    tasks, out = ("tiny_head_det", "tiny_kind"), tmp_path / "kept"
    return Setting(
        tmp_path / "scratch", tiny_original, share=1, size=32, passes=0.05, rounds=1, folds=3, tasks=tasks, out=out
    )


@pytest.mark.slow
def test_a_killed_comparison_continues_and_says_the_same(setting, tmp_path, monkeypatch, capsys):
    train, trained = scores.trained, []

    def until_killed(run, prepared, network):
        if len(trained) == 7:
            raise KeyboardInterrupt
        trained.append((run.spec.tasks[0].name, run.fold, network))
        return train(run, prepared, network)

    monkeypatch.setattr(scores, "trained", until_killed)
    with pytest.raises(KeyboardInterrupt):
        recipe(setting)
    (tmp_path / "later").mkdir()
    finished = recipe(replace(setting, finished=True, scratch=tmp_path / "later"))
    assert [row[:2] for row in finished.rows] == [("tiny_head_det", 2), ("mean of 1, detection", 2)]
    assert len(trained) == 7
    monkeypatch.setattr(scores, "trained", lambda *what: trained.append(what) or train(*what))
    damaged = next((setting.out / "results").glob("*U-Net*"))
    damaged.write_text(damaged.read_text().replace("score", "scope"))
    table = recipe(setting)
    assert len(trained) == 7 + 1 + (9 + 6 - 7)  # of three networks and of two, over three folds; one was damaged
    assert {fold for _, fold, _ in trained[:7]} == {0, 1, 2}
    said = capsys.readouterr().out
    assert "its content has changed" in said and "kept" in said and "left" in said
    monkeypatch.setattr(scores, "trained", until_killed)
    assert recipe(setting) == table  # nothing is trained again
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert list(rows) == [*setting.tasks, "mean of 1, classification", "mean of 1, detection"]
    for row in rows.values():
        assert row["folds"] == 3 and row[VERDICT] in ("met", "not met", "not shown")
        assert row["step, ResNet18's / agglab's"] > 0
    one, mean = rows["tiny_kind"], rows["mean of 1, classification"]
    assert one[BETTER] == mean[BETTER] and one["U-Net"] == ""


def test_an_unknown_task_is_named(setting):
    with pytest.raises(DataError, match="--tasks tiny_kinds: the data have no such task; did you mean tiny_kind?"):
        recipe(replace(setting, tasks=("tiny_kinds",)))
