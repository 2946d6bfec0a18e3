"""Metrics under case weights equal the metrics of `aggregation_lab.metrics` on cases repeated as often."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation_lab.errors import ResultsError
from aggregation_lab.manifest import Manifest
from aggregation_lab.metrics import task_scores
from aggregation_lab.tasks import TaskType
from aggregation_lab.tasks.weighted_mean import weighted_mean
from analysis.questions.left_out import excluded
from analysis.statistics.resampling import case_arrays, draw_weights, folded_cases
from analysis.statistics.weighted_metrics import VALUE, later_metrics, weighted_scores
from analysis.study import Resampled, StudyTables

MODELS = 2
KINDS = [
    (TaskType.SEGMENTATION, 2),
    (TaskType.SEGMENTATION, 4),
    (TaskType.CLASSIFICATION, 2),
    (TaskType.CLASSIFICATION, 4),
    (TaskType.DETECTION, 1),
    (TaskType.REGRESSION, 3),
]


def random_quantities(kind: TaskType, classes: int, cases: int, seed: int) -> dict[str, np.ndarray]:
    """Quantities of two models, A x N x K; probabilities come in tenths, so that many tie."""
    random = np.random.default_rng(seed)

    def for_all_models(values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values, (MODELS, *values.shape)).astype(float)

    if kind is TaskType.SEGMENTATION:
        shape = (MODELS, cases, classes - 1)
        present = for_all_models(random.random((cases, classes - 1)) < 0.7)
        found = random.random(shape) < 0.8
        dice = np.where(present == 1, random.random(shape) * found, ~found)
        hd = np.where((present == 1) | found, random.uniform(1, 400, shape), 0.0)
        return {"dice": dice, "hd": hd, "present": present, "missed": present * ~found}
    if kind is TaskType.CLASSIFICATION:
        cuts = np.sort(random.integers(0, 11, (MODELS, cases, classes - 1)), axis=2) / 10
        edges = np.concatenate([np.zeros((MODELS, cases, 1)), cuts, np.ones((MODELS, cases, 1))], axis=2)
        return {
            "probability": np.diff(edges, axis=2),
            "label": for_all_models(random.integers(0, classes, (cases, 1))),
        }
    if kind is TaskType.DETECTION:
        return {"iou": random.random((MODELS, cases, 1)) * random.integers(0, 2, (MODELS, cases, 1))}
    return {
        "point_error": random.exponential(30, (MODELS, cases, classes)),
        "diagonal": for_all_models(random.uniform(60, 900, (cases, 1))),
    }


def as_table(kind: TaskType, quantities: dict[str, np.ndarray], model: int, times: np.ndarray) -> pd.DataFrame:
    """Rows of the table `cases` of one model, case n repeated times[n] times under ids of its own."""
    drawn = np.repeat(np.arange(len(times)), times)
    first = 1 if kind is TaskType.SEGMENTATION else 0
    parts = [
        pd.DataFrame(
            {
                "case": np.arange(len(drawn)),
                "quantity": name,
                "index": index + first,
                "value": values[model, drawn, index],
            }
        )
        for name, values in quantities.items()
        for index in range(values.shape[2])
    ]
    return pd.concat(parts, ignore_index=True)


def rounding(quantities: dict[str, np.ndarray]) -> float:
    """What two ways to the same metric may differ by.

    Products run in single precision about each model's mean, so digits are lost in proportion to the largest value, and
    how many depends on the order in which a processor adds.
    """
    return 1e-5 + 2e-6 * max(float(values.max()) for values in quantities.values())


def expect_equal(
    kind: TaskType, quantities: dict[str, np.ndarray], weights: np.ndarray, found: dict[str, np.ndarray]
) -> None:
    near = rounding(quantities)
    for row, times in enumerate(weights):
        for model in range(MODELS):
            expected = {each.metric: each.value for each in task_scores(kind, as_table(kind, quantities, model, times))}
            assert list(found) == list(expected)
            for name, value in expected.items():
                assert found[name][row, model] == pytest.approx(value, rel=1e-5, abs=near, nan_ok=True), name


@pytest.mark.parametrize(("kind", "classes"), KINDS)
@given(cases=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=12, deadline=None)
def test_weights_of_one_change_nothing(kind, classes, cases, seed):
    quantities = random_quantities(kind, classes, cases, seed)
    weights = np.ones((1, cases), int)
    expect_equal(kind, quantities, weights, weighted_scores(kind, quantities, weights))


@pytest.mark.parametrize(("kind", "classes"), KINDS)
@given(cases=st.integers(2, 25), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_whole_weights_are_repeated_cases(kind, classes, cases, seed):
    quantities = random_quantities(kind, classes, cases, seed)
    weights = np.random.default_rng(seed + 1).poisson(1.0, (3, cases))
    weights = weights[weights.sum(1) > 0]
    expect_equal(kind, quantities, weights, weighted_scores(kind, quantities, weights))


@pytest.mark.parametrize(("kind", "classes"), KINDS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_order_of_cases_and_scale_of_weights_do_not_matter(kind, classes, seed):
    quantities = random_quantities(kind, classes, 30, seed)
    random = np.random.default_rng(seed)
    weights, order = random.poisson(1.0, (2, 30)), random.permutation(30)
    weights[:, 0] += 1
    found = weighted_scores(kind, quantities, weights)
    moved = weighted_scores(kind, {name: v[:, order] for name, v in quantities.items()}, 3 * weights[:, order])
    for name in found:
        factor = 3 if name == "missed" else 1
        np.testing.assert_allclose(moved[name], factor * found[name], rtol=1e-5, atol=rounding(quantities))


def test_a_resample_of_one_class_has_no_auc_and_no_mcc():
    probability = np.array([[[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]]])
    quantities = {"probability": probability, "label": np.array([[[0.0], [1.0], [1.0]]])}
    found = weighted_scores(TaskType.CLASSIFICATION, quantities, np.array([[1, 1, 1], [0, 2, 1], [3, 0, 0]]))
    for name in ("AUC", "MCC"):
        assert found[name][0, 0] == pytest.approx(1.0, rel=1e-6, abs=0)
    assert np.isnan(found["AUC"][1:]).all() and np.isnan(found["MCC"][1:]).all()
    assert np.isnan(found["score"][1:]).all()
    assert (found["accuracy"] == 1.0).all()


def test_a_class_without_a_case_is_left_out_of_the_mean_auc():
    probability = np.array([[[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8]]])
    quantities = {"probability": probability, "label": np.array([[[0.0], [1.0], [1.0], [2.0]]])}
    found = weighted_scores(TaskType.CLASSIFICATION, quantities, np.array([[2, 1, 1, 0], [1, 1, 1, 1]]))
    assert found["AUC"][0, 0] == pytest.approx((1.0 + 1.0) / 2, rel=1e-6, abs=0)
    assert found["AUC"][1, 0] == pytest.approx(1.0, rel=1e-6, abs=0)


def test_ties_count_one_half():
    probability = np.array([[[0.5, 0.5], [0.5, 0.5], [0.8, 0.2]]])
    quantities = {"probability": probability, "label": np.array([[[1.0], [0.0], [0.0]]])}
    found = weighted_scores(TaskType.CLASSIFICATION, quantities, np.array([[1, 1, 1], [1, 3, 1]]))
    np.testing.assert_allclose(found["AUC"][:, 0], [(0.5 + 1) / 2, (3 * 0.5 + 1) / 4], rtol=1e-6, atol=0)


@pytest.mark.parametrize("classes", [2, 4])
@given(cases=st.integers(4, 30), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_without_empty_images_only_those_with_the_structure_count(classes, cases, seed):
    quantities = random_quantities(TaskType.SEGMENTATION, classes, cases, seed)
    weights = np.random.default_rng(seed).poisson(1.0, (3, cases))
    found = weighted_scores(TaskType.SEGMENTATION, quantities, weights, count_empty=False)
    counted = weighted_scores(TaskType.SEGMENTATION, quantities, weights)
    present = quantities["present"][0] == 1
    for row, times in enumerate(weights):
        for metric, name in (("DSC", "dice"), ("HD", "hd")):
            for model in range(MODELS):
                drawn = [np.repeat(quantities[name][model, :, k], times * present[:, k]) for k in range(classes - 1)]
                expected = np.mean([part.mean() for part in drawn if len(part)]) if any(map(len, drawn)) else np.nan
                assert found[metric][row, model] == pytest.approx(
                    expected, rel=1e-5, abs=rounding(quantities), nan_ok=True
                )
    np.testing.assert_array_equal(found["missed"], counted["missed"])


def test_a_structure_that_no_image_shows_is_left_out_of_the_mean():
    quantities = {
        "dice": np.array([[[0.8, 1.0], [0.6, 1.0]]]),
        "hd": np.array([[[1.0, 0.0], [4.0, 0.0]]]),
        "present": np.array([[[1.0, 0.0], [1.0, 0.0]]]),
        "missed": np.zeros((1, 2, 2)),
    }
    found = weighted_scores(TaskType.SEGMENTATION, quantities, np.array([[1, 1], [2, 0], [0, 0]]), count_empty=False)
    np.testing.assert_allclose(found["DSC"][:, 0], [0.7, 0.8, np.nan], rtol=1e-6, atol=0)
    np.testing.assert_allclose(found["HD"][:, 0], [2.5, 1.0, np.nan], rtol=1e-6, atol=0)


def test_a_resample_without_a_case_has_no_score():
    for kind, classes in KINDS:
        found = weighted_scores(kind, random_quantities(kind, classes, 6, 0), np.zeros((1, 6), int))
        assert np.isnan(found["score"]).all(), kind


def test_small_weights_types_do_not_overflow():
    """Resamples come as single bytes: 300 cases drawn once each are 300, not 44."""
    values = {"iou": np.full((1, 300, 1), 0.25)}
    found = weighted_scores(TaskType.DETECTION, values, np.ones((1, 300), np.uint8))
    assert found["IoU"][0, 0] == pytest.approx(0.25, rel=1e-6, abs=0)


def test_large_test_sets_keep_their_digits():
    quantities = random_quantities(TaskType.CLASSIFICATION, 2, 20000, 3)
    weights = np.ones((1, 20000), int)
    expect_equal(TaskType.CLASSIFICATION, quantities, weights, weighted_scores("classification", quantities, weights))
    far = {"point_error": np.linspace(1e3, 1.001e3, 20000)[None, :, None], "diagonal": np.full((1, 20000, 1), 5e3)}
    found = weighted_scores(TaskType.REGRESSION, far, weights)
    assert found["MRE"][0, 0] == pytest.approx(1000.5, rel=2e-8, abs=0)


def test_scores_of_another_trainer_are_means():
    values = np.array([[[0.2], [0.4], [0.9]], [[0.0], [0.5], [1.0]]])
    found = weighted_scores(TaskType.SEGMENTATION, {VALUE: values}, np.array([[1, 1, 1], [2, 0, 1]]))
    np.testing.assert_allclose(found["score"], [[0.5, 0.5], [1.3 / 3, 1 / 3]], rtol=1e-6, atol=1e-6)
    assert list(found) == ["score", VALUE]


# ---- a metric that came after some runs --------------------------------------------------------------------------


@pytest.fixture
def with_centre(monkeypatch):
    """Detection with one more quantity and a metric of it, as a newcomer adds them."""
    detection = type(TaskType.DETECTION)
    plain = detection.weighted_scores

    def weighted(self, values, weights, count_empty):
        return plain(self, values, weights, count_empty) | {"centre": weighted_mean(values["centre"][..., 0], weights)}

    monkeypatch.setattr(detection, "quantities", {**detection.quantities, "centre": "distance of centres"})
    monkeypatch.setattr(detection, "weighted_scores", weighted)


def box_cases(centres: dict[int, float | None], subjects: str = "abcd") -> pd.DataFrame:
    """Cases of one task under a seed each; those with a number have the later quantity, too."""
    rows = []
    for seed, centre in centres.items():
        for case in subjects:
            both = {"iou": 0.1 * seed + 0.5} | ({} if centre is None else {"centre": centre})
            rows += [(seed, case, case, name, 0, value) for name, value in both.items()]
    columns = ["seed", "case", "subject", "quantity", "index", "value"]
    return pd.DataFrame(rows, columns=columns).assign(aggregation="TS", fraction=1.0, type="detection")


def test_cases_of_before_a_metric_are_scored_without_it(with_centre):
    cases = case_arrays(box_cases({0: None, 1: None}), "box")
    weights = draw_weights(cases.subjects, 5, 0)
    assert cases.later == {"centre"} and cases.unshared == {}
    assert set(cases.scores()) == set(cases.draws(weights)) == {"score", "IoU"}
    np.testing.assert_allclose(cases.draws(weights, ["score"])["score"].max(0), [0.5, 0.6], rtol=1e-6, atol=0)
    with pytest.raises(ResultsError, match="task box: cases of some runs lack what centre needs; train these again"):
        cases.draws(weights, ["centre"])
    assert set(case_arrays(box_cases({0: 3.0}), "box").scores()) == {"score", "IoU", "centre"}


def test_a_quantity_that_only_some_runs_have_is_left_out_of_all_and_counted(with_centre):
    mixed = case_arrays(box_cases({0: None, 1: 3.0}), "box")
    assert mixed.left_out == 0 and mixed.unshared == {"centre": 4} and set(mixed.scores()) == {"score", "IoU"}
    resampled = Resampled({"box": mixed}, draw_weights(mixed.subjects, 1, 0))
    (row,) = excluded(StudyTables(Manifest("s"), pd.DataFrame()), [], resampled, {}, "absolute").to_dict("records")
    reason = "values of centre, which some runs of these tasks were scored without: box"
    assert row == {"table": "cases", "rows": 4, "reason": reason}
    fold_1 = box_cases({1: 3.0}, "efg")
    folded = folded_cases(pd.concat([box_cases({0: None}), fold_1], ignore_index=True), "box", {0: 0, 1: 1})
    assert folded.unshared == {"centre": 3} and set(folded.scores()) == {"score", "IoU"}


def test_the_unit_free_score_is_not_replaced_by_another_metric():
    """Cases that lack the quantity of the primary metric have no score, whatever else they have."""
    segmentation = random_quantities(TaskType.SEGMENTATION, 2, 6, 0)
    del segmentation["dice"]
    assert later_metrics("segmentation", segmentation) == {"score", "DSC"}
