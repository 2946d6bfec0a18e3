"""Multi-task methods in a study file: what they change in a plan, and what is refused before anything is trained."""

from pathlib import Path

import pytest

from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.folds import draw_folds
from aggregation_lab.errors import StudyError
from aggregation_lab.method_names import missing_packages
from aggregation_lab.run import RunSpec
from aggregation_lab.tasks import Task, TaskType
from runners.planning.cost import worker_bytes
from runners.planning.plan import PlannedRun, plan_runs
from runners.planning.study_file import parse_study, read_study_file
from tests.tiny import STUDY, write_study

METHODS = [{"aggregator": "upgrad"}, {"aggregator": "nash_mtl"}, {"weighting": "gls"}, {"weighting": "famo"}]


def plan(dataset: Dataset, **training: object) -> list[PlannedRun]:
    study = parse_study(STUDY | {"training": {**STUDY["training"], **training}}, "s")
    return plan_runs(study, dataset, draw_folds(dataset, 1))


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_units_of_one_task_are_the_same_runs_with_a_method_and_without(tiny_dataset, method):
    plain, with_method = plan(tiny_dataset), plan(tiny_dataset, **method)
    assert [run.key for run in plain] == [run.key for run in with_method]
    for one, other in zip(plain, with_method, strict=True):
        alone = len(one.spec.tasks) == 1
        assert (one.id == other.id) == alone and (one.spec == other.spec) == alone
        assert PlannedRun.from_json(other.to_json()).spec == other.spec
    assert any(len(run.spec.tasks) > 1 for run in plain)


def test_a_plan_counts_what_a_method_costs_in_units_of_several_tasks(tiny_dataset):
    plain, famo = plan(tiny_dataset), plan(tiny_dataset, weighting="famo")
    for one, other in zip(plain, famo, strict=True):
        assert other.flops == pytest.approx(one.flops * (4 / 3 if len(one.spec.tasks) > 1 else 1), rel=1e-6, abs=0)


def test_the_gradients_of_the_tasks_count_as_memory():
    needed = [
        worker_bytes(ModelConfig(), TrainingConfig.model_validate({"batch_size": 10, "aggregator": name}))
        for name in ("none", "upgrad", "nash_mtl")
    ]
    parameters = 12 * 12 * 384**2  # of the encoder, without norms and biases
    assert needed[1] - needed[0] == pytest.approx(10 * 4 * parameters, rel=1e-6, abs=0)
    assert needed[2] - needed[0] == pytest.approx(2 * 10 * 4 * parameters, rel=1e-6, abs=0)


def test_without_a_method_an_id_is_what_it_was_before_there_were_methods(monkeypatch):
    """Golden, of recipe 3: of two tasks, made by the release before."""
    monkeypatch.setattr("aggregation_lab.run.RECIPE", 3)
    tasks = tuple(Task(name, TaskType.SEGMENTATION, 2, name) for name in ("lung", "heart"))
    plain = RunSpec(tasks, 1.0, 0, ModelConfig(), TrainingConfig(), "data")
    named = TrainingConfig.model_validate({"aggregator": "none", "weighting": "fixed"})
    assert plain.id == RunSpec(tasks, 1.0, 0, ModelConfig(), named, "data").id == "11d8748dd3c8"
    others = {RunSpec(tasks, 1.0, 0, ModelConfig(), TrainingConfig(**method), "data").id for method in METHODS}
    assert len(others) == len(METHODS) and plain.id not in others


@pytest.mark.parametrize(
    "training, message",
    [
        ({"aggregator": "up_grad"}, "training.aggregator: got 'up_grad', it takes 'none', 'upgrad', 'pcgrad'"),
        ({"weighting": None}, "training.weighting: got nothing, it takes 'fixed', 'uncertainty'"),
        (
            {"aggregator": "upgrad", "weighting": "gls"},
            "training: aggregator: upgrad and weighting: gls exclude each other; leave one of them out",
        ),
    ],
)
def test_faults_are_one_line(training, message):
    with pytest.raises(StudyError) as caught:
        parse_study({"name": "n", "training": training}, "s.yaml")
    assert str(caught.value).startswith(f"s.yaml: {message}") and "\n" not in str(caught.value)


RESNET = {"encoder": "resnet18", "moe": {"experts": 0}, "head_width": 16}


@pytest.mark.parametrize(
    "changes, fault",
    [
        ({"model": RESNET, "training": {"aggregator": "mgda"}}, "training.aggregator: mgda, but resnet18 normalises"),
        (
            {"arms": {"one": {}, "two": {"model": RESNET, "training.aggregator": "mgda"}}},
            "arms.two.training.aggregator",
        ),
        (
            {"model": RESNET, "aggregations": ["AU", "AU>CG"], "specialise": {"aggregator": "mgda"}},
            "specialise.aggregator: mgda, but resnet18",
        ),
        (
            {"model": RESNET, "aggregations": ["AU", "AU>CG"], "specialise": {"batch_size": 1}},
            "specialise.batch_size: 1, but resnet18 normalises",
        ),
        # what trains units of one task has no aggregator
        ({"model": RESNET, "aggregations": ["TS"], "training": {"aggregator": "mgda"}}, None),
        ({"model": RESNET, "aggregations": ["AU", "AU>TS"], "specialise": {"aggregator": "mgda"}}, None),
        ({"reference": "resnet18", "training": {"aggregator": "mgda"}}, None),
        ({"model": RESNET, "training": {"weighting": "famo"}}, None),
    ],
)
def test_an_aggregator_over_batch_norm_is_refused_before_anything_is_trained(tmp_path, changes, fault):
    file = write_study(Path(tmp_path) / "s.yaml", **changes)
    if fault is None:
        read_study_file(file)
        return
    with pytest.raises(StudyError) as caught:
        read_study_file(file)
    assert str(caught.value).startswith(f"{file}: {fault}") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "aggregator, absent, message",
    [
        ("upgrad", {"torchjd"}, "upgrad needs torchjd, which is not installed; pip install 'torchjd>=0.18'"),
        (
            "cagrad",
            {"torchjd", "cvxpy", "clarabel"},
            "cagrad needs torchjd and cvxpy and clarabel, which are not installed; "
            "pip install 'torchjd>=0.18' cvxpy clarabel",
        ),
        ("mgda", {"cvxpy", "ecos", "quadprog"}, None),
        ("none", {"torchjd"}, None),
    ],
)
def test_a_missing_package_is_named_before_anything_is_trained(tmp_path, monkeypatch, aggregator, absent, message):
    monkeypatch.setattr("aggregation_lab.method_names.find_spec", lambda name: None if name in absent else object())
    assert missing_packages(aggregator) == message
    file = write_study(Path(tmp_path) / "s.yaml", training={"aggregator": aggregator})
    if message is None:
        assert read_study_file(file).training.aggregator == aggregator
        return
    with pytest.raises(StudyError) as caught:
        read_study_file(file)
    assert str(caught.value) == f"{file}: training.aggregator: {message}"
