"""Plans agree with noncentral t tables, with simulation, and say what stands in the way."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from aggregation_lab.manifest import Manifest
from analysis.frames import FRAMES, stacked
from analysis.gains import Contrast, PairedGain
from analysis.questions.families import moderated
from analysis.questions.power import (
    MORE_CASES,
    MORE_SEEDS,
    NO_MARGIN,
    ONE_SEED,
    ONE_SUBJECT,
    detectable,
    hours_per_seed,
    plan_sentence,
    power_frame,
)
from analysis.settings import Settings
from analysis.statistics.verdicts import SAME_MODEL
from analysis.study import StudyTables

AU_TS = Contrast("AU", "TS")


def paired(gains, draws=None, subjects=0, task="a", unit="1", same=False) -> PairedGain:
    gains = np.asarray(gains, float)
    runs = np.full(len(gains), "run", object)
    return PairedGain(
        task=task,
        type="segmentation",
        group="g",
        unit=unit,
        n_train=100.0,
        seeds=tuple(range(len(gains))),
        joint_scores=0.7 + gains,
        base_scores=np.full(len(gains), 0.7),
        joint_runs=runs,
        base_runs=runs,
        by_seed=gains,
        draws=draws,
        subjects=subjects,
        same_model=same,
        unpaired=0,
    )


def scattered(mean: float, sd: float, seeds: int) -> np.ndarray:
    """Gains with exactly this mean and standard deviation."""
    steps = np.arange(seeds) - (seeds - 1) / 2
    return mean + sd * steps / steps.std(ddof=1)


def case_draws(se: float, seeds: int, subjects: int) -> np.ndarray:
    """Resampled gains, alike in every seed, whose case variance is se^2."""
    steps = np.arange(101) - 50.0
    return np.repeat((se * steps / steps.std(ddof=1) * np.sqrt(1 - 1 / subjects))[:, None], seeds, axis=1)


def plan(pairs, margin=0.02, hours=2.0) -> pd.DataFrame:
    pairs = [replace(pair, margin=margin if pair.unit == "1" else np.nan) for pair in pairs]
    found = stacked("power", [(AU_TS.columns, power_frame(pairs, hours, Settings()))])
    assert list(found.columns) == list(FRAMES["power"])
    return found


def nct_power(margin: float, se: float, df: float) -> float:
    limit = stats.t.ppf(0.975, df)
    return float(stats.nct.sf(limit, df, margin / se))


def test_seeds_alone_follow_the_one_sample_t_test():
    """Margin 0.02, sd 0.014: power 0.65 with 5 seeds and 0.79 with 6, so 7 seeds."""
    row = plan([paired(scattered(0.0, 0.014, 3))]).iloc[0]
    by_hand = next(s for s in range(2, 50) if nct_power(0.02, 0.014 / np.sqrt(s), s - 1) >= 0.8)
    assert row["seeds_to_detect"] == row["seeds_to_exclude"] == by_hand
    assert row["sd_seed"] == pytest.approx(0.014, rel=2e-3, abs=0)  # variances lie on a grid
    assert np.isnan(row["se_cases"])
    assert row["hours"] == 2.0 * (by_hand - 3) and row["limit"] == MORE_SEEDS


def test_the_seeds_found_exclude_a_loss_in_four_of_five_simulated_studies():
    needed = int(plan([paired(scattered(0.0, 0.02, 4))])["seeds_to_exclude"].iloc[0])
    random = np.random.default_rng(1)

    def excluded(seeds: int) -> float:
        gains = random.normal(0.0, 0.02, (20000, seeds))
        p = stats.ttest_1samp(gains, -0.02, axis=1, alternative="greater").pvalue
        return float((p <= 0.025).mean())

    assert excluded(needed) > 0.79
    assert excluded(needed - 1) < 0.81


def test_what_is_detectable_is_found_with_power_of_eighty_percent():
    se, df = 0.01, 7.0
    effect = detectable(se, df, 0.05)
    assert nct_power(effect, se, df) == pytest.approx(0.8, abs=0.002)
    assert detectable(2 * se, df, 0.05) == pytest.approx(2 * effect, rel=1e-6, abs=1e-9)
    assert np.isnan(detectable(float("nan"), df, 0.05)) and np.isnan(detectable(0.0, df, 0.05))


def test_cases_and_seeds_together():
    subjects, se_cases, sd = 50, 0.004, 0.012
    row = plan([paired(scattered(0.01, sd, 5), case_draws(se_cases, 5, subjects), subjects)]).iloc[0]
    assert row["se_cases"] == pytest.approx(se_cases, rel=1e-6, abs=1e-9)

    def at(seeds: int) -> float:
        seed_part = sd**2 / seeds
        df = (seed_part + se_cases**2) ** 2 / (seed_part**2 / (seeds - 1) + se_cases**4 / (subjects - 1))
        return nct_power(0.02, np.sqrt(seed_part + se_cases**2), df)

    assert row["seeds_to_detect"] == next(s for s in range(2, 50) if at(s) >= 0.8)


def test_too_few_test_cases_cannot_be_mended_by_seeds():
    found = plan([paired(scattered(0.0, 0.01, 5), case_draws(0.02, 5, 40), 40)])
    row = found.iloc[0]
    assert row["limit"] == MORE_CASES and np.isnan(row["seeds_to_detect"]) and np.isnan(row["hours"])
    assert "more test cases, whatever the seeds" in plan_sentence(found)


def test_more_than_a_hundred_seeds_are_out_of_reach():
    found = plan([paired(scattered(0.0, 0.3, 5))])
    row = found.iloc[0]
    assert row["limit"] == MORE_SEEDS and np.isnan(row["seeds_to_detect"])
    assert "1 need more than 100 seeds" in plan_sentence(found)


def test_enough_seeds_need_no_more():
    found = plan([paired(scattered(0.0, 0.002, 5))])
    assert found["limit"].iloc[0] == "" and found["hours"].iloc[0] == 0.0
    assert "will do for 1 of 1 tasks" in plan_sentence(found)


def test_test_cases_of_one_subject_leave_nothing_to_plan():
    found = plan([paired(scattered(0.0, 0.002, 5), case_draws(0.004, 5, 40), 1)])
    assert found["limit"].iloc[0] == ONE_SUBJECT
    assert found[["detectable", "seeds_to_detect", "seeds_to_exclude", "hours"]].isna().all(axis=None)
    assert "for 1 nothing can be said" in plan_sentence(found)


def test_one_seed_says_so():
    with_cases = paired([0.01], case_draws(0.004, 1, 40), 40, task="a")
    found = plan([with_cases, paired([0.01], task="b")])
    assert list(found["limit"]) == [ONE_SEED, ONE_SEED]
    assert found[["sd_seed", "seeds_to_detect", "seeds_to_exclude", "hours"]].isna().all(axis=None)
    assert nct_power(found["detectable"].iloc[0], 0.004, 39) == pytest.approx(0.8, abs=0.002)
    assert np.isnan(found["detectable"].iloc[1])
    assert "one seed shows no scatter" in plan_sentence(found)


def test_scatter_is_borrowed_from_the_other_tasks():
    sds = np.array([0.004, 0.006, 0.01, 0.014, 0.02, 0.03])
    pairs = [paired(scattered(0.0, sd, 3), task=f"t{n}") for n, sd in enumerate(sds)]
    found = plan(pairs)
    lent = moderated(pairs)
    variance = np.array([3 * each.v_seed for each in lent])
    df = np.array([each.df for each in lent])
    np.testing.assert_allclose(found["sd_seed"], np.sqrt(variance), rtol=1e-6, atol=1e-12)
    at_hand = [nct_power(found["detectable"][n], np.sqrt(variance[n] / 3), df[n]) for n in range(6)]
    np.testing.assert_allclose(at_hand, 0.8, rtol=0, atol=0.002)
    first = next(s for s in range(2, 99) if nct_power(0.02, np.sqrt(variance[0] / s), df[0] - 3 + s) >= 0.8)
    assert found["seeds_to_detect"][0] == first


def test_a_smaller_margin_never_needs_fewer_seeds():
    pairs = [paired(scattered(0.0, sd, 4), task=str(sd)) for sd in (0.005, 0.01, 0.02)]
    needed = [plan(pairs, margin)["seeds_to_detect"].fillna(np.inf) for margin in (0.01, 0.02, 0.04)]
    assert (needed[0] >= needed[1]).all() and (needed[1] >= needed[2]).all()


def test_pixel_units_same_models_and_no_scatter_are_named():
    pairs = [
        paired(scattered(0.0, 2.0, 3), task="px", unit="px"),
        paired([0.0, 0.0], task="same", same=True),
        paired([0.01, 0.01], task="flat"),
    ]
    found = plan(pairs)
    assert list(found["limit"]) == [NO_MARGIN, SAME_MODEL, "no scatter to plan from"]
    assert found["seeds_to_detect"].isna().all()
    assert plan_sentence(found).endswith("for 2 nothing can be said.")


def runs_table(rows: list[tuple[str, str, float, int, float]]) -> StudyTables:
    runs = pd.DataFrame(rows, columns=["run", "aggregation", "fraction", "seed", "seconds"])
    return StudyTables(Manifest("pilot"), pd.DataFrame({"fraction": [1.0]}), runs=runs)


def test_a_seed_costs_the_runs_of_both_aggregations_and_a_shared_run_once():
    study = runs_table(
        [
            ("au0", "AU", 1.0, 0, 7200.0),
            ("a0", "TS", 1.0, 0, 1800.0),
            ("shared0", "TS", 1.0, 0, 3600.0),
            ("shared0", "AU", 1.0, 0, 3600.0),
            ("au1", "AU", 1.0, 1, 3600.0),
            ("a1", "TS", 1.0, 1, 3600.0),
            ("half", "AU", 0.5, 0, 99999.0),
            ("other", "CG", 1.0, 0, 99999.0),
            ("au2", "AU", 1.0, 2, 99999.0),
        ]
    )
    assert hours_per_seed(study, AU_TS, 1.0) == pytest.approx((3.5 + 2.0) / 2, rel=1e-9, abs=0)
    assert np.isnan(hours_per_seed(study, Contrast("mine", "TS"), 1.0))
    assert np.isnan(hours_per_seed(StudyTables(Manifest("x"), study.scores), AU_TS, 1.0))


def test_nothing_to_plan_is_an_empty_frame_and_no_words():
    found = plan([])
    assert found.empty and plan_sentence(found) == ""
