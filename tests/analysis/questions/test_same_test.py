"""One comparison under two contrasts: one estimate, one verdict, one test of its family."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from aggregation_lab.aggregation import FOUND
from analysis.arms.comparisons import Arms, changes, effects, gains_within
from analysis.arms.verdicts import arm_changes, arm_gains
from analysis.context import prepare
from analysis.contrasts import contrasts
from analysis.deciding.open_verdicts import open_verdicts
from analysis.deciding.plan import planned_looks
from analysis.gains import PairedGain, TaskScores
from analysis.pairing import compare
from analysis.pipeline import power
from analysis.questions.caveats.pairs import of_repeated_tests
from analysis.questions.families import Compared, family, judge_family
from analysis.questions.task_gains import task_gains
from analysis.report.statistics import families
from analysis.settings import Settings
from analysis.shared_runs import without_copies
from analysis.statistics.verdicts import BENEFIT, HARM
from tests.fake_groups import group_tables

SEEDS = range(5)
SHARED = {"alone": {"CG": "TS"}}
"""Models of a task that are those of another aggregation: its clinical group has no other task."""


def scored(name: str, gains: dict[str, float], shared: dict[str, str], sd: float = 0.01) -> TaskScores:
    """One task of which each aggregation gains so much over TS; those of `shared` are runs of another one."""
    random, own = np.random.default_rng([3, *name.encode()]), {}
    for side in ("TS", *gains):
        values = 0.7 + gains.get(side, 0.0) + random.normal(0, sd, len(SEEDS))
        own[side] = own[shared[side]] if side in shared else [(f"{side}-{name}/{s}", values[s]) for s in SEEDS]
    rows = [(side, 1.0, seed, *own[side][seed]) for side in own for seed in SEEDS]
    arms = pd.DataFrame(rows, columns=["aggregation", "fraction", "seed", "run", "value"]).assign(n_train=100.0)
    return TaskScores(
        name, "segmentation", "one", "1", arms.drop(columns="value"), arms["value"].to_numpy(), margin=0.02
    )


def compared(shared: dict[str, dict[str, str]] = SHARED, gain: float = 0.05) -> Compared:
    """Four tasks under all contrasts; CG scatters ten times as much as the others where it has models of its own."""
    gains = {"CG": 0.1, FOUND: 0.03, "AU": gain}
    tasks = [scored(name, gains, shared.get(name, {}), sd) for name, sd in zip("abc", (0.01, 0.1, 0.1), strict=True)]
    return compare([*tasks, scored("alone", gains, shared.get("alone", {}))], contrasts(["TS", *gains]), [1.0])


def rows_of(pairs: Compared, task: str = "alone") -> pd.DataFrame:
    """The verdicts of one task by contrast."""
    judged = judge_family(pairs, Settings())
    about = pd.DataFrame({"contrast": [key[0].name for key in judged.keys], "repeats": judged.repeats})
    limits = pd.DataFrame(judged.members.intervals(), columns=["low", "high"])
    rows = about.join(limits).join(judged.judged)
    return rows[[pair.task == task for pair in judged.members.pairs]].set_index("contrast")


READ = ["low", "high", "p", "p_adjusted", "low_adjusted", "high_adjusted", "p_loss", "p_loss_adjusted", "verdict"]


def test_the_same_runs_under_two_contrasts_read_the_same():
    rows = rows_of(compared())
    pd.testing.assert_series_equal(
        rows.loc["AU-CG", READ], rows.loc["AU-TS", READ], check_names=False, check_exact=True
    )
    assert rows["repeats"].to_dict() == {
        "CG-TS": "", f"{FOUND}-TS": "", "AU-TS": "", "AU-CG": "AU-TS", f"{FOUND}-AU": "", f"{FOUND}-CG": f"{FOUND}-TS"
    }  # fmt: skip


def test_one_comparison_counts_once_in_its_family():
    pairs = compared()
    judged = judge_family(pairs, Settings())
    once = judged.judged[[not name for name in judged.repeats]]
    assert len(judged.judged) == 24 and once["p"].notna().sum() == 24 - 1 - 2, "one same model, two tests twice"
    known = once[once["p"].notna()]
    np.testing.assert_allclose(known["p_adjusted"], stats.false_discovery_control(known["p"]), rtol=1e-12, atol=1e-15)
    # The levels at which the next one is decided count it once, too.
    rejected = int((known["p_adjusted"] <= 0.05).sum())
    assert judged.levels.difference == pytest.approx(0.05 * (rejected + 1) / len(known), rel=1e-12, abs=0)


@pytest.mark.parametrize(("gain", "one_way", "other_way"), [(0.08, BENEFIT, HARM), (-0.08, HARM, BENEFIT)])
def test_the_other_way_round_is_the_same_test_but_for_the_loss(gain: float, one_way: str, other_way: str):
    rows = rows_of(compared({"alone": {"CG": "TS", FOUND: "TS"}}, gain))
    first, turned = rows.loc["AU-TS"], rows.loc[f"{FOUND}-AU"]
    assert turned["repeats"] == "-AU-TS" and (first["verdict"], turned["verdict"]) == (one_way, other_way)
    assert turned[["p", "p_adjusted"]].tolist() == first[["p", "p_adjusted"]].tolist()
    for low, high in (("low", "high"), ("low_adjusted", "high_adjusted")):
        assert (turned[low], turned[high]) == (-first[high], -first[low])
    assert turned["p_loss"] != first["p_loss"], "a loss of the one side is none of the other"


def test_runs_without_names_and_gains_that_differ_are_different_tests():
    pairs = compared()
    names = np.full(len(SEEDS), "", object)
    unnamed = {
        key: [replace(pair, joint_runs=names, base_runs=names) for pair in of_key] for key, of_key in pairs.items()
    }
    assert set(rows_of(unnamed)["repeats"]) == {""}
    other = {
        key: [replace(pair, by_seed=pair.by_seed * 2) if key[0].name == "AU-CG" else pair for pair in of_key]
        for key, of_key in pairs.items()
    }
    assert rows_of(other).loc["AU-CG", "repeats"] == ""


def test_looks_show_one_comparison_once():
    looks = planned_looks(tuple(SEEDS))
    looks = replace(looks, made=looks.planned[:2])
    pairs = {
        key: [replace(pair, looks=looks).at_look(looks.made[-1]) for pair in of_key]
        for key, of_key in compared().items()
    }
    rows = rows_of(pairs)
    pd.testing.assert_series_equal(
        rows.loc["AU-CG", READ], rows.loc["AU-TS", READ], check_names=False, check_exact=True
    )
    looked = family(pairs.values()).looked
    assert looked is not None and len(looked.shares) == 2


ARMS = Arms({"plain": ("TS", "AU"), "wide": ("TS", "AU")})


def arm_scores(name: str, shared: bool) -> TaskScores:
    """A task under two arms, which may share the runs of TS, as one task has no gradients to aggregate."""
    gains = {"AU-plain": 0.01, "TS-wide": 0.0, "AU-wide": 0.04}
    task = scored(name, gains, {"TS-wide": "TS"} if shared else {})
    sides = task.arms["aggregation"].replace({"TS": "TS-plain"})
    return replace(task, arms=task.arms.assign(aggregation=sides))


def test_a_change_of_gain_that_is_the_effect_of_the_arm_is_one_test():
    scores = [arm_scores("shared", shared=True), arm_scores("other", shared=False)]
    within = gains_within(scores, ARMS, [1.0])
    rows = arm_changes(changes(within, ARMS) | effects(scores, ARMS, [1.0]), Settings())
    shared = rows[rows["task"] == "shared"].set_index("kind")
    change, effect = shared.loc["difference of gains"], shared[shared["contrast"] == "AU"].iloc[0]
    same = ["change", "low", "high", "p", "p_adjusted", "p_equivalent", "p_equivalent_adjusted", "verdict"]
    assert effect["repeats"] == "AU-TS, wide against plain" and change["repeats"] == ""
    pd.testing.assert_series_equal(effect[same], change[same], check_names=False, check_exact=True)
    assert set(arm_gains(within, Settings())["repeats"]) == {""}


# ---- a whole study ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study():
    """Groups of planted affinity, some of one task, with one score per run."""
    made = group_tables(aggregations=("CG", "AU"))
    return replace(
        made, scores=made.scores.assign(value=made.scores.groupby(["run", "task"])["value"].transform("first"))
    )


def test_every_frame_of_a_study_reads_it_once(study):
    settings = Settings()
    context = prepare(without_copies(study), settings)
    gains = task_gains(context.study, context.resampled, context.pairs, settings)
    context.frames["gains"] = gains
    twice = gains[gains["repeats"] != ""]
    assert len(twice) and not (twice["verdict"] == "same model").any()
    firsts = gains.set_index(["contrast", "task"])
    for row in twice.itertuples():
        first = firsts.loc[row.repeats.removeprefix("-"), row.task]
        assert (row.se, row.df, row.p_adjusted) == (first["se"], first["df"], first["p_adjusted"])
    tested = int(gains["p"].notna().sum())
    assert families(gains).startswith(f"the {tested - len(twice)} tests at full data")
    assert sum("one test there, counted once" in line for line in of_repeated_tests(study, gains)) == len(
        twice.groupby(["contrast", "repeats"])
    )
    assert open_verdicts(study, settings).verdicts == int((gains["verdict"] != "same model").sum()) - len(twice)
    planned = {key[0].name: power(context, *key)[0].set_index("task") for key in context.pairs}
    for row in twice.itertuples():
        before = planned[row.repeats.removeprefix("-")].loc[row.task]
        assert planned[row.contrast].loc[row.task, "detectable"] == pytest.approx(
            before["detectable"], rel=1e-12, abs=0
        )


def test_a_pair_is_known_by_its_seeds_too():
    pairs = compared()
    fewer: dict = {}
    for key, of_key in pairs.items():
        kept = [pair if key[0].name != "AU-CG" else _without_a_seed(pair) for pair in of_key]
        fewer[key] = kept
    assert rows_of(fewer).loc["AU-CG", "repeats"] == "", "it rests on other pairs"


def _without_a_seed(pair: PairedGain) -> PairedGain:
    kept = slice(0, len(pair.seeds) - 1)
    fields = ("joint_scores", "base_scores", "joint_runs", "base_runs", "by_seed", "seeds")
    return replace(pair, **{name: getattr(pair, name)[kept] for name in fields})
