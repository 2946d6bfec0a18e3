"""Plans agree with noncentral t tables, with simulation, and say what stands in the way."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from aggregation_lab.manifest import Manifest
from analysis.contrasts import Contrast
from analysis.frames import FRAMES, stacked
from analysis.gains import PairedGain
from analysis.questions.families import moderated
from analysis.questions.power import (
    MORE_CASES,
    MORE_SEEDS,
    NO_MARGIN,
    ONE_SEED,
    ONE_SUBJECT,
    detectable,
    hours_per_seed,
    plan,
    plan_sentence,
    power_frame,
    would_decide,
)
from analysis.statistics.planning import BOTH, EITHER, REPLICATES, SUBJECTS
from analysis.statistics.replicates import FoldsTested
from analysis.statistics.verdicts import BENEFIT, NO_LOSS, SAME_MODEL, UNDECIDED, NextLevels
from analysis.study import StudyTables

AU_TS = Contrast("AU", "TS")
LEVELS = NextLevels(0.05, 0.05)


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


def planned(pairs, margin=0.02, hours=2.0, verdict=UNDECIDED) -> pd.DataFrame:
    pairs = [replace(pair, margin=margin if pair.unit == "1" else np.nan) for pair in pairs]
    found = stacked(
        "power", [(AU_TS.columns, power_frame(pairs, moderated(pairs), [verdict] * len(pairs), hours, LEVELS))]
    )
    assert list(found.columns) == list(FRAMES["power"])
    return found


def nct_power(margin: float, se: float, df: float) -> float:
    limit = stats.t.ppf(0.975, df)
    return float(stats.nct.sf(limit, df, margin / se))


def averaged_power(sd: float, seeds: int, at_hand: int) -> float:
    """Power of the one-sample t test for a margin of 0.02, over true variances of which a pilot knows `sd`."""
    random, known, count = np.random.default_rng(0), at_hand - 1, 200_000
    seen, gained = random.chisquare(known, count), random.chisquare(seeds - at_hand, count)
    true = sd * np.sqrt(known / seen)
    se = true * np.sqrt((seen + gained) / (seeds - 1) / seeds)
    found = random.normal(0.02, true / np.sqrt(seeds))
    return float((found / se > stats.t.ppf(0.975, seeds - 1)).mean())


def test_seeds_alone_have_power_averaged_over_what_the_scatter_may_be():
    """Margin 0.02, sd 0.014: 7 seeds if that were the truth, which three seeds cannot tell."""
    row = planned([paired(scattered(0.0, 0.014, 3))]).iloc[0]
    needed = int(row["seeds_to_detect"])
    assert row["seeds_to_exclude"] == needed > 7 and row["limit"] == MORE_SEEDS
    assert averaged_power(0.014, needed, 3) == pytest.approx(0.8, rel=0, abs=0.03)
    assert row["sd_seed"] == pytest.approx(0.014, rel=2e-3, abs=0)  # variances lie on a grid
    assert row["decided_by"] == REPLICATES and row["more_replicates"] == needed - 3
    assert np.isnan(row["se_cases"]) and np.isnan(row["more_test_subjects"])
    assert row["hours"] == 2.0 * (needed - 3)


def test_a_longer_pilot_promises_the_same_with_fewer_seeds():
    needed = [planned([paired(scattered(0.0, 0.014, seeds))])["seeds_to_detect"].iloc[0] for seeds in (3, 5, 20)]
    assert needed[0] > needed[1] >= needed[2] >= 7


def test_what_is_detectable_is_found_with_power_of_eighty_percent():
    se, df = 0.01, 7.0
    effect = detectable(se, df, 0.05)
    assert nct_power(effect, se, df) == pytest.approx(0.8, abs=0.002)
    assert detectable(2 * se, df, 0.05) == pytest.approx(2 * effect, rel=1e-6, abs=1e-9)
    assert np.isnan(detectable(float("nan"), df, 0.05)) and np.isnan(detectable(0.0, df, 0.05))


def test_cases_alone_call_for_more_subjects_and_seeds_alone_for_more_seeds():
    quiet = paired(scattered(0.0, 0.001, 5), case_draws(0.01, 5, 50), 50)
    noisy = paired(scattered(0.0, 0.02, 5), case_draws(0.0005, 5, 50), 50)
    found = planned([quiet]).iloc[0], planned([noisy]).iloc[0]
    assert found[0]["se_cases"] == pytest.approx(0.01, rel=0.05, abs=0)
    assert [row["decided_by"] for row in found] == [SUBJECTS, REPLICATES]
    # 0.02 is 2.8 standard errors and a little more, for the t of some degrees of freedom
    times = 1 + found[0]["more_test_subjects"] / 50
    assert 1.9 < times < 3.0


def test_where_neither_is_enough_both_are_and_a_smaller_margin_needs_more():
    pair = paired(scattered(0.0, 0.02, 5), case_draws(0.01, 5, 50), 50)
    row = planned([pair]).iloc[0]
    assert row["decided_by"] == BOTH and row["more_replicates"] > 0 and row["more_test_subjects"] > 0
    smaller = planned([pair], margin=0.015).iloc[0]
    size = [(5 + each["more_replicates"]) * (50 + each["more_test_subjects"]) for each in (row, smaller)]
    assert size[0] < size[1]


def in_words(pair: PairedGain, margin: float = 0.02) -> str:
    own = replace(pair, margin=margin)
    return would_decide(own, plan(own, moderated([own])[0], LEVELS))


def test_words_name_what_would_decide():
    assert in_words(paired(scattered(0.0, 0.014, 3))).startswith("would notice ±0.0")
    assert in_words(paired(scattered(0.0, 0.014, 3))).endswith(" more seeds")
    assert in_words(paired(scattered(0.0, 0.001, 5), case_draws(0.01, 5, 50), 50)).endswith("test subjects (50 now)")
    assert in_words(paired([0.01], case_draws(0.004, 1, 40), 40)) == "another seed: one decides nothing"
    assert in_words(paired(scattered(0.0, 0.3, 5))).endswith("; more than 100 seeds")
    assert in_words(paired(scattered(0.0, 0.0019, 5), task="a"), 0.01).count("at this gain") == 1
    vague = replace(paired(scattered(0.0, 0.5, 3)), margin=0.02)
    planned = plan(vague, moderated([vague])[0], LEVELS)
    assert planned["detectable"] > 1 and would_decide(vague, planned).startswith("would notice ±")
    assert would_decide(vague, planned, most=1.0).startswith("would notice no gain that there can be; ")
    pixels = replace(paired(scattered(0.0, 2.0, 3), unit="px"), margin=np.nan)
    assert would_decide(pixels, plan(pixels, moderated([pixels])[0], LEVELS)).endswith(" px; no margin in this unit")


def test_tested_folds_bring_no_new_cases():
    """Five folds, all tested, whose cases are most of the scatter: seeds cannot lower that, subjects can."""
    folds = FoldsTested(5, {seed: seed % 5 for seed in range(20)}, dict.fromkeys(range(5), 20))
    alone = np.random.default_rng(0).normal(0, 0.02, (400, 5))
    all_tested = replace(paired(scattered(0.0, 0.022, 5), alone, 100), folds=folds)
    row = planned([all_tested]).iloc[0]
    assert row["limit"] == MORE_CASES and row["decided_by"] in (SUBJECTS, BOTH)
    assert "(100 now, all tested)" in in_words(all_tested)
    three = replace(paired(scattered(0.0, 0.006, 3), alone[:, :3] / 5, 60), folds=folds)
    assert planned([three]).iloc[0]["decided_by"] in (REPLICATES, EITHER) and " more replicate" in in_words(three)


def test_too_few_test_cases_cannot_be_mended_by_seeds():
    found = planned([paired(scattered(0.0, 0.01, 5), case_draws(0.02, 5, 40), 40)])
    row = found.iloc[0]
    assert row["limit"] == MORE_CASES and np.isnan(row["seeds_to_detect"]) and np.isnan(row["hours"])
    assert "more test cases, whatever the seeds" in plan_sentence(found)


def test_more_than_a_hundred_seeds_are_out_of_reach():
    found = planned([paired(scattered(0.0, 0.3, 5))])
    row = found.iloc[0]
    assert row["limit"] == MORE_SEEDS and np.isnan(row["seeds_to_detect"])
    assert "1 need more than 100 seeds" in plan_sentence(found)


def test_enough_seeds_need_no_more():
    found = planned([paired(scattered(0.0, 0.002, 5))])
    assert found["limit"].iloc[0] == "" and found["hours"].iloc[0] == 0.0
    assert "will do for 1 of 1 tasks" in plan_sentence(found)


@pytest.mark.parametrize("verdict", [BENEFIT, NO_LOSS])
def test_what_is_decided_needs_nothing_added(verdict):
    """As in the frame `gains`. How many seeds the margin takes is still planned, for the next study."""
    pairs = [paired(scattered(0.0, 0.014, 3), task="a"), paired(scattered(0.1, 0.002, 5), task="b")]
    added = ["more_replicates", "more_test_subjects", "decided_by"]
    still = planned(pairs)
    assert still[["more_replicates", "decided_by"]].notna().all(axis=None)
    found = planned(pairs, verdict=verdict)
    assert found[added].isna().all(axis=None)
    pd.testing.assert_frame_equal(found.drop(columns=added), still.drop(columns=added), rtol=1e-9, atol=1e-12)
    below = [replace(pair, base_above_floor=False, joint_above_floor=True) for pair in pairs]
    assert planned(below)[added].isna().all(axis=None)


def test_test_cases_of_one_subject_leave_nothing_to_plan():
    found = planned([paired(scattered(0.0, 0.002, 5), case_draws(0.004, 5, 40), 1)])
    assert found["limit"].iloc[0] == ONE_SUBJECT
    assert found[["detectable", "seeds_to_detect", "seeds_to_exclude", "hours"]].isna().all(axis=None)
    assert "for 1 nothing can be said" in plan_sentence(found)


def test_one_seed_says_so():
    with_cases = paired([0.01], case_draws(0.004, 1, 40), 40, task="a")
    found = planned([with_cases, paired([0.01], task="b")])
    assert list(found["limit"]) == [ONE_SEED, ONE_SEED]
    assert found[["sd_seed", "seeds_to_detect", "seeds_to_exclude", "hours"]].isna().all(axis=None)
    assert nct_power(found["detectable"].iloc[0], 0.004, 39) == pytest.approx(0.8, abs=0.002)
    assert np.isnan(found["detectable"].iloc[1])
    assert "one seed shows no scatter" in plan_sentence(found)


def test_scatter_is_borrowed_from_the_other_tasks():
    sds = np.array([0.004, 0.006, 0.01, 0.014, 0.02, 0.03])
    pairs = [paired(scattered(0.0, sd, 3), task=f"t{n}") for n, sd in enumerate(sds)]
    found = planned(pairs)
    lent = moderated(pairs)
    variance = np.array([3 * each.v_seed for each in lent])
    df = np.array([each.df for each in lent])
    np.testing.assert_allclose(found["sd_seed"], np.sqrt(variance), rtol=1e-6, atol=1e-12)
    at_hand = [nct_power(found["detectable"][n], lent[n].se, df[n]) for n in range(6)]
    np.testing.assert_allclose(at_hand, 0.8, rtol=0, atol=0.002)


def test_a_smaller_margin_never_needs_fewer_seeds():
    pairs = [paired(scattered(0.0, sd, 4), task=str(sd)) for sd in (0.005, 0.01, 0.02)]
    needed = [planned(pairs, margin)["seeds_to_detect"].fillna(np.inf) for margin in (0.01, 0.02, 0.04)]
    assert (needed[0] >= needed[1]).all() and (needed[1] >= needed[2]).all()


def test_pixel_units_same_models_and_no_scatter_are_named():
    pairs = [
        paired(scattered(0.0, 2.0, 3), task="px", unit="px"),
        paired([0.0, 0.0], task="same", same=True),
        paired([0.01, 0.01], task="flat"),
    ]
    found = planned(pairs)
    assert list(found["limit"]) == [NO_MARGIN, SAME_MODEL, "no scatter to plan from"]
    assert found["seeds_to_detect"].isna().all()
    assert plan_sentence(found).endswith("for 2 nothing can be said.")


def runs_table(rows: list[tuple[str, str, float, int, float]]) -> StudyTables:
    runs = pd.DataFrame(rows, columns=["run", "aggregation", "fraction", "seed", "seconds"]).assign(start="")
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


def test_a_seed_of_a_second_stage_costs_its_first_one_too():
    study = runs_table(
        [("au0", "AU", 1.0, 0, 7200.0), ("a0", "TS", 1.0, 0, 1800.0), ("later0", "AU>TS", 1.0, 0, 3600.0)]
    )
    assert study.runs is not None
    study.runs.loc[2, "start"] = "au0"
    assert hours_per_seed(study, Contrast("AU>TS", "TS"), 1.0) == pytest.approx(3.5, rel=1e-9, abs=0)


def test_nothing_to_plan_is_an_empty_frame_and_no_words():
    found = planned([])
    assert found.empty and plan_sentence(found) == ""
