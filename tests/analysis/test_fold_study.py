"""Score tables of a study with rotating folds, analysed as a whole: every frame is made, and gains are by fold."""

import numpy as np
import pytest
from scipy import stats

from analysis.pipeline import analyse
from analysis.report.methods import methods_markdown
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.study import StudyTables
from tests.fake_folds import CASES, FOLDS, folded


@pytest.fixture(scope="module")
def study() -> StudyTables:
    return folded()


@pytest.fixture(scope="module")
def result(study) -> Analysis:
    return analyse(study, Settings(draws=100))


def test_a_task_alone_of_its_type_has_the_t_interval_of_its_folds(study, result):
    own = study.scores.query("task == 'lung' and fraction == 1")
    by_seed = own.pivot(index="seed", columns="aggregation", values="value").pipe(lambda side: side["AU"] - side["TS"])
    by_fold = by_seed.groupby(by_seed.index % FOLDS).mean()
    row = result.frames["gains"].query("task == 'lung' and fraction == 1").iloc[0]
    reach = stats.t.ppf(0.975, FOLDS - 1) * by_fold.std(ddof=1) / np.sqrt(FOLDS)
    assert row["gain"] == pytest.approx(by_fold.mean(), rel=1e-6, abs=1e-9)
    assert (row["high"] - row["low"]) / 2 == pytest.approx(reach, rel=0.02, abs=0)  # its t is matched on a grid
    assert (row["seeds"], row["subjects"]) == (FOLDS + 1, FOLDS * CASES)


def test_every_frame_that_rests_on_gains_is_made(result):
    frames = result.frames
    for name in ("gains", "pooled", "within", "across", "power", "multiverse", "seed_gains", "data"):
        assert len(frames[name]), name
    assert frames["gains"][["low", "high", "se"]].notna().all(axis=None)
    shares = frames["gains"]["seed_share"] + frames["gains"]["case_share"]
    np.testing.assert_allclose(shares, 1, rtol=1e-9, atol=0)
    assert (frames["data"]["subjects"] == FOLDS * CASES).all()


def test_the_scores_of_a_gain_are_means_of_folds_as_it_is(result):
    gains = result.frames["gains"]
    for joint, base in (("joint_score", "base_score"), ("joint_raw", "base_raw")):
        np.testing.assert_allclose(gains[joint] - gains[base], gains["gain"], rtol=0, atol=1e-6)


def test_other_choices_of_analysis_know_the_folds(result):
    """Without the folds' subjects every verdict under other choices would be undecided."""
    decided = result.frames["gains"].query("fraction == 1 and verdict != 'undecided'")["task"]
    shares = result.frames["multiverse"].set_index("task")["undecided"]
    assert len(decided) and (shares.loc[decided] < 1).all()


def test_the_report_says_what_folds_are(result):
    text = methods_markdown(result)
    assert "Each fold is a replicate, the mean of its seeds" in text
    assert "Bengio and Grandvalet 2004. No unbiased estimator" in text
    assert "two crossed parts" not in text
    assert any("6 seeds test 5 folds" in warning for warning in result.warnings)
    assert any("Folds have training data in common" in warning for warning in result.warnings)
