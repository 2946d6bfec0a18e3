"""Rotating folds in study file and plan: which run tests what, and ids that nothing moves."""

import pytest

from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.folds import draw_folds
from aggregation_lab.errors import StudyError
from runners.planning.fold_words import fold_lines
from runners.planning.plan import PlannedRun, plan_runs
from runners.planning.study_file import parse_study
from tests.aggregation_lab.data.test_folds import SMALL


def small() -> Dataset:
    """A data set without files that has what digests of cases take."""
    values = {"box": None, "points": None, "height": 10, "width": 20}
    dataset = Dataset(**{name: getattr(SMALL, name) for name in Dataset.__dataclass_fields__})
    object.__setattr__(dataset, "cases", SMALL.cases.assign(**values))
    return dataset


def plan(folds: int, **changes) -> list[PlannedRun]:
    study, dataset = parse_study({"name": "golden", "data": {"folds": folds}} | changes, "s"), small()
    return plan_runs(study, dataset, draw_folds(dataset, folds))


def test_ids_with_one_split_are_those_before_there_were_folds(monkeypatch):
    """Golden: of recipe 3, before there was `data.folds`."""
    monkeypatch.setattr("aggregation_lab.run.RECIPE", 3)
    assert draw_folds(small(), 1).digest == "dc0f11935774ffc465098cb0b15c4afee2f26bc479c61f85bc468a488d387a6c"
    expected = (
        "64748c32aa85 6eb07ddc6a70 336cc7e7ceb1 7f53e8e22910 485b5df4c05f ab92abe8b7e0 "
        "b83f9c17aa79 ebbc0af6aee1 6710453398c9 3d5ff1825362 ac4600bccfc5 3e67e0b126ea"
    )
    runs = plan(1, fractions=[0.5, 1.0], seeds=2)
    assert " ".join(run.id for run in runs) == expected
    assert all(run.fold is None and "fold" not in run.to_json() for run in runs)


def test_every_seed_tests_its_own_fold():
    runs = plan(3, seeds=4)
    assert {(run.spec.seed, run.fold) for run in runs} == {(0, 0), (1, 1), (2, 2), (3, 0)}
    data = {(run.labels, run.fold): run.spec.data for run in runs}
    assert len(set(data.values())) == len(data)  # other folds, other cases
    assert all(run.spec.data == data[run.labels, run.fold] for run in runs)
    assert runs[1].title.endswith("s1 (fold 1)")
    assert all(PlannedRun.from_json(run.to_json()) == run for run in runs)


@pytest.mark.parametrize("seeds", [6, [2, 5, 0], [7, 1, 0, 2]])
def test_seeds_that_are_added_move_no_fold(seeds):
    before, after = ({run.key: run.id for run in plan(3, seeds=given)} for given in ([2, 0], seeds))
    assert before.items() <= after.items()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"folds": 2}, "data: folds is 2, it takes 1, or 3 or more: to test, to validate, to train on"),
        ({"folds": 0}, "data.folds: got 0, it takes greater than or equal to 1"),
        ({"folds": "5"}, "data.folds: got '5', it takes a valid integer"),
        ({"folds": 5, "shares": [0.6, 0.2, 0.2]}, "data: shares has no meaning with folds: 5"),
    ],
)
def test_faults_of_the_setting(data, message):
    with pytest.raises(StudyError) as caught:
        parse_study({"name": "x", "data": data}, "my.yaml")
    assert str(caught.value).startswith(f"my.yaml: {message}")


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (3, "every image is tested once"),
        (6, "every image is tested 2 times"),
        (4, "every image is tested 1 to 2 times"),
        ([0, 3], "% of the images are never tested (fold 1, 2); seeds 0 to 2 test every image once"),
    ],
)
def test_a_plan_says_what_is_tested(seeds, said):
    study, dataset = parse_study({"name": "x", "data": {"folds": 3}, "seeds": seeds}, "s"), small()
    first, second = fold_lines(study, draw_folds(dataset, 3), dataset)
    assert first.startswith("3 folds, the seed s tests fold s mod 3: ") and first.endswith(said)
    assert second.startswith("smallest fold: ") and "box_1, fold" in second or "kind_0, fold" in second


def test_a_plan_says_nothing_of_one_split():
    assert fold_lines(parse_study({"name": "x"}, "s"), draw_folds(SMALL, 1), SMALL) == ()
