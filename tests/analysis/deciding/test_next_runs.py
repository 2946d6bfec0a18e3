"""The next runs: chances agree with simulation, shared runs are counted once, and hours are kept to."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from aggregation_lab.errors import ResultsError
from analysis.contrasts import Contrast
from analysis.deciding.next_runs import all_runs, next_steps
from analysis.deciding.open_verdicts import MOST_ADDED, OpenVerdict, chances_of, open_verdicts
from analysis.deciding.units import Unit, trained_units
from analysis.questions.families import moderated
from analysis.settings import Settings
from analysis.statistics.verdicts import NextLevels
from tests.analysis.questions.test_power import paired, scattered
from tests.fake_groups import group_tables

AU_TS, CG_TS = Contrast("AU", "TS"), Contrast("CG", "TS")


def unit(name: str, *tasks: str, hours: float = 1.0, seeds: int = 3, start: Unit | None = None) -> Unit:
    aggregation = name.partition("/")[0]
    return Unit((name,), frozenset([aggregation]), frozenset(tasks), 1.0, hours, frozenset(range(seeds)), start)


def undecided(contrast: Contrast, task: str, *chances: float, seeds: int = 3) -> OpenVerdict:
    """A verdict that one more seed decides with the first chance, and so on."""
    rest = [chances[-1]] * (MOST_ADDED - len(chances))
    return OpenVerdict(contrast, 1.0, task, frozenset(range(seeds)), np.array([0.0, *chances, *rest]))


ALONE = {task: unit(f"TS/{task}", task, hours=1.0) for task in "abc"}
AU = unit("AU/all", "a", "b", "c", hours=6.0)
CG = unit("CG/ab", "a", "b", hours=2.0)


def test_a_chance_is_what_simulation_gives():
    """Ten seeds with a known mean and scatter; the true gain is drawn from what they leave open."""
    seeds, sd, value, margin, level = 10, 0.02, 0.012, 0.02, 0.05
    pair = paired(scattered(value, sd, seeds))
    pair = replace(pair, margin=margin)
    estimate = pair.estimate()
    found = chances_of(pair, estimate, NextLevels(level, level))
    random, count = np.random.default_rng(0), 40_000
    spread = sd * np.sqrt((seeds - 1) / random.chisquare(seeds - 1, count))
    true = value + spread / np.sqrt(seeds) * random.normal(size=count)
    for added in (5, 20):
        new = true + spread / np.sqrt(added) * random.normal(size=count)
        total = seeds + added
        mean = (seeds * value + added * new) / total
        squares = (seeds - 1) * sd**2 + spread**2 * random.chisquare(added - 1, count)
        squares += seeds * added / total * (new - value) ** 2
        reach = stats.t.isf(level / 2, total - 1) * np.sqrt(squares / (total - 1) / total)
        expected = ((np.abs(mean) > reach) | (mean - reach > -margin)).mean()
        assert found[added] == pytest.approx(expected, abs=0.03)


def test_nothing_added_decides_nothing_and_a_chance_is_one_at_most():
    pairs = [paired(scattered(mean, 0.02, 4), task=f"t{k}") for k, mean in enumerate((0.0, 0.01, -0.03))]
    for pair, estimate in zip(pairs, moderated(pairs), strict=True):
        found = chances_of(pair, estimate, NextLevels(0.01, 0.02))
        assert len(found) == MOST_ADDED + 1 and found[0] == 0 and found.min() >= 0 and found.max() <= 1


def test_the_verdicts_that_cost_least_come_first():
    """CG with a costs 3 hours a seed, AU with all 9: the chances say otherwise only where AU decides far more."""
    verdicts = [undecided(CG_TS, "a", 0.5), *(undecided(AU_TS, task, 0.2) for task in "abc")]
    steps = next_steps([*ALONE.values(), CG, AU], verdicts, range(3), hours=12)
    assert [step.contrast for step in steps] == [CG_TS, AU_TS]
    first, second = steps
    assert (
        first.units == [("CG/ab", (3,)), ("TS/a", (3,))]
        and first.hours == 3
        and first.decided == pytest.approx(0.5, abs=1e-9)
    )
    assert dict(second.units) == {"AU/all": (3,), "TS/b": (3,), "TS/c": (3,)}, "the seed of TS/a is there by then"


def test_runs_that_two_contrasts_share_are_paid_once_and_count_for_both():
    verdicts = [undecided(AU_TS, "a", 0.3), undecided(Contrast("AU", "CG"), "a", 0.3)]
    (step, *_) = next_steps([ALONE["a"], CG, AU], verdicts, range(3))
    runs = all_runs([step])
    assert sum(unit.hours * len(seeds) for unit, seeds in runs.items()) == step.hours
    total = next_steps([ALONE["a"], CG, AU], verdicts, range(3), hours=9)
    assert sum(part.hours for part in total) == 9 and sum(part.decided for part in total) == pytest.approx(
        0.6, abs=1e-9
    )


def test_tasks_that_are_not_worth_their_seed_are_left_out():
    verdicts = [undecided(AU_TS, "a", 0.6), undecided(AU_TS, "b", 0.5), undecided(AU_TS, "c", 0.01)]
    (step,) = next_steps([*ALONE.values(), AU], verdicts, range(3), hours=8)
    assert {name for name, _ in step.units} == {"AU/all", "TS/a", "TS/b"}


def test_seeds_that_one_side_lacks_are_filled_first():
    behind = unit("TS/a", "a", seeds=2)
    (step,) = next_steps([behind, AU], [undecided(AU_TS, "a", 0.4, seeds=2)], range(3), hours=1)
    assert step.units == [("TS/a", (2,))] and step.hours == 1


def test_a_second_stage_brings_its_start():
    later = unit("AU>TS/a", "a", start=AU)
    (step,) = next_steps([ALONE["a"], AU, later], [undecided(Contrast("AU>TS", "TS"), "a", 0.9)], range(3), hours=8)
    assert dict(step.units) == {"AU>TS/a": (3,), "AU/all": (3,), "TS/a": (3,)} and step.hours == 8


def test_hours_are_kept_to_and_small_hopes_are_not_named():
    verdicts = [undecided(AU_TS, "a", 0.5)]
    assert next_steps([ALONE["a"], AU], verdicts, range(3), hours=6.9) == []
    assert next_steps([ALONE["a"], AU], [undecided(AU_TS, "a", 0.01)], range(3)) == []


def test_a_study_gives_units_with_hours_and_verdicts_with_chances():
    study = group_tables()
    units = trained_units(study)
    assert {len(unit.seeds) for unit in units} == {3}
    (joint,) = [unit for unit in units if len(unit.tasks) == 6]
    assert joint.names == ("AU/unit0",) and joint.hours == pytest.approx(6 / 60, abs=1e-9)
    found = open_verdicts(study, Settings())
    assert 0 < found.undecided < found.verdicts and len(found.planned) == found.undecided
    assert {verdict.seeds for verdict in found.planned} <= {frozenset(range(3))}


def test_names_of_tasks_may_hold_the_sign_that_joins_them():
    plain = group_tables()
    first, second = sorted(set(plain.scores["task"]))[:2]
    awkward = {first: f"{second}+x", second: f"{first}+{second}"}
    ledger = plain.runs["tasks"].replace(
        awkward
    )  # TS alone: joint units keep the old spelling, which counts for nothing
    study = replace(
        plain,
        scores=plain.scores.assign(task=plain.scores["task"].replace(awkward)),
        runs=plain.runs.assign(tasks=ledger),
    )
    for before, after in zip(trained_units(plain), trained_units(study), strict=True):
        assert after.tasks == {awkward.get(task, task) for task in before.tasks} and after.names == before.names


def test_without_a_ledger_nothing_is_planned():
    with pytest.raises(ResultsError, match="has no table of runs, so what another run takes is not known"):
        trained_units(replace(group_tables(), runs=None))
