"""What a run keeps: weights that are those it had, whatever is kept the same tables, and damage that is noticed."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from aggregation_lab import results
from aggregation_lab.config import ModelConfig, MoEConfig, TrainingConfig
from aggregation_lab.data.cache import ImageCache, open_cache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import Split, draw_split
from aggregation_lab.errors import ResultsError
from aggregation_lab.files import file_digest
from aggregation_lab.kept.digests import kept_digests
from aggregation_lab.kept.model_files import kept_kinds, read_description, read_weights
from aggregation_lab.run import CHECKPOINT, DONE, MODEL, RunSpec, weights_file
from aggregation_lab.training.evaluation import Evaluator, Validation
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.keep import NOTHING, Keep
from aggregation_lab.training.trainer import Progress, RunInterrupted, Trainer
from tests.small_encoder import MINI

Data = tuple[Dataset, Split, ImageCache]
BOTH = Keep(models=("last", "best"))
SCORES = [0.3, 0.9, 0.9, 0.5]
"""Of the four validations, at the steps 2, 4, 6 and 8: the best is the first of two equal ones."""


@pytest.fixture(scope="module")
def data(tiny_dataset: Dataset, tmp_path_factory) -> Data:
    return tiny_dataset, draw_split(tiny_dataset), open_cache(tiny_dataset, 32, tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def told_scores(monkeypatch) -> None:
    """Validation says SCORES in turn, in a resumed run from where it stood."""
    told = {2 * (number + 1): score for number, score in enumerate(SCORES)}
    evaluate = Trainer.evaluate

    def noting(self: Trainer) -> None:
        monkeypatch.setattr(Evaluator, "validate", lambda evaluator, cases: Validation(told[self.step], None))
        evaluate(self)

    monkeypatch.setattr(Trainer, "evaluate", noting)


def spec_for(data: Data, **training) -> RunSpec:
    settings = {"image_size": 32, "passes": 0.1, "min_steps": 8, "batch_size": 4, "evaluations": 4, "precision": "fp32"}
    model = ModelConfig(encoder=MINI, head_width=8, moe=MoEConfig(experts=2, blocks=1))
    config = TrainingConfig.model_validate(settings | training)
    return RunSpec((data[0].tasks["tiny_kind"],), 1.0, 0, model, config, data="test")


def at_step(seen: dict[int, dict[str, torch.Tensor]], monkeypatch) -> None:
    """Note the weights after each step."""
    step = Trainer.train_step

    def noting(self: Trainer) -> None:
        step(self)
        seen[self.step] = {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    monkeypatch.setattr(Trainer, "train_step", noting)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def table(folder: Path, name: str) -> pd.DataFrame:
    return results.read_table(folder / f"{name}.parquet", results.RUN_TABLES[name])


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_kept_weights_are_those_of_their_step_whichever_are_scored(data, tmp_path, monkeypatch, checkpoint):
    seen: dict[int, dict[str, torch.Tensor]] = {}
    at_step(seen, monkeypatch)
    train_run(spec_for(data, checkpoint=checkpoint), *data, tmp_path, threads=1, keep=BOTH)
    assert kept_kinds(tmp_path) == ("last", "best")
    assert same(read_weights(tmp_path, "last"), seen[8]) and same(read_weights(tmp_path, "best"), seen[4])
    described = read_description(tmp_path)
    assert described["scored"] == checkpoint and described["precision"] == "fp32" and described["threads"] == 1
    assert {kind: (each["step"], each["score"]) for kind, each in described["weights"].items()} == {
        "last": (8, 0.5),
        "best": (4, 0.9),
    }
    assert RunSpec.from_json(described["spec"]) == spec_for(data, checkpoint=checkpoint)
    assert kept_digests(tmp_path) == {name: file_digest(tmp_path / name) for name in BOTH.files}


@pytest.mark.slow
def test_what_is_kept_changes_no_digit_of_the_tables(data, tmp_path):
    for name, keep in (("nothing", NOTHING), ("both", BOTH)):
        train_run(spec_for(data), *data, tmp_path / name, threads=1, keep=keep)
    for name in ("scores", "cases", "curves", "routing"):
        pd.testing.assert_frame_equal(
            table(tmp_path / "nothing", name), table(tmp_path / "both", name), check_exact=True
        )
    assert "kept" not in json.loads((tmp_path / "nothing" / DONE).read_text())
    assert not list((tmp_path / "nothing").glob("model*"))
    with pytest.raises(ResultsError, match=f"{MODEL}: was not kept by its run; .*--rerun unkept.* trains it again"):
        read_description(tmp_path / "nothing")


def interrupted(data: Data, folder: Path, keep: Keep, at: int) -> None:
    def stop(progress: Progress) -> None:
        if progress.step == at:
            raise RunInterrupted

    with pytest.raises(RunInterrupted):
        train_run(spec_for(data), *data, folder, threads=1, keep=keep, report=stop)


@pytest.mark.slow
def test_a_resumed_run_keeps_what_an_uninterrupted_one_does(data, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train_run(spec_for(data), *data, whole, threads=1, keep=BOTH)
    interrupted(data, broken, BOTH, at=5)
    train_run(spec_for(data), *data, broken, threads=1, keep=BOTH)
    for kind in ("last", "best"):
        assert (whole / weights_file(kind)).read_bytes() == (broken / weights_file(kind)).read_bytes()


def test_best_weights_that_are_asked_for_once_they_are_gone_are_not_replaced_by_worse_ones(data, tmp_path, capsys):
    interrupted(data, tmp_path, NOTHING, at=5)
    train_run(spec_for(data), *data, tmp_path, threads=1, keep=BOTH)
    assert kept_kinds(tmp_path) == ("last",)
    assert "the best weights (step 4) are gone" in capsys.readouterr().out
    assert set(kept_digests(tmp_path)) == {weights_file("last"), MODEL}


def test_best_weights_that_are_asked_for_in_time_are_kept(data, tmp_path):
    interrupted(data, tmp_path, NOTHING, at=3)
    train_run(spec_for(data), *data, tmp_path, threads=1, keep=BOTH)
    assert read_description(tmp_path)["weights"]["best"]["step"] == 4


@pytest.mark.slow
def test_damaged_missing_and_unfinished_are_one_line(data, tmp_path):
    interrupted(data, tmp_path, BOTH, at=5)
    assert (tmp_path / CHECKPOINT).is_file()
    with pytest.raises(ResultsError, match="its run is not finished .it has no done.json."):
        kept_kinds(tmp_path)
    train_run(spec_for(data), *data, tmp_path, threads=1, keep=Keep(models=("last",)))
    with pytest.raises(ResultsError, match="model-best.safetensors: was not kept by its run"):
        read_weights(tmp_path, "best")
    weights = tmp_path / weights_file("last")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ResultsError, match="model-last.safetensors: its content has changed since it was written"):
        read_weights(tmp_path, "last")
    weights.unlink()
    with pytest.raises(ResultsError, match="model-last.safetensors: cannot be read .No such file"):
        read_weights(tmp_path, "last")
    with pytest.raises(ResultsError, match="nowhere: there is no such folder"):
        kept_kinds(tmp_path / "nowhere")
