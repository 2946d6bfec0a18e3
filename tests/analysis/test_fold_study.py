"""Score tables of a study with rotating folds, analysed as a whole: every frame is made, and gains are by fold."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from aggregation_lab.manifest import Manifest
from analysis.pipeline import analyse
from analysis.report.methods import methods_markdown
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.study import StudyTables

TASKS = [("lung", "detection"), *((f"task{number}", "segmentation") for number in range(5))]
FOLDS, CASES = 5, 8


@pytest.fixture(scope="module")
def study() -> StudyTables:
    """Six tasks, TS and AU at two fractions, six seeds in five folds; scores are means of case values."""
    random, scores, cases = np.random.default_rng(0), [], []
    for place, (task, kind) in enumerate(TASKS):
        for seed in range(FOLDS + 1):
            numbers = [f"{seed % FOLDS}-{number}" for number in range(CASES)]
            for fraction in (0.5, 1.0):
                for name, gain in (("TS", 0.0), ("AU", 0.01 * place)):
                    values = 0.6 + gain * fraction + random.normal(0, 0.02) + random.normal(0, 0.05, CASES)
                    common = {
                        "run": f"{name}-{task}-{fraction:g}-{seed}", "aggregation": name, "unit": task, "task": task,
                        "type": kind, "group": f"group{place % 3}", "fraction": fraction, "seed": seed, "split": "test",
                    }  # fmt: skip
                    about = {"n_train": round(100 * fraction * (place + 1)), "metric": "score", "direction": "higher"}
                    value = {"value": values.mean(), "n_cases": CASES, "n_undefined": 0}
                    scores.append(common | about | value)
                    own = {"quantity": "value", "index": 0, "value": values, "case": numbers, "subject": numbers}
                    cases.append(pd.DataFrame(common | own))
    manifest = Manifest("folded", settings={"data": {"folds": FOLDS}})
    return StudyTables(manifest, pd.DataFrame(scores), pd.concat(cases, ignore_index=True))


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
