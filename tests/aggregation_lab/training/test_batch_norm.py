"""Runs of a network with batch norm: exact resume, what a batch in pieces changes, and a grid from study to scores."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from aggregation_lab import results
from aggregation_lab.config import ModelConfig, MoEConfig, TrainingConfig
from aggregation_lab.data.cache import ImageCache, open_cache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import Split, draw_split
from aggregation_lab.errors import ModelError
from aggregation_lab.files import write_json
from aggregation_lab.inference.load import load_model
from aggregation_lab.model.m2dino import M2DINO
from aggregation_lab.run import CHECKPOINT, RunSpec
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.trainer import Progress, RunInterrupted, Trainer
from tests.runners.commands.test_cli import agglab
from tests.tiny import STUDY, write_study

SIZE = 32


@pytest.fixture(scope="module")
def study(tiny_dataset: Dataset, tmp_path_factory) -> tuple[Dataset, Split, ImageCache]:
    return tiny_dataset, draw_split(tiny_dataset), open_cache(tiny_dataset, SIZE, tmp_path_factory.mktemp("cache"))


def spec_for(dataset: Dataset, encoder: str = "resnet18", **training) -> RunSpec:
    tasks = (dataset.tasks["tiny_kind"], dataset.tasks["tiny_head"])
    model = ModelConfig(encoder=encoder, head_width=8, drop_path=0.1, moe=MoEConfig(experts=0))
    fields = {"image_size": SIZE, "passes": 0.1, "min_steps": 6, "batch_size": 4, "evaluations": 3, "precision": "fp32"}
    return RunSpec(tasks, 1.0, 0, model, TrainingConfig(**fields | training), data="test")


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {name: results.read_table(folder / f"{name}.parquet", table) for name, table in results.RUN_TABLES.items()}


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_killed_and_resumed_equals_uninterrupted(study, tmp_path, checkpoint):
    spec = spec_for(study[0], "test_resnet", checkpoint=checkpoint)  # timm's own for tests, a thirtieth of resnet18
    train_run(spec, *study, tmp_path / "whole", threads=1)

    def stop(progress: Progress) -> None:
        if progress.step == 4:
            raise RunInterrupted

    with pytest.raises(RunInterrupted):
        train_run(spec, *study, tmp_path / "broken", threads=1, report=stop, checkpoint_seconds=0)
    assert (tmp_path / "broken" / CHECKPOINT).is_file()
    train_run(spec, *study, tmp_path / "broken", threads=1)
    one, other = tables(tmp_path / "whole"), tables(tmp_path / "broken")
    for name in ("scores", "cases", "curves"):
        pd.testing.assert_frame_equal(one[name], other[name], check_exact=True)
    assert one["routing"].empty


def test_running_statistics_are_kept_in_checkpoints_and_only_training_moves_them(study, tmp_path):
    trainer = Trainer(spec_for(study[0]), *study, tmp_path, torch.device("cpu"))
    trainer.model.train()
    norm = trainer.model.encoder.bn1
    fresh = norm.running_mean.clone()
    trainer.train_step()
    trained = norm.running_mean.clone()
    assert not torch.equal(trained, fresh)
    trainer.evaluate()
    trainer.flops()
    assert torch.equal(norm.running_mean, trained) and norm.training
    trainer.save()
    write_json(tmp_path / "spec.json", trainer.spec.to_json())
    loaded = load_model(tmp_path).network
    assert torch.equal(loaded.encoder.bn1.running_mean, trained) and not loaded.encoder.bn1.training


def test_a_batch_in_pieces_says_that_its_numbers_are_others(study, tmp_path, monkeypatch, capsys):
    trainer = Trainer(spec_for(study[0]), *study, tmp_path, torch.device("cpu"))
    trainer.model.train()
    forward = M2DINO.forward

    def limited(self, images, *arguments, **settings):
        if len(images) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return forward(self, images, *arguments, **settings)

    monkeypatch.setattr(M2DINO, "forward", limited)
    trainer.train_step()
    assert (
        "resnet18 normalises over the images that go through it together, so scores with 2" in capsys.readouterr().out
    )
    trainer.train_step()
    assert capsys.readouterr().out == ""


def test_batches_of_one_image_are_refused(study, tmp_path):
    with pytest.raises(ModelError, match="training.batch_size: 1, but resnet18 normalises over the batch"):
        Trainer(spec_for(study[0], batch_size=1), *study, tmp_path, torch.device("cpu"))


@pytest.mark.slow
def test_a_grid_of_a_plain_residual_network_reaches_its_scores(tmp_path, tiny_original, capsys):
    model = {"encoder": "resnet18", "head_width": 8, "moe": {"experts": 0}}
    study = write_study(tmp_path / "study.yaml", model=model, aggregations=["AU"], training=STUDY["training"])
    command = [study, "--data", tiny_original, "--out", tmp_path / "out", "--device", "cpu"]
    assert agglab(capsys, "plan", *command)[0] == 0
    assert agglab(capsys, "run-grid", *command, "--engine", "debug")[0] == 0
    scores = results.read_table(tmp_path / "out" / "scores.parquet", results.TABLES["scores"])
    assert set(scores[scores["aggregation"] == "AU"]["task"]) == {
        "tiny_head",
        "tiny_head_det",
        "tiny_head_axis",
        "tiny_kind",
    }
    runs = results.read_table(tmp_path / "out" / "runs.parquet", results.TABLES["runs"])
    assert (runs["flops"] > 0).all() and (runs["parameters"] > 11e6).all()
