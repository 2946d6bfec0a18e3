"""When replicates stop: by the verdicts at the looks, by what is left to hope for, and by nothing seen later."""

from dataclasses import replace

import numpy as np
import pytest

from aggregation_lab.errors import StudyError
from analysis.contrasts import Contrast
from analysis.deciding.plan import planned_looks
from analysis.deciding.stopping import NO_PROSPECT, comparisons
from analysis.gains import PairedGain
from analysis.pairing import pair
from analysis.questions.families import family
from analysis.settings import Settings
from analysis.statistics.looks import Looks
from analysis.statistics.replicates import FoldsTested
from analysis.validation.looks import count_looks, scenarios
from analysis.validation.scenario import CONTRAST, MARGIN
from analysis.validation.simulate import simulate
from tests.analysis.questions.test_power import case_draws, paired, scattered

AU_TS = Contrast("AU", "TS")


def at(pairs: list[PairedGain], looks: Looks) -> dict[str, str]:
    """Why each is closed, by task."""
    known = [replace(pair, looks=looks, margin=MARGIN).at_look(looks.made[-1]) for pair in pairs]
    return {each.task: each.closed for each in comparisons({(AU_TS, 1.0): known}, looks, Settings())}


def made(looks: Looks, number: int) -> Looks:
    return replace(looks, made=looks.planned[:number])


def test_the_plan_is_a_function_of_the_seeds_alone():
    assert planned_looks(tuple(range(12))).planned == (5, 7, 9, 11, 12)
    assert planned_looks(tuple(range(10))).planned == (4, 6, 7, 9, 10)
    assert planned_looks((3, 5, 7)).planned == (2, 3) and planned_looks((3, 5, 7)).at(2) == {3, 5}
    assert planned_looks(tuple(range(5))).planned == (2, 3, 4, 5)
    with pytest.raises(StudyError, match="seeds: 2 are planned; --until-decided takes 3 or more"):
        planned_looks((0, 1))


def test_what_is_clear_stops_and_what_is_not_goes_on():
    looks = made(planned_looks(tuple(range(10))), 2)
    gains = {"gains": (0.15, 0.01), "loses": (-0.15, 0.01), "alike": (0.0, 0.004), "unclear": (0.02, 0.04)}
    found = at([paired(scattered(*gain, 10), task=task) for task, gain in gains.items()], looks)
    assert found == {"gains": "benefit", "loses": "harm", "alike": "no meaningful loss", "unclear": ""}


def test_what_test_cases_keep_open_has_no_prospect_until_nothing_is_left():
    """A standard error of 0.05 by the cases: no number of seeds tells 0.01 from 0 or from -0.02."""
    noisy = paired(scattered(0.01, 0.01, 10), case_draws(0.05, 10, 50), 50, task="noisy")
    looks = planned_looks(tuple(range(10)))
    assert at([noisy], made(looks, 1)) == {"noisy": NO_PROSPECT}
    assert at([noisy], made(looks, 5)) == {"noisy": ""}, "all seeds are trained: it is undecided, and not stopped"


def test_one_pair_decides_nothing_and_goes_on():
    alone = paired([0.3], task="alone")
    assert at([alone], made(planned_looks(tuple(range(10))), 1)) == {"alone": ""}


def test_what_comes_after_the_last_look_takes_no_part():
    design = scenarios()[0].design
    looks = made(planned_looks(tuple(range(design.seeds))), 2)
    for scores in simulate(design, 0).scores(20, 0)[:3]:
        later = pair(replace(scores, looks=looks), CONTRAST, 1.0)
        kept = scores.arms["seed"].isin(looks.seen).to_numpy()
        before = replace(
            scores,
            arms=scores.arms[kept].reset_index(drop=True),
            values=scores.values[kept],
            draws=scores.draws[:, kept],
            looks=looks,
        )
        only = pair(before, CONTRAST, 1.0)
        assert later.seeds == only.seeds and len(later.seeds) == looks.made[-1] < design.seeds
        np.testing.assert_array_equal(later.by_seed, only.by_seed)
        np.testing.assert_array_equal(later.draws, only.draws)


def test_a_look_sees_what_there_was_then():
    """What a second look says of the first is what the first one said."""
    looks = planned_looks(tuple(range(10)))
    random = np.random.default_rng(3)
    pairs = [paired(random.normal(0.02, 0.03, 10), task=f"t{k}") for k in range(4)]
    seen = [
        family([[replace(pair, looks=made(looks, number)).at_look(looks.planned[number - 1]) for pair in pairs]]).looked
        for number in (1, 2)
    ]
    np.testing.assert_array_equal(seen[0].gain[0], seen[1].gain[0])
    np.testing.assert_allclose(seen[0].se[0], seen[1].se[0], rtol=1e-12, atol=0)
    assert seen[1].replicates.tolist() == [[4.0] * 4, [6.0] * 4]


def test_a_task_without_new_pairs_is_not_looked_at_again():
    looks = made(planned_looks(tuple(range(10))), 3)
    stopped = replace(paired(scattered(0.1, 0.02, 10), task="a"), looks=looks).at_look(4)
    running = replace(paired(scattered(0.1, 0.02, 10), task="b"), looks=looks).at_look(7)
    looked = family([[stopped, running]]).looked
    assert np.isfinite(looked.gain[:, 0]).tolist() == [True, False, False]
    assert looked.replicates[:, 1].tolist() == [4.0, 6.0, 7.0]


def test_folds_are_counted_as_they_are_tested():
    folds = FoldsTested(5, {seed: seed % 5 for seed in range(5)}, dict.fromkeys(range(5), 30))
    draws = np.random.default_rng(0).normal(0.05, 0.01, (50, 5))
    whole = replace(paired(scattered(0.05, 0.02, 5), draws, 150), folds=folds, looks=planned_looks(tuple(range(5))))
    assert whole.at_look(3).subjects == 90 and whole.at_look(5) is whole
    assert whole.at_look(3).replicates.names == (0, 1, 2)


def test_a_simulated_study_stops_early_and_keeps_its_power():
    """One study of each kind; docs/deciding.md has what many of them give."""
    by_name = {scenario.name: scenario for scenario in scenarios()}
    figures = count_looks(simulate(by_name["looks: effects as planned, 12 seeds"].design, 3), 3)
    assert figures["share_of_runs"] < 0.9 and figures["right"] > 0.5 and figures["false"] <= 0.2
    assert 0 < figures["share_of_cost"] <= 1
