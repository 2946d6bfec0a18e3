"""Ids of runs last: a field that is added to a study leaves every finished run its id."""

import pytest
from pydantic import Field

from aggregation_lab import run
from aggregation_lab.config import ModelConfig, MoEConfig, TrainingConfig
from aggregation_lab.run import RunSpec
from aggregation_lab.tasks import Task, TaskType
from runners.planning.study_file import find_study, read_study_file
from runners.planning.study_schema import Study

TASKS = (Task("organ", TaskType.CLASSIFICATION, 3, "a"), Task("outline", TaskType.SEGMENTATION, 2, "a"))
SHIPPED = {
    "demo": {"main": "70f1044846cb"},
    "fmc_uia": {"main": "91ca8139238b"},
    "us_mini": {"main": "3c7e5b27d7f6"},
    "us_mini_arms": {
        "split4": "652fdf016faa",
        "plain": "1dd0e599eb8c",
        "copy4": "3125dec4ad16",
        "upgrad": "cb5744c3c95f",
    },
    "us_mini_found": {"main": "2fbd4077a00c"},
    "us_mini_scale": {"main": "67ea1ce3a334"},
}
"""Ids of one run of every arm of the shipped studies, of recipe 4: results that people have trained. us_mini trains
until it has converged, which is recipe 5 for a unit of several tasks."""


def id_of(model: ModelConfig, training: TrainingConfig) -> str:
    return RunSpec(TASKS, 1.0, 0, model, training, "data").id


@pytest.mark.parametrize("name", SHIPPED)
def test_runs_of_the_shipped_studies_keep_their_ids(name, monkeypatch):
    monkeypatch.setattr(run, "RECIPE", 4)
    arms = read_study_file(find_study(name)).variants
    assert {arm: id_of(each.model, each.training) for arm, each in arms.items()} == SHIPPED[name]


def test_settings_at_their_defaults_keep_their_ids(monkeypatch):
    monkeypatch.setattr(run, "RECIPE", 4)
    assert id_of(ModelConfig(), TrainingConfig()) == "a6c9a2600139"
    assert id_of(ModelConfig(), TrainingConfig(until="converged")) == "78f2d29d5c64"
    alone = RunSpec(TASKS[:1], 1.0, 0, ModelConfig(), TrainingConfig(until="converged"), "data")
    assert alone.id == "36a6d3aa6f9b"  # the allowance for noise changed units of several tasks alone
    assert id_of(ModelConfig(), TrainingConfig(aggregator="upgrad")) == "1baab934d21d"


class LaterTraining(TrainingConfig):
    label_smoothing: float = 0.0
    curriculum: dict[str, float] = Field(default_factory=dict)


class LaterExperts(MoEConfig):
    noise: float = 0.0


class LaterModel(ModelConfig):
    register_tokens: int = 0
    moe: LaterExperts = LaterExperts()


def test_a_new_field_enters_the_id_where_it_differs_from_its_default():
    was = id_of(ModelConfig(), TrainingConfig())
    assert id_of(LaterModel(), LaterTraining()) == was
    assert id_of(ModelConfig(), LaterTraining(label_smoothing=0.0)) == was  # as a study file may have it
    changed = [
        id_of(ModelConfig(), LaterTraining(label_smoothing=0.1)),
        id_of(ModelConfig(), LaterTraining(curriculum={"organ": 0.5})),
        id_of(LaterModel(register_tokens=4), TrainingConfig()),
        id_of(LaterModel(moe=LaterExperts(noise=0.1)), TrainingConfig()),
    ]
    assert len({was, *changed}) == 5


class LaterStudy(Study):
    notes: str = ""


def test_a_study_is_written_as_before_there_was_a_field():
    before = Study.model_validate_json('{"name": "s"}').model_dump(mode="json")
    assert LaterStudy.model_validate_json('{"name": "s"}').model_dump(mode="json") == before
    assert LaterStudy.model_validate_json('{"name": "s", "notes": "x"}').model_dump(mode="json")["notes"] == "x"
