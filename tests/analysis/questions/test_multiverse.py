"""Verdicts under other choices: each analysis is what judging it alone would give, and none counts twice."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from aggregation_lab.manifest import Manifest
from aggregation_lab.metrics import task_scores as metric_scores
from aggregation_lab.tasks import METRICS, TaskType
from analysis.context import prepare
from analysis.contrasts import Contrast
from analysis.frames import FRAMES, frame
from analysis.pairing import pair_all
from analysis.questions.families import moderated
from analysis.questions.multiverse import CHOICES, COUNTED, LEFT_OUT, multiverse
from analysis.questions.task_gains import task_gains
from analysis.settings import Settings
from analysis.statistics.verdicts import VERDICTS, judge
from analysis.study import StudyTables, resample, task_scores
from tests.fake_analysis import some_columns
from tests.fake_folds import folded

SETTINGS = Settings(draws=60)
SHIFTS = {"TS": 0.0, "CG": 0.02, "AU": 0.1}
TYPES = [TaskType.SEGMENTATION, TaskType.CLASSIFICATION, TaskType.DETECTION, TaskType.REGRESSION]


def quantities(kind: TaskType, shift: float, random: np.random.Generator, cases: int, empty: bool) -> pd.DataFrame:
    """Rows case, quantity, index, value of one model: the higher `shift`, the better."""
    if kind is TaskType.SEGMENTATION:
        present = np.arange(cases) % 4 != 0 if empty else np.ones(cases, bool)
        dice = np.where(present, np.clip(random.normal(0.6 + shift, 0.1, cases), 0, 1), random.integers(0, 2, cases))
        hd = np.clip(random.normal(40 - 80 * shift, 8, cases), 1, None)
        columns = {("dice", 1): dice, ("hd", 1): hd, ("present", 1): present, ("missed", 1): np.zeros(cases)}
    elif kind is TaskType.CLASSIFICATION:
        label = np.arange(cases) % 2
        second = np.clip(random.normal(0.4 + (0.2 + shift) * label, 0.25), 0.01, 0.99)
        columns = {("probability", 0): 1 - second, ("probability", 1): second, ("label", 0): label}
    elif kind is TaskType.DETECTION:
        columns = {("iou", 0): np.clip(random.normal(0.5 + shift, 0.15, cases), 0, 1)}
    else:
        error = np.clip(random.normal(20 - 100 * shift, 4, cases), 0.5, None)
        columns = {("point_error", 0): error, ("diagonal", 0): np.full(cases, 200.0)}
    parts = [
        pd.DataFrame({"case": [f"c{n}" for n in range(cases)], "quantity": name, "index": index, "value": values})
        for (name, index), values in columns.items()
    ]
    return pd.concat(parts).astype({"value": float})


def study(
    tasks: int = 8, seeds: int = 3, cases: int = 40, empty: bool = True, aggregations: tuple[str, ...] = ("TS", "AU")
) -> StudyTables:
    """A study of all four types with tables as a grid of runs leaves them."""
    random = np.random.default_rng(0)
    scores, rows = [], []
    for number in range(tasks):
        kind = TYPES[number % 4]
        for name in aggregations:
            for seed in range(seeds):
                labels = {"task": f"t{number}", "type": str(kind), "group": f"g{number % 3}", "aggregation": name}
                labels |= {"run": f"{name}-{number if name == 'TS' else 'all'}-{seed}", "fraction": 1.0, "seed": seed}
                shift = SHIFTS[name] + random.normal(0, 0.01)
                own = quantities(kind, shift, random, cases, empty)
                own["subject"] = own["case"]
                rows.append(own.assign(**labels, split="test"))
                scores += [
                    labels
                    | {"metric": each.metric, "value": each.value, "direction": METRICS[each.metric].direction}
                    | {"n_train": 100 * (number + 1), "n_cases": cases, "split": "test"}
                    for each in metric_scores(kind, own)
                ]
    return StudyTables(Manifest("choices"), pd.DataFrame(scores), pd.concat(rows, ignore_index=True))


@pytest.fixture(scope="module")
def tables() -> StudyTables:
    return study()


@pytest.fixture(scope="module")
def long(tables: StudyTables) -> pd.DataFrame:
    return multiverse(tables, resample(tables, SETTINGS.draws, 0), frame("gains", []), SETTINGS)[1]


def test_every_reasonable_choice_is_there_once(long: pd.DataFrame):
    keys = ["contrast", "task", "metric", "empty_masks", "scale", "margin_factor", "correction"]
    assert list(long.columns) == list(CHOICES)
    assert not long.duplicated(keys).any()
    # metrics and rules: absolute + relative, each with 3 margins and 3 corrections
    expected = {"segmentation": 2 + 4, "classification": 4 + 4, "detection": 1 + 1, "regression": 1 + 2}
    counts = long.groupby(["type", "task"]).size().groupby("type").unique()
    assert {name: list(values) for name, values in counts.items()} == {
        name: [9 * count] for name, count in expected.items()
    }
    pixels = long[long["metric"].isin(["HD", "MRE"])]
    assert set(pixels["scale"]) == {"relative"}


def test_an_analysis_is_what_judging_it_alone_gives(tables: StudyTables, long: pd.DataFrame):
    """Relative gains of the unit-free score, half the margin, Holm."""
    pairs = pair_all(task_scores(tables, resample(tables, SETTINGS.draws, 0)), Contrast("AU", "TS"), 1.0, "relative")
    found = moderated(pairs)
    margins = [0.5 * 0.02 / each.base_scores.mean() for each in pairs]
    columns = (np.array([getattr(each, name) for each in found]) for name in ("value", "se", "df"))
    expected = judge(*columns, np.array(margins), correction="Holm").assign(task=[each.task for each in pairs])
    rows = long[(long["scale"] == "relative") & (long["correction"] == "Holm") & (long["margin_factor"] == 0.5)]
    rows = rows[(rows["metric"] == "score") & (rows["empty_masks"] == COUNTED)].sort_values("task")
    assert list(rows["verdict"]) == list(expected["verdict"])
    np.testing.assert_allclose(rows["low_adjusted"], expected["low_adjusted"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(rows["margin"], margins, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("tested", [partial(study, tasks=4, cases=20), folded], ids=["one split", "rotating folds"])
def test_the_choice_of_the_study_gives_the_verdicts_of_the_frame_gains(tested: Callable[[], StudyTables]):
    context = prepare(tested(), SETTINGS)
    gains = task_gains(context.study, context.resampled, context.pairs, context.settings)
    _, every = multiverse(context.study, context.resampled, gains, context.settings)
    main = (every["metric"] == "score") & (every["empty_masks"] == COUNTED) & (every["scale"] == "absolute")
    rows = every[main & (every["margin_factor"] == 1.0) & (every["correction"] == "BH")].set_index(["contrast", "task"])
    wanted = gains[gains["fraction"] == 1.0].set_index(["contrast", "task"]).loc[rows.index]
    assert len(rows) == len(wanted) and set(wanted["verdict"]) - {"undecided"}
    assert list(rows["verdict"]) == list(wanted["verdict"])
    np.testing.assert_allclose(rows["low_adjusted"], wanted["low_adjusted"], rtol=1e-4, atol=1e-6)


def test_another_metric_is_changed_for_its_type_alone(tables: StudyTables, long: pd.DataFrame):
    resampled = resample(tables, SETTINGS.draws, 0)
    contrast = Contrast("AU", "TS")
    family = {each.task: each for each in pair_all(task_scores(tables, resampled), contrast, 1.0)}
    family |= {each.task: each for each in pair_all(task_scores(tables, resampled, "MCC"), contrast, 1.0)}
    pairs = list(family.values())
    found = moderated(pairs)
    columns = (np.array([getattr(each, name) for each in found]) for name in ("value", "se", "df"))
    expected = judge(*columns, np.full(len(pairs), 0.02)).assign(task=list(family)).set_index("task")
    rows = long[(long["metric"] == "MCC") & (long["scale"] == "absolute") & (long["correction"] == "BH")]
    rows = rows[rows["margin_factor"] == 1.0].set_index("task")
    assert set(rows["type"]) == {"classification"}
    np.testing.assert_allclose(rows["p_adjusted"], expected.loc[rows.index, "p_adjusted"], rtol=1e-4, atol=1e-6)


def test_leaving_out_empty_masks_gives_the_gain_of_the_other_images(tables: StudyTables, long: pd.DataFrame):
    rows = tables.cases[(tables.cases["task"] == "t0")].pivot_table(
        index=["aggregation", "seed", "case"], columns="quantity", values="value"
    )
    dice = rows[rows["present"] == 1].groupby("aggregation")["dice"].mean()
    without = long[(long["task"] == "t0") & (long["empty_masks"] == LEFT_OUT) & (long["metric"] == "score")]
    absolute = without[without["scale"] == "absolute"]
    np.testing.assert_allclose(absolute["gain"], dice["AU"] - dice["TS"], rtol=1e-4, atol=1e-6)


def test_a_rule_that_changes_nothing_is_not_counted():
    tables = study(tasks=4, empty=False)
    _, long = multiverse(tables, resample(tables, 20, 0), frame("gains", []), SETTINGS)
    assert set(long["empty_masks"]) == {COUNTED}


def test_a_lower_pixel_error_is_a_gain_and_its_margin_is_relative(long: pd.DataFrame):
    for metric in ("HD", "MRE"):
        rows = long[(long["metric"] == metric) & (long["margin_factor"] == 1.0)]
        assert (rows["gain"] > 0.1).all()
        assert (rows["margin"] == 0.02).all()


def test_shares_add_up_and_follow_the_verdict_of_the_study(tables: StudyTables):
    resampled = resample(tables, SETTINGS.draws, 0)
    sure = Contrast("AU", "TS").columns | {"fraction": 1.0}
    chosen = some_columns("gains", [sure | {"task": f"t{n}", "verdict": VERDICTS[n % 4]} for n in range(7)])
    found, long = multiverse(tables, resampled, chosen, SETTINGS)
    assert list(found.columns) == list(FRAMES["multiverse"])
    np.testing.assert_allclose(found[list(VERDICTS)].sum(axis=1), 1.0, rtol=1e-9, atol=0)
    for row in found.to_dict("records"):
        own = long[long["task"] == row["task"]]
        assert row["choices"] == len(own)
        if row["task"] == "t7":
            assert row["verdict"] == "" and np.isnan(row["share"])
        else:
            assert row["share"] == pytest.approx((own["verdict"] == row["verdict"]).mean(), rel=1e-9, abs=1e-12)


def test_twice_the_margin_excludes_a_loss_wherever_half_of_it_does(long: pd.DataFrame):
    keys = ["task", "metric", "empty_masks", "scale", "correction"]
    wide = long.pivot(index=keys, columns="margin_factor", values="verdict")
    small, large = (wide[factor].isin(["no meaningful loss", "benefit"]) for factor in (0.5, 2.0))
    assert (large | ~small).all() and large.sum() > 0


def test_without_cases_metrics_come_from_the_scores(tables: StudyTables):
    found, long = multiverse(replace(tables, cases=None), None, frame("gains", []), SETTINGS)
    assert set(long["empty_masks"]) == {COUNTED} and set(long["metric"]) >= {"score", "F1_macro", "HD", "MRE"}
    scores = tables.scores[(tables.scores["task"] == "t1") & (tables.scores["metric"] == "F1_macro")]
    means = scores.groupby("aggregation")["value"].mean()
    gain = long.loc[(long["task"] == "t1") & (long["metric"] == "F1_macro") & (long["scale"] == "absolute"), "gain"]
    np.testing.assert_allclose(gain, means["AU"] - means["TS"], rtol=1e-6, atol=1e-9)
    assert len(found) == 8


def test_one_seed_without_cases_decides_nothing():
    tables = study(tasks=2, seeds=1)
    found, long = multiverse(replace(tables, cases=None), None, frame("gains", []), SETTINGS)
    assert (found["undecided"] == 1.0).all() and len(long) > 0


def test_the_same_model_on_both_sides_is_left_out(tables: StudyTables):
    own = tables.scores["task"].isin(["t0", "t1"])
    same = tables.scores.assign(run=tables.scores["run"].where(~own, "shared"))
    found, _ = multiverse(replace(tables, scores=same, cases=None), None, frame("gains", []), SETTINGS)
    assert set(found["task"]) == {f"t{number}" for number in range(2, 8)}


def test_a_metric_that_is_undefined_is_no_analysis(tables: StudyTables):
    scores = tables.scores.copy()
    scores.loc[(scores["task"] == "t1") & (scores["metric"] == "MCC"), "value"] = np.nan
    _, long = multiverse(replace(tables, scores=scores, cases=None), None, frame("gains", []), SETTINGS)
    assert set(long.loc[long["task"] == "t1", "metric"]) == {"score", "F1_macro", "accuracy"}
    assert "MCC" in set(long.loc[long["task"] == "t5", "metric"])


def test_pixel_errors_without_a_unit_free_score_have_no_absolute_margin(tables: StudyTables):
    bare = tables.scores[tables.scores["metric"] != "score"]
    _, long = multiverse(replace(tables, scores=bare, cases=None), None, frame("gains", []), SETTINGS)
    regression = long[long["type"] == "regression"]
    assert regression.loc[regression["scale"] == "absolute", "margin"].isna().all()
    assert len(regression) == 2 * 2 * 9  # two tasks; MRE is the score itself and counts once per scale
