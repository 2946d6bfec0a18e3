"""Metrics agree with independent implementations, on random and on degenerate cases."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import directed_hausdorff
from sklearn.metrics import f1_score, matthews_corrcoef, roc_auc_score
from torchvision.ops import box_iou as torchvision_iou

from aggregation_lab import metrics
from aggregation_lab.errors import ResultsError
from aggregation_lab.tasks import TaskType


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_dice_and_hausdorff_agree_with_f1_and_scipy(data):
    shape = data.draw(st.tuples(st.integers(2, 12), st.integers(2, 12)))
    one, other = (data.draw(arrays(bool, shape)) for _ in range(2))
    distance = metrics.hausdorff(one, other)
    if one.any() or other.any():
        expected = f1_score(other.ravel(), one.ravel(), zero_division=0)
        assert metrics.dice(one, other) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    else:
        assert (metrics.dice(one, other), distance) == (1.0, 0.0)
    if one.any() and other.any():
        a, b = np.argwhere(one), np.argwhere(other)
        expected = max(directed_hausdorff(a, b)[0], directed_hausdorff(b, a)[0])
        assert distance == pytest.approx(expected, rel=1e-6, abs=1e-6)
    elif one.any() or other.any():
        assert distance == pytest.approx(np.hypot(*shape), rel=1e-9, abs=0)
    assert metrics.hausdorff(other, one) == distance


@given(st.integers(2, 5), st.integers(3, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_classification_agrees_with_scikit_learn(classes, n, seed):
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(classes), n)
    labels = random.integers(0, classes, n)
    scores = {score.metric: score for score in metrics.classification_scores(probabilities, labels)}
    predicted = probabilities.argmax(1)
    assert scores["F1_macro"].value == pytest.approx(
        f1_score(labels, predicted, average="macro", zero_division=0), rel=1e-9, abs=1e-9
    )
    assert scores["F1_weighted"].value == pytest.approx(
        f1_score(labels, predicted, average="weighted", zero_division=0), rel=1e-9, abs=1e-9
    )
    assert scores["accuracy"].value == pytest.approx((labels == predicted).mean(), rel=1e-9, abs=1e-9)
    present = np.unique(labels)
    if len(present) == classes:
        target = probabilities[:, 1] if classes == 2 else probabilities
        assert scores["AUC"].value == pytest.approx(
            roc_auc_score(labels, target, multi_class="ovr"), rel=1e-6, abs=1e-6
        )
        assert scores["AUC"].n_undefined == 0
    if len(present) > 1:
        assert scores["MCC"].value == pytest.approx(matthews_corrcoef(labels, predicted), rel=1e-6, abs=1e-6)


def test_one_class_is_undefined_and_counted_instead_of_zero():
    scores = {
        score.metric: score
        for score in metrics.classification_scores(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 0]))
    }
    assert np.isnan(scores["AUC"].value) and scores["AUC"].n_undefined == 1
    assert np.isnan(scores["MCC"].value) and scores["MCC"].n_undefined == 1
    assert scores["accuracy"].value == 1.0


def test_absent_class_is_left_out_of_the_mean_auc():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.2, 0.7, 0.1]])
    value, undefined = metrics.auc(probabilities, np.array([0, 1, 0, 1]))
    assert (value, undefined) == (1.0, 1)


@given(arrays(float, (2, 4), elements=st.floats(0, 100, width=32)))
@settings(max_examples=100, deadline=None)
def test_box_iou_agrees_with_torchvision(corners):
    boxes = np.concatenate([np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])], 1)
    value = metrics.box_iou(*boxes)
    reference = torchvision_iou(*(torch.tensor(boxes[i : i + 1], dtype=torch.float64) for i in (0, 1))).item()
    assert value == pytest.approx(0.0 if np.isnan(reference) else reference, rel=1e-6, abs=1e-6)


def test_empty_boxes_have_no_overlap():
    assert metrics.box_iou([3, 3, 3, 3], [3, 3, 3, 3]) == 0.0


def test_segmentation_quantities_follow_the_official_empty_rules():
    reference = np.zeros((3, 4), np.uint8)
    reference[0, 0] = 1
    rows = metrics.segmentation_quantities(np.zeros((3, 4), np.uint8), reference, 3)
    assert ("missed", 1, 1.0) in rows and ("hd", 1, 5.0) in rows and ("dice", 1, 0.0) in rows
    assert ("missed", 2, 0.0) in rows and ("hd", 2, 0.0) in rows and ("dice", 2, 1.0) in rows


def test_regression_is_in_pixels_and_its_unit_free_score_is_not():
    rows = metrics.regression_quantities(np.array([[0.0, 0.0], [3.0, 4.0]]), np.zeros((2, 2)), 30, 40)
    frame = pd.DataFrame([("a", *row) for row in rows], columns=["case", "quantity", "index", "value"])
    scores = {score.metric: score.value for score in metrics.task_scores(TaskType.REGRESSION, frame)}
    assert scores["MRE"] == pytest.approx(2.5, rel=1e-9, abs=0)
    assert scores["score"] == pytest.approx(1 - 2.5 / 50, rel=1e-9, abs=0)


def test_a_case_without_a_quantity_is_an_error():
    frame = pd.DataFrame(
        [("a", "point_error", 0, 1.0), ("a", "diagonal", 0, 9.0), ("b", "diagonal", 0, 9.0)],
        columns=["case", "quantity", "index", "value"],
    )
    with pytest.raises(ResultsError, match="case b lacks a quantity"):
        metrics.task_scores(TaskType.REGRESSION, frame)
