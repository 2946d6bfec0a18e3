"""Scores that compare classes, of which one has few test subjects: no verdict on them."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.contrasts import Contrast
from analysis.pairing import pair_all
from analysis.pipeline import analyse
from analysis.questions import families
from analysis.report.statistics import statistics
from analysis.settings import Settings
from analysis.statistics.rare_classes import class_subjects, rarest
from analysis.statistics.replicates import FoldsTested
from analysis.statistics.verdicts import UNDECIDED
from analysis.validation.design import Design
from analysis.validation.simulate import simulate

AU_TS = Contrast("AU", "TS")
DESIGN = Design(
    tasks=4, groups=4, seeds=3, subjects=41, auc=True, levels={"AU": 0.0}, seed_sd=0.001, interaction_sd=0.12
)
"""Models that agree over seeds and differ by case."""


def pairs_of(positives: int, **changes: object):
    return pair_all(simulate(DESIGN.with_(positives=positives, **changes), 2).scores(200, 2), AU_TS, 1.0)


@pytest.mark.parametrize("positives", [1, 2, 4])
def test_no_verdict_rests_on_a_few_subjects_of_one_class(positives):
    pairs = pairs_of(positives, levels={"AU": -0.3})
    assert {pair.effective_subjects for pair in pairs} == {positives} and {pair.subjects for pair in pairs} == {41}
    assert set(families.family([pairs]).judge(np.full(4, 0.02))["verdict"]) == {UNDECIDED}


def test_five_subjects_of_a_class_may_decide():
    pairs = pairs_of(5)
    members = families.family([pairs])
    assert np.isfinite(members.se).all()
    assert max(own.df for own in members.estimates) < 10  # of 5 subjects and three seeds, not of 41


def test_more_subjects_of_the_other_class_make_no_smaller_factor():
    few = pairs_of(5)[0]
    alike = replace(few, rarest_class=None)
    assert few.estimate().v_case == pytest.approx(alike.estimate().v_case * (5 / 4) / (41 / 40), rel=1e-6, abs=0)


def test_the_report_says_why():
    tables = simulate(DESIGN.with_(positives=3), 2).tables()
    found = analyse(tables, Settings(draws=60))
    gains = found.frames["gains"]
    assert set(gains["verdict"]) == {UNDECIDED} and set(gains["rarest_class"]) == {3.0}
    assert set(gains["would_decide"]) == {"more test subjects of one class: fewer than 5 decide nothing"}
    assert any("Fewer than 5 test subjects of one class in 4 of 4 tasks" in warning for warning in found.warnings)
    assert "with fewer than 5 of a class there is no verdict" in " ".join(statistics(found))
    rough = analyse(simulate(DESIGN.with_(positives=8), 2).tables(), Settings(draws=60)).warnings
    assert any("Fewer than 20 test subjects of one class in 4 of 4 tasks" in warning for warning in rough)


def test_classes_are_counted_by_subject_and_only_where_the_metric_compares_them():
    label = np.array([0, 0, 1, 2, 2, 2])[None, :, None]
    quantities = {"probability": np.full((1, 6, 3), 1 / 3), "label": label}
    subjects = np.array(list("aabcde"))
    for metric in ("score", "AUC", "F1_macro", "MCC"):
        classes = class_subjects("classification", quantities, subjects, metric)
        assert classes == {0: {"a"}, 1: {"b"}, 2: {"c", "d", "e"}} and len(rarest(classes)) == 1
    assert class_subjects("classification", quantities, subjects, "accuracy") == {}
    assert class_subjects("a new type", {"value": label}, subjects, "score") == {}
    shown = {"present": np.array([[[1, 0], [1, 1]]]), "dice": np.ones((1, 2, 2))}
    assert class_subjects("segmentation", shown, subjects[1:3], "score") == {}
    without_empty = class_subjects("segmentation", shown, subjects[1:3], "score", count_empty=False)
    assert without_empty == {1: {"a", "b"}, 2: {"b"}}


def test_folds_are_counted_together():
    classes = {0: {0: frozenset("ab"), 1: frozenset("c")}, 1: {0: frozenset("d"), 1: frozenset("ef")}}
    folds = FoldsTested(2, {0: 0, 1: 1}, {0: 3, 1: 3}, classes)
    assert folds.effective_sizes((0, 1)).tolist() == [1, 1]
    assert len(folds.rarest_class((0, 1))) == 3 and folds.rarest_class((0,)) == {"c"}
