"""Out of memory: the same step in smaller pieces, the same result up to rounding, and a clear end at one image."""

import json
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from aggregation_lab import results
from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.data.cache import ImageCache, open_cache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import Split, draw_split
from aggregation_lab.errors import TrainingError, is_out_of_memory
from aggregation_lab.model.backbones.build import build_backbone
from aggregation_lab.model.m2dino import M2DINO
from aggregation_lab.run import CHECKPOINT, DONE, RunSpec
from aggregation_lab.training.augmentation import augment
from aggregation_lab.training.batches import make_batch
from aggregation_lab.training.checkpoint import read_checkpoint
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.out_of_memory import with_less_memory
from aggregation_lab.training.trainer import Progress, RunInterrupted, Trainer
from tests.small_encoder import EXPERTS, MINI

SIZE = 32
BATCH = 8


@pytest.fixture(scope="module")
def study(tiny_dataset: Dataset, tmp_path_factory) -> tuple[Dataset, Split, ImageCache]:
    return tiny_dataset, draw_split(tiny_dataset), open_cache(tiny_dataset, SIZE, tmp_path_factory.mktemp("cache"))


def spec_for(dataset: Dataset, *names: str, model: dict | None = None, **training) -> RunSpec:
    tasks = tuple(dataset.tasks[name] for name in names or sorted(dataset.tasks))
    fields = {"image_size": SIZE, "passes": 0.1, "min_steps": 8, "batch_size": BATCH, "evaluations": 3, **training}
    config = ModelConfig(**{"encoder": MINI, "head_width": 16, "drop_path": 0.3, "moe": EXPERTS, **(model or {})})
    return RunSpec(tasks, 1.0, 0, config, TrainingConfig(**{"precision": "fp32", **fields}), data="test")


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {name: results.read_table(folder / f"{name}.parquet", table) for name, table in results.RUN_TABLES.items()}


def done(folder: Path) -> dict:
    return json.loads((folder / DONE).read_text())


@pytest.fixture
def memory_for(monkeypatch):
    """`memory_for(n, after=k)`: from the k-th training pass on, a pass of more than n images finds no memory left."""
    forward = M2DINO.forward

    def limit(images: int | None, *, after: int = 0, error: type[Exception] = torch.OutOfMemoryError) -> None:
        passes = 0

        def limited(self, inputs, *arguments, **settings):
            nonlocal passes
            outputs = forward(self, inputs, *arguments, **settings)
            passes += self.training
            if images is not None and len(inputs) > images and (passes > after or not self.training):
                raise error("CUDA out of memory. Tried to allocate 20.00 MiB")
            return outputs

        monkeypatch.setattr(M2DINO, "forward", limited)

    return limit


# ---- one step ----------------------------------------------------------------------------------------------------


def gradients(trainer: Trainer, micro_batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of each task and all gradients of the first step."""
    batch = make_batch(trainer.sampler.draw(0), trainer.train_cases, trainer.store)
    batch = augment(batch, trainer.tasks, torch.Generator().manual_seed(0))
    trainer.model.train()
    trainer.objective.micro_batch = micro_batch
    torch.manual_seed(5)
    losses = trainer.objective.gradients(batch, "step 0")
    return losses, torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])


@pytest.mark.parametrize("micro_batch", [4, 3, 1])
def test_pieces_give_the_loss_and_gradients_of_the_whole_batch(study, tmp_path, micro_batch):
    spec = spec_for(study[0], loss_weights={"tiny_head": 2.0})
    trainer = Trainer(spec, *study, tmp_path, torch.device("cpu"))
    losses, expected = gradients(trainer, BATCH)
    for _ in range(2):  # the second time over gradients that an attempt has left
        found, gradient = gradients(trainer, micro_batch)
        assert torch.allclose(found, losses, rtol=1e-3, atol=1e-5)
        assert (gradient - expected).abs().max() <= 1e-3 * expected.abs().max()


def test_memory_that_runs_out_in_the_backward_pass_is_freed_before_the_next_attempt(study, tmp_path, monkeypatch):
    trainer = Trainer(spec_for(study[0]), *study, tmp_path, torch.device("cpu"))
    losses, expected = gradients(trainer, BATCH)
    forward, backward = M2DINO.forward, torch.Tensor.backward
    sizes: list[int] = []
    maps: list[weakref.ref[torch.Tensor]] = []
    left: list[bool] = []

    def noted(self, inputs, *arguments, **settings):
        outputs = forward(self, inputs, *arguments, **settings)
        sizes.append(len(inputs))
        maps.extend(weakref.ref(tensor) for tensor in outputs.values() if isinstance(tensor, torch.Tensor))
        return outputs

    def limited(loss):
        backward(loss)  # some gradients are there when memory runs out
        if sizes[-1] > BATCH // 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    def release(device):
        left.append(any(tensor() is not None for tensor in maps))

    monkeypatch.setattr(M2DINO, "forward", noted)
    monkeypatch.setattr(torch.Tensor, "backward", limited)
    monkeypatch.setattr("aggregation_lab.training.out_of_memory.release_memory", release)
    found, gradient = gradients(trainer, BATCH)
    assert sizes == [BATCH, BATCH // 2, *[BATCH // 4] * 4] and left == [False, False]
    assert trainer.objective.micro_batch == BATCH // 4
    assert torch.allclose(found, losses, rtol=1e-3, atol=1e-5)
    assert (gradient - expected).abs().max() <= 1e-3 * expected.abs().max()


def test_a_piece_holds_its_rows_of_every_task(study, tmp_path):
    trainer = Trainer(spec_for(study[0]), *study, tmp_path, torch.device("cpu"))
    batch = make_batch(trainer.sampler.draw(0), trainer.train_cases, trainer.store)
    assert len(batch.parts) > 2
    pieces = [batch.piece(slice(start, min(start + 3, BATCH))) for start in range(0, BATCH, 3)]
    assert torch.equal(torch.cat([piece.images for piece in pieces]), batch.images)
    assert torch.equal(torch.cat([piece.task_index for piece in pieces]), batch.task_index)
    for name, target in batch.targets.items():
        assert torch.equal(torch.cat([piece.targets[name] for piece in pieces if name in piece.targets]), target)
    for piece in pieces:
        for name, rows in piece.parts:
            position = [task.name for task in trainer.spec.tasks].index(name)
            assert (piece.task_index[rows] == position).all() and len(piece.targets[name]) == rows.stop - rows.start


def assert_near(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Cases of two models that were trained alike but for the order of adding.

    A pixel of a small mask can change its Dice by some hundredths, and distances and missed structures by anything.
    """
    keys = ["task", "case", "quantity", "index"]
    both = one.merge(other, on=keys, validate="1:1", suffixes=("", "_other"))
    assert len(both) == len(one) == len(other)
    dice = both["quantity"] == "dice"
    rest = both[~dice & ~both["quantity"].isin(["hd", "missed"])]
    np.testing.assert_allclose(both.loc[dice, "value"], both.loc[dice, "value_other"], rtol=0, atol=0.1)
    np.testing.assert_allclose(rest["value"], rest["value_other"], rtol=1e-2, atol=1e-2)


# ---- whole runs --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_scores_do_not_depend_on_when_memory_ran_out(study, tmp_path, memory_for, capfd):
    spec = spec_for(study[0])
    for name, after in (("never", None), ("from the start", 0), ("later", 5)):
        memory_for(None if after is None else 3, after=after or 0)
        train_run(spec, *study, tmp_path / name, threads=1)
    assert [done(tmp_path / name)["micro_batch"] for name in ("never", "from the start", "later")] == [8, 2, 2]
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("step")]
    assert lines == [
        "step 0: out of memory with 8 images at a time, continues with 4",
        "step 0: out of memory with 4 images at a time, continues with 2",
        "step 5: out of memory with 8 images at a time, continues with 4",
        "step 5: out of memory with 4 images at a time, continues with 2",
    ]
    expected = tables(tmp_path / "never")
    for name in ("from the start", "later"):
        found = tables(tmp_path / name)
        assert np.allclose(found["curves"]["loss"], expected["curves"]["loss"], rtol=1e-2, atol=1e-3)
        assert (found["curves"]["images_seen"] == expected["curves"]["images_seen"]).all()
        assert_near(found["cases"], expected["cases"])
        assert found["runs"]["flops"].equals(expected["runs"]["flops"])


@pytest.mark.slow
def test_the_smaller_pieces_travel_with_the_checkpoint(study, tmp_path, memory_for):
    spec = spec_for(study[0], "tiny_kind", "tiny_head")
    memory_for(4, after=2)
    train_run(spec, *study, tmp_path / "whole", threads=1)

    def stop(progress: Progress) -> None:
        if progress.step == 5:
            raise RunInterrupted

    memory_for(4, after=2)
    with pytest.raises(RunInterrupted):
        train_run(spec, *study, tmp_path / "broken", threads=1, report=stop)
    assert read_checkpoint(tmp_path / "broken" / CHECKPOINT)["micro_batch"] == 4
    memory_for(None)
    train_run(spec, *study, tmp_path / "broken", threads=1)
    assert done(tmp_path / "broken")["micro_batch"] == 4
    one, other = tables(tmp_path / "whole"), tables(tmp_path / "broken")
    pd.testing.assert_frame_equal(one["curves"], other["curves"], check_exact=True)


def test_prediction_and_trunk_go_in_pieces_too(study, tmp_path, memory_for, monkeypatch, capfd):
    torch.save(build_backbone(MINI).network.state_dict(), tmp_path / "w.pt")
    model = {"weights": str(tmp_path / "w.pt"), "frozen_blocks": 2, "drop_path": 0.0}
    spec = spec_for(study[0], "tiny_kind", model=model, augment=False, min_steps=3)
    cache = open_cache(study[0], SIZE, tmp_path / "cache")
    trunk = M2DINO.trunk

    def limited(self, images):
        if len(images) > 5:
            raise torch.OutOfMemoryError("out of memory")
        return trunk(self, images)

    memory_for(2, after=10**6)
    monkeypatch.setattr(M2DINO, "trunk", limited)
    train_run(spec, *study[:2], cache, tmp_path / "short", threads=1)
    output = capfd.readouterr().out
    assert "frozen trunk: out of memory with 16 images at a time, continues with 8" in output
    assert "prediction of tiny_kind: out of memory with 4 images at a time, continues with 2" in output
    assert done(tmp_path / "short")["micro_batch"] == BATCH
    monkeypatch.undo()
    train_run(spec, *study[:2], cache, tmp_path / "plenty", threads=1)
    assert_near(*(tables(tmp_path / name)["cases"] for name in ("short", "plenty")))


def test_one_image_too_many_ends_the_run_with_advice(study, tmp_path, memory_for):
    memory_for(0)
    with pytest.raises(TrainingError) as caught:
        train_run(spec_for(study[0], "tiny_kind"), *study, tmp_path, threads=1)
    assert str(caught.value) == (
        "step 0: out of memory with one image at a time; lower training.image_size, take a smaller model.encoder, "
        "or run fewer at a time (--jobs)"
    )
    assert not (tmp_path / DONE).exists()


def test_a_model_that_does_not_fit_ends_the_run_with_advice(study, tmp_path, monkeypatch):
    def too_large(self, *arguments):
        torch.empty(1 << 50)

    monkeypatch.setattr(torch.optim.AdamW, "step", too_large)
    with pytest.raises(TrainingError, match="the run: out of memory; lower training.image_size"):
        train_run(spec_for(study[0], "tiny_kind"), *study, tmp_path, threads=1)


def test_memory_short_while_continuing_keeps_the_checkpoint(study, tmp_path, monkeypatch):
    spec = spec_for(study[0], "tiny_kind")

    def stop(progress: Progress) -> None:
        raise RunInterrupted

    with pytest.raises(RunInterrupted):
        train_run(spec, *study, tmp_path, threads=1, report=stop)
    monkeypatch.setattr(Trainer, "restore", lambda self, state: torch.empty(1 << 50))
    with pytest.raises(TrainingError, match="out of memory"):
        train_run(spec, *study, tmp_path, threads=1)
    assert (tmp_path / CHECKPOINT).is_file()


def test_top_k_with_balance_goes_in_pieces(study, tmp_path, memory_for):
    moe = EXPERTS.model_copy(update={"kind": "copy", "top_k": 1, "balance_weight": 0.1})
    memory_for(4)
    train_run(spec_for(study[0], "tiny_kind", model={"moe": moe}, min_steps=3), *study, tmp_path, threads=1)
    assert done(tmp_path)["micro_batch"] == 4


# ---- which errors ------------------------------------------------------------------------------------------------


def test_other_errors_are_not_taken_for_it(study, tmp_path, memory_for):
    class OtherError(RuntimeError):
        def __init__(self, text):
            super().__init__("the size of tensor a must match")

    memory_for(2, error=OtherError)
    with pytest.raises(OtherError):
        train_run(spec_for(study[0], "tiny_kind"), *study, tmp_path, threads=1)


@pytest.mark.parametrize("allocate", [lambda: torch.empty(1 << 50), lambda: np.empty(1 << 50)])
def test_what_allocators_of_the_machine_raise_is_known(allocate):
    def work(size: int) -> int:
        if size > 2:
            allocate()
        return size

    assert with_less_memory(work, 5, torch.device("cpu"), "here") == (2, 2)


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_without_a_type_are_known_by_their_words(error, is_one):
    assert is_out_of_memory(error) is is_one
