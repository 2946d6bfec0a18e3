"""Labels in the forms other tools write, and the rules of a study file for targets of every kind."""

from pathlib import Path

import pytest

from aggregation_lab.config import TargetRules
from runners.planning.study_file import read_study_file
from tests.kinds import (
    COUNT,
    TASK,
    binary,
    good,
    labelled,
    masked,
    png,
    problems,
    rule_in,
)


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [((1, 2, 3), 3, ("count from 1", "line 4")), (("benign", "malignant"), 2, ("'benign'", "line 2")), ((1, 2), 2, ())],
)
def test_labels_that_are_no_classes_are_one_line_with_a_rule_that_works(
    tmp_path: Path, labels: tuple, classes: int, words: tuple[str, ...]
) -> None:
    root = labelled(tmp_path / "data", labels=labels, classes=classes)
    (line,) = problems(root, "error")
    assert all(word in line for word in words) and "rows of task" in line
    dataset = good(root, rules=rule_in(line))
    meant = dataset.cases["image"].str[2:].astype(int) % len(labels)
    assert (dataset.cases["label"] == meant).all()


def test_labels_and_tasks_in_another_unicode_form(tmp_path: Path) -> None:
    """The CSV is composed, the study file decomposed."""
    root = labelled(tmp_path / "data", labels=("m\u00fcde", "wach"))
    dataset = good(root, rules=TargetRules(label_values={TASK: {"mu\u0308de": 0, "wach": 1}}))
    assert dataset.cases["label"].tolist() == [0, 1] * (COUNT // 2)


def test_labels_from_one_that_fit_are_suspected(tmp_path: Path) -> None:
    root = labelled(tmp_path / "data", labels=(1, 2, 3), classes=4)
    (line,) = problems(root, "warning")
    assert "labels count from 1" in line and "num_classes to 3" in line
    assert rule_in(line).label_values == {TASK: {"1": 0, "2": 1, "3": 2}}


def test_a_label_that_the_rule_lacks_is_told(tmp_path: Path) -> None:
    root = labelled(tmp_path / "data", labels=("a", "b", "c"))
    (line,) = problems(root, "error", rules=TargetRules(label_values={TASK: {"a": 0, "b": 1}}))
    assert "'c'" in line and f"data.label_values.{TASK}" in line and "4 rows" in line


@pytest.mark.parametrize("rule", ["mask_values", "label_values", "box_format", "coordinates"])
def test_rules_for_tasks_they_do_not_fit_are_told(tmp_path: Path, rule: str) -> None:
    value = {"mask_values": {"0": 0}, "label_values": {"0": 0}, "box_format": "xywh", "coordinates": "pixels"}[rule]
    root = labelled(tmp_path / "a") if rule != "label_values" else masked(tmp_path / "a", png(binary(1)))
    (line,) = problems(root, "error", rules=TargetRules.model_validate({rule: {TASK: value}}))
    assert rule in line and "is for" in line
    (line,) = problems(root, "error", rules=TargetRules.model_validate({rule: {"nothing": value}}))
    assert "is no task of the data" in line


def test_rules_stand_in_the_study_file(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(
        "name: tiny\ndata:\n  mask_values: {a: {0: 0, 128-255: 1}}\n  label_values: {b: {1: 0, benign: 1}}\n"
        "  box_format: {c: xywh}\n  coordinates: {d: normalised}\n  missing_point: [0, 0]\n"
    )
    rules = read_study_file(file).data
    assert rules.mask_values == {"a": {"0": 0, "128-255": 1}} and rules.label_values == {"b": {"1": 0, "benign": 1}}
    assert (rules.box_format, rules.coordinates, rules.missing_point) == ({"c": "xywh"}, {"d": "normalised"}, (0, 0))


def test_labels_in_two_spellings_are_one_class(tmp_path: Path) -> None:
    root = labelled(tmp_path / "data", labels=("Benign", "malignant", "benign", "Malignant"))
    (line,) = problems(root, "error")
    assert good(root, rules=rule_in(line)).cases["label"].tolist() == [0, 1] * (COUNT // 2)


@pytest.mark.parametrize("text", ["NA", "-1", "unknown"])
def test_labels_that_stand_for_none_have_a_remedy(tmp_path: Path, text: str) -> None:
    (line,) = problems(labelled(tmp_path / "data", labels=(0, 1, text)), "error")
    assert "take such rows out" in line
