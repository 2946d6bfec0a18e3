"""The second stage of a sequential aggregation: what it starts from, what it draws, and that it resumes exactly."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from aggregation_lab import results
from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import draw_split
from aggregation_lab.errors import ModelError, ResultsError
from aggregation_lab.kept.model_files import read_weights
from aggregation_lab.model.m2dino import build_m2dino
from aggregation_lab.model.start import for_tasks, misfits
from aggregation_lab.run import CHECKPOINT, RunSpec, Start
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.keep import Keep
from aggregation_lab.training.trainer import Progress, RunInterrupted, Trainer
from tests.aggregation_lab.training.test_training import SIZE, spec_for

LAST = Keep(models=("last",))
PAIR = ("tiny_head", "tiny_kind")


@pytest.fixture(scope="module")
def study(tiny_dataset: Dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    return tiny_dataset, draw_split(tiny_dataset), open_cache(tiny_dataset, SIZE, folder)


def small(dataset: Dataset, *names: str, **training) -> RunSpec:
    settings = {"min_steps": 4, "passes": 0.1, "precision": "fp32"} | training
    return spec_for(dataset, *names, **settings)


def after(first: RunSpec, second: RunSpec) -> RunSpec:
    """The second run as one that starts from the first."""
    value = second.to_json()
    value["start"] = {"run": first.id, "tasks": [task.name for task in first.tasks]}
    return RunSpec.from_json(value)


@pytest.fixture(scope="module")
def joint(study, tmp_path_factory) -> tuple[RunSpec, Path]:
    """A finished run of all four tasks that has kept its last weights."""
    spec, folder = small(study[0]), tmp_path_factory.mktemp("joint")
    train_run(spec, *study, folder, threads=1, keep=LAST)
    return spec, folder


def begun(study, spec: RunSpec, folder: Path, start: Path | None) -> Trainer:
    return Trainer(spec, *study, folder, torch.device("cpu"), start=start)


@pytest.mark.slow
@pytest.mark.parametrize("names", [PAIR, ("tiny_head_axis",), ()])
def test_a_second_stage_starts_from_the_weights_of_the_joint_run(study, joint, tmp_path, names):
    spec, folder = joint
    second = after(spec, small(study[0], *names))
    trainer, weights = begun(study, second, tmp_path, folder), read_weights(folder, "last")
    own, tasks = trainer.model.state_dict(), [task.name for task in second.tasks]
    embeddings = weights.pop("task_embedding.weight")
    for position, task in enumerate(tasks):
        row = embeddings[[other.name for other in spec.tasks].index(task)]
        assert torch.equal(own["task_embedding.weight"][position], row)
    shared = own.keys() - {"task_embedding.weight"}
    assert shared <= weights.keys() and all(torch.equal(own[name], weights[name]) for name in shared)
    left = {name for name in weights if name not in shared}
    assert all(name.startswith("heads.") for name in left) and bool(left) == (len(tasks) < 4)
    fresh = build_m2dino(second.model, second.tasks, second.seed, image_size=SIZE).state_dict()
    trained = {name.split(".")[0] for name in shared if not torch.equal(own[name], fresh[name])}
    assert {"encoder", "image_path", "fusion", "heads"} <= trained
    assert trainer.step == 0 and not trainer.optimizer.state


@pytest.mark.slow
def test_it_sees_the_images_in_an_order_of_its_own(study, joint, tmp_path):
    alone = small(study[0], "tiny_kind")
    train_run(alone, *study, tmp_path / "alone", threads=1, keep=LAST)
    single = begun(study, alone, tmp_path / "a", None)
    twice = begun(study, after(alone, alone), tmp_path / "b", tmp_path / "alone")
    joint_first = begun(study, after(joint[0], alone), tmp_path / "c", joint[1])
    orders = [
        [trainer.sampler.draw(step)[0][1].tolist() for step in range(2)] for trainer in (single, twice, joint_first)
    ]
    assert orders[0] != orders[1] == orders[2]


class Kill(BaseException):
    """Stands for a SIGKILL."""


@pytest.mark.slow
@pytest.mark.parametrize("how", [Kill, RunInterrupted])
def test_killed_and_resumed_equals_uninterrupted_bit_by_bit(study, joint, tmp_path, how):
    spec = after(joint[0], small(study[0], *PAIR, min_steps=6))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train_run(spec, *study, whole, threads=1, start=joint[1])

    def kill_at(step: int):
        def report(progress: Progress) -> None:
            if progress.step == step:
                raise how

        return report

    for step in (1, 4):
        with pytest.raises(how):
            train_run(
                spec, *study, broken, threads=1, start=joint[1], report=kill_at(step), checkpoint_seconds=0, keep=LAST
            )
        assert (broken / CHECKPOINT).is_file()
    train_run(spec, *study, broken, threads=1, start=joint[1])
    for name in ("scores", "cases", "curves", "routing"):
        one, other = (results.read_table(at / f"{name}.parquet", results.RUN_TABLES[name]) for at in (whole, broken))
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_what_cannot_be_started_from_is_one_line(study, joint, tmp_path):
    spec, folder = joint
    second = after(spec, small(study[0], "tiny_kind"))
    other = after(small(study[0], seed=1), small(study[0], "tiny_kind"))
    without = shutil.copytree(folder, tmp_path / "without")
    (without / "model-last.safetensors").unlink()
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    content = bytearray((damaged / "model-last.safetensors").read_bytes())
    content[-1] ^= 1
    (damaged / "model-last.safetensors").write_bytes(content)
    for run, start, said in (
        (second, None, f"the run that this one starts from, {spec.id}, is not there"),
        (second, tmp_path / "nowhere", "the run to start from has no usable done.json"),
        (other, folder, f"holds the run {spec.id}, not {other.start.run if other.start else ''} to start from"),
        (second, without, "model-last.safetensors: cannot be read"),
        (second, damaged, "its content has changed since it was written"),
    ):
        with pytest.raises(ResultsError) as error:
            begun(study, run, tmp_path / "run", start)
        assert said in str(error.value) and "\n" not in str(error.value)


def test_weights_of_another_model_do_not_fit_and_are_named(study, joint, tmp_path):
    spec, folder = joint
    value = after(spec, small(study[0], "tiny_kind")).to_json()
    value["model"]["moe"]["blocks"] = 1
    with pytest.raises(ModelError) as error:
        begun(study, RunSpec.from_json(value), tmp_path, folder)
    assert "its weights do not fit the run that starts from them: unexpected: encoder.blocks.3" not in str(error.value)
    assert "unexpected: encoder.blocks." in str(error.value) and "\n" not in str(error.value)


def test_heads_of_other_tasks_alone_are_left_out():
    """A task whose name begins like another's keeps its head, and the rows of embeddings follow the names."""
    weights = {
        "heads.a.weight": torch.zeros(1),
        "heads.ab.weight": torch.ones(1),
        "encoder.heads.a.weight": torch.ones(2),
        "task_embedding.weight": torch.arange(4.0).reshape(2, 2),
    }
    kept = for_tasks(weights, ["ab", "a"], ["ab"])
    assert set(kept) == {"heads.ab.weight", "encoder.heads.a.weight", "task_embedding.weight"}
    assert kept["task_embedding.weight"].tolist() == [[2.0, 3.0]]
    assert misfits({"x": torch.zeros(2), "y": torch.zeros(1)}, {"x": torch.zeros(3), "z": torch.zeros(1)}) == (
        "missing: y; unexpected: z; of another size: x"
    )


def test_the_start_is_part_of_what_a_run_is(study):
    first, second = small(study[0]), small(study[0], "tiny_kind")
    started = after(first, second)
    assert started.id != second.id and started.start == Start(first.id, tuple(task.name for task in first.tasks))
    assert after(small(study[0], learning_rate=1e-4), second).id != started.id
    assert "start" not in second.to_json() and started.draws != second.draws == second.seed
