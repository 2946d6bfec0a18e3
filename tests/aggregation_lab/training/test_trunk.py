"""A frozen trunk: kept once per image, scores as if it were computed each time, weights that never move."""

import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from aggregation_lab import results
from aggregation_lab.config import ModelConfig, MoEConfig, TrainingConfig
from aggregation_lab.data.cache import ImageCache, open_cache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import Split, draw_split
from aggregation_lab.errors import ModelError
from aggregation_lab.model.backbones.build import build_backbone
from aggregation_lab.model.backbones.plain_vit import map_above_trunk
from aggregation_lab.model.m2dino import build_m2dino
from aggregation_lab.run import RunSpec
from aggregation_lab.training import trainer as trainer_module
from aggregation_lab.training.batches import make_batch
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.token_cache import BATCH, SHARD, open_tokens
from aggregation_lab.training.trainer import Progress, RunInterrupted, Trainer
from runners.planning.cost import flops_per_image, worker_bytes
from runners.planning.data_digests import weights_digest
from tests.waiting import PATIENCE, wait_for

SIZE = 32
ENCODER = "vit_tiny_patch16_dinov3_qkvb"


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("weights") / "encoder.pt"
    torch.save(build_backbone(ENCODER).network.state_dict(), path)
    return str(path)


@pytest.fixture
def study(tiny_dataset: Dataset, tmp_path: Path) -> tuple[Dataset, Split, ImageCache]:
    return tiny_dataset, draw_split(tiny_dataset), open_cache(tiny_dataset, SIZE, tmp_path / "cache")


def spec_for(dataset: Dataset, weights: str, *names: str, frozen_blocks: int = 6, **settings) -> RunSpec:
    tasks = tuple(dataset.tasks[name] for name in names or sorted(dataset.tasks))
    model = ModelConfig(
        encoder=ENCODER,
        weights=weights,
        frozen_blocks=frozen_blocks,
        moe=MoEConfig(experts=2),
        head_width=16,
        drop_path=0.1,
    )
    fields = {"image_size": SIZE, "passes": 0.1, "min_steps": 8, "batch_size": 8, "evaluations": 3, "augment": False}
    return RunSpec(tasks, 1.0, 0, model, TrainingConfig(**{**fields, "precision": "fp32", **settings}), data="test")


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {name: results.read_table(folder / f"{name}.parquet", table) for name, table in results.RUN_TABLES.items()}


def assert_same_scores(one: Path, other: Path) -> None:
    left, right = tables(one), tables(other)
    for name in ("scores", "cases", "curves", "routing"):
        pd.testing.assert_frame_equal(left[name], right[name], check_exact=True)


# ---- the encoder in two parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [1, 6, 12])
@pytest.mark.parametrize(
    "encoder", [ENCODER, "vit_small_patch16_dinov3", "vit_tiny_patch16_224", "eva02_tiny_patch14_224"]
)
def test_trunk_and_the_blocks_above_are_the_encoder(encoder, blocks):
    backbone = build_backbone(encoder, image_size=64)
    backbone.network.eval()
    images = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        tokens = backbone.trunk_tokens(images, blocks)
        assert tokens.shape == (3, *backbone.token_shape(64))
        assert torch.equal(backbone.map_above_trunk(tokens, blocks), backbone.deep_map(images))


@pytest.mark.parametrize(("precision", "near"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)])
def test_the_trunk_hands_on_float32_and_does_not_depend_on_the_batch(weights, precision, near):
    model = build_m2dino(spec_for_model(weights), [])
    images = torch.randn(BATCH, 3, 64, 64)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        together = model.trunk(images)
        alone = torch.cat([model.trunk(images[i : i + 1]) for i in range(BATCH)])
    assert together.dtype == torch.float32 and not together.requires_grad
    assert (together - alone).abs().max() <= near * together.abs().max()


def spec_for_model(weights: str, **changes) -> ModelConfig:
    return ModelConfig(encoder=ENCODER, weights=weights, frozen_blocks=6).model_copy(update=changes)


def test_a_run_starts_from_the_weights_that_it_is_named_after_only(study, weights, tmp_path):
    file = shutil.copy(weights, tmp_path / "w.pt")
    spec = replace(spec_for(study[0], str(file), "tiny_kind"), weights=weights_digest(str(file)))
    Trainer(spec, *study, tmp_path / "run", torch.device("cpu"))
    state = torch.load(file)
    state["norm.weight"] += 1
    torch.save(state, file)
    with pytest.raises(ModelError, match="w.pt has changed since the study was planned"):
        Trainer(spec, *study, tmp_path / "run", torch.device("cpu"))


def test_frozen_blocks_stay_in_evaluation_mode_and_only_the_rest_learns(weights):
    model = build_m2dino(spec_for_model(weights, drop_path=0.5), []).train()
    images = torch.randn(4, 3, 32, 32)
    assert torch.equal(model.trunk(images), model.trunk(images))
    assert [block.training for block in model.encoder.blocks] == [False] * 6 + [True] * 6
    learning = {name for name, parameter in model.encoder.named_parameters() if parameter.requires_grad}
    assert learning == {
        name
        for name, _ in model.encoder.named_parameters()
        if name.startswith(("norm.", *(f"blocks.{i}." for i in range(6, 12))))
    }


def test_tokens_that_are_brought_stand_for_the_trunk(study, weights):
    tasks = [study[0].tasks[name] for name in ("tiny_kind", "tiny_head")]
    model = build_m2dino(spec_for_model(weights), tasks).eval()
    images, index = torch.randn(4, 3, 32, 32), torch.tensor([0, 0, 1, 1])
    parts = [("tiny_kind", slice(0, 2)), ("tiny_head", slice(2, 4))]
    with torch.no_grad():
        tokens = model.trunk(images)
        computed, brought = (model(images, index, parts, tokens=given) for given in (None, tokens))
        other = model(images, index, parts, tokens=tokens.flip(0))
    assert torch.equal(computed["tiny_kind"], brought["tiny_kind"])
    assert not torch.equal(other["tiny_kind"], brought["tiny_kind"])


# ---- runs --------------------------------------------------------------------------------------------------------


class ComputedEachTime:
    """Stands for the kept output, but runs the trunk whenever a row is asked for.

    It does so on the batches that are kept together: in others, the last bits are those of another order of adding.
    """

    def __init__(self, model, encoder, cache, to_input, precision, alive):
        self.model, self.cache, self.to_input, self.precision = model, cache, to_input, precision

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        together = {first: self.batch(first) for first in set((rows // BATCH * BATCH).tolist())}
        return np.stack([together[row // BATCH * BATCH][row % BATCH] for row in rows.tolist()])

    def batch(self, first: int) -> np.ndarray:
        pixels = torch.from_numpy(np.array(self.cache.images[first : first + BATCH])).movedim(-1, 1)
        with torch.autocast("cpu", self.precision, enabled=self.precision != torch.float32):
            return self.model.trunk(self.to_input(pixels)).numpy()

    def check(self) -> None:
        self.cache.check()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_scores_equal_those_of_computing_the_trunk_each_time(study, weights, tmp_path, monkeypatch, precision):
    spec = spec_for(study[0], weights, precision=precision)
    train_run(spec, *study, tmp_path / "kept", threads=1)
    assert list((tmp_path / "cache").glob("trunk-32-*/*.npy"))
    monkeypatch.setattr(trainer_module, "open_trunk", ComputedEachTime)
    train_run(spec, *study, tmp_path / "each time", threads=1)
    assert_same_scores(tmp_path / "kept", tmp_path / "each time")


def test_frozen_weights_never_move_and_count_as_nothing(study, weights, tmp_path):
    trainer = Trainer(spec_for(study[0], weights, "tiny_kind"), *study, tmp_path, torch.device("cpu"))
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.train(lambda progress: None, checkpoint_seconds=1e9)
    source = torch.load(weights)
    for name, value in trainer.model.named_parameters():
        if value.requires_grad:
            assert not torch.equal(value, before[name]) or name.startswith(("heads.", "fusion.")) or "router" in name
        else:
            assert torch.equal(value, source[name.removeprefix("encoder.")])
    stepped = {id(parameter) for group in trainer.optimizer.param_groups for parameter in group["params"]}
    assert stepped == {id(value) for value in trainer.model.parameters() if value.requires_grad}
    whole = Trainer(spec_for(study[0], weights, "tiny_kind", frozen_blocks=0), *study, tmp_path, torch.device("cpu"))
    whole.ledger.images_seen = trainer.ledger.images_seen
    # half the blocks; the image path is trained as a whole
    assert 0.5 * whole.flops() < trainer.flops() < 0.65 * whole.flops()


def test_a_batch_and_its_pieces_carry_the_tokens_of_their_images(study, weights, tmp_path):
    trainer = Trainer(spec_for(study[0], weights), *study, tmp_path, torch.device("cpu"))
    batch = make_batch(trainer.sampler.draw(0), trainer.train_cases, trainer.store)
    computed = trainer.model.trunk(trainer.to_input(batch.images))
    pieces = [batch.piece(slice(start, start + 3)).tokens for start in range(0, len(batch.images), 3)]
    assert torch.equal(torch.cat(pieces), batch.tokens)
    assert torch.allclose(batch.tokens, computed, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_killed_and_resumed_equals_uninterrupted(study, weights, tmp_path, checkpoint):
    spec = spec_for(study[0], weights, checkpoint=checkpoint)
    broken = tmp_path / "broken"

    def stop_at(step: int, phase: str, progress: Progress) -> None:
        if progress.step == step and progress.phase.startswith(phase):
            raise RunInterrupted

    for step, phase in ((0, "frozen trunk"), (3, "training"), (8, "scoring")):
        with pytest.raises(RunInterrupted):
            train_run(spec, *study, broken, threads=1, report=partial(stop_at, step, phase), checkpoint_seconds=0)
    train_run(spec, *study, broken, threads=1)
    train_run(spec, *study, tmp_path / "whole", threads=1)
    assert_same_scores(tmp_path / "whole", broken)


def test_the_kept_output_is_shared_by_runs_and_renamed_by_what_decides_it(study, weights, tmp_path):
    def folders(name: str, path: str, **settings) -> set[str]:
        Trainer(spec_for(study[0], path, name, **settings), *study, tmp_path, torch.device("cpu"))
        return {folder.name for folder in (tmp_path / "cache").glob("trunk-*")}

    first = folders("tiny_kind", weights)
    assert len(first) == 1 and folders("tiny_head", weights) == first
    state = torch.load(weights)
    above, below = tmp_path / "above.pt", tmp_path / "below.pt"
    torch.save(state | {"blocks.6.norm1.bias": state["blocks.6.norm1.bias"] + 1}, above)
    torch.save(state | {"blocks.5.norm1.bias": state["blocks.5.norm1.bias"] + 1}, below)
    assert folders("tiny_kind", str(above)) == first
    assert len(folders("tiny_kind", str(below))) == 2
    assert len(folders("tiny_kind", weights, frozen_blocks=5)) == 3
    assert len(folders("tiny_kind", weights, precision="bf16")) == 4


def test_what_is_trained_of_the_encoder_is_compiled(study, weights, tmp_path, monkeypatch):
    compiled = []

    def compile_encoder(part):
        def run(*arguments):
            compiled.append(part)
            return part(*arguments)

        return run

    monkeypatch.setattr(torch, "compile", compile_encoder)
    train_run(spec_for(study[0], weights, "tiny_kind", min_steps=3, compile=True), *study, tmp_path / "run", threads=1)
    assert set(compiled) == {map_above_trunk}


def test_the_estimates_know_of_frozen_blocks(weights):
    training_config, whole = TrainingConfig(augment=False), spec_for_model(weights, frozen_blocks=0)
    half = spec_for_model(weights)
    blocks = flops_per_image(whole, training_config) - flops_per_image(half, training_config)
    assert blocks == pytest.approx(6 * 6 * 201 * 192 * (12 * 192 + 2 * 201), rel=1e-6, abs=0)  # image path stays
    assert worker_bytes(half, training_config) < worker_bytes(whole, training_config)


# ---- what cannot be --------------------------------------------------------------------------------------------


def test_a_frozen_random_start_is_refused():
    with pytest.raises(ValueError, match="frozen_blocks needs weights: hub or a checkpoint"):
        ModelConfig(frozen_blocks=6)


def test_frozen_blocks_with_augmentation_are_refused(study, weights):
    with pytest.raises(ModelError, match="training: augment must be false with model.frozen_blocks"):
        spec_for(study[0], weights, augment=True)


@pytest.mark.parametrize(
    ("frozen", "experts", "message"),
    [
        (7, 4, "7, but .* has 12 blocks, the last 6 of them with experts, which learn; freeze at most 6"),
        (13, 0, "13, but .* has 12 blocks; freeze at most 12"),
    ],
)
def test_frozen_blocks_stay_below_the_experts(weights, frozen, experts, message):
    config = spec_for_model(weights, frozen_blocks=frozen, moe=MoEConfig(experts=experts))
    with pytest.raises(ModelError, match=f"model.frozen_blocks: {message}"):
        build_m2dino(config, [])


def test_all_blocks_of_a_plain_encoder_can_be_frozen(weights):
    model = build_m2dino(spec_for_model(weights, frozen_blocks=12, moe=MoEConfig(experts=0)), [])
    assert {name for name, value in model.encoder.named_parameters() if value.requires_grad} == {
        "norm.weight",
        "norm.bias",
    }


# ---- the files ---------------------------------------------------------------------------------------------------

COUNT = 2 * SHARD + 10
SHAPE = (3, 4)


def expected(rows: slice) -> np.ndarray:
    first = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None, None]
    return first + np.arange(12, dtype=np.float32).reshape(SHAPE)


def ignore(ready: int) -> None:
    pass


def _open_slowly(folder: Path, log: Path, pause: float, stay: int = COUNT) -> bool:
    """Body of a process: opens the tokens, notes every batch, and stays at the one that starts at row `stay`."""

    def compute(rows: slice) -> np.ndarray:
        with open(log, "a") as stream:
            stream.write(f"{rows.start} {os.getpid()}\n")
        time.sleep(pause if rows.start < stay else PATIENCE)
        return expected(rows)

    return bool(
        (open_tokens(folder, COUNT, SHAPE, compute, ignore)[np.arange(COUNT)] == expected(slice(0, COUNT))).all()
    )


def test_rows_come_in_the_order_asked_for(tmp_path):
    tokens = open_tokens(tmp_path, COUNT, SHAPE, expected, ignore)
    rows = np.array([COUNT - 1, 0, SHARD, SHARD - 1, 0])
    assert len(tokens) == COUNT
    assert (tokens[rows] == np.concatenate([expected(slice(row, row + 1)) for row in rows])).all()


def test_nothing_is_computed_twice_and_a_damaged_shard_anew(tmp_path):
    computed: list[int] = []

    def compute(rows: slice) -> np.ndarray:
        computed.append(rows.start)
        return expected(rows)

    reports: list[int] = []
    open_tokens(tmp_path, COUNT, SHAPE, compute, reports.append)
    assert computed == list(range(0, COUNT, BATCH)) and reports[0] == 0 and reports[-1] == 2 * SHARD
    computed.clear()
    open_tokens(tmp_path, COUNT, SHAPE, compute, ignore)
    assert not computed
    second = sorted(tmp_path.glob("*.npy"))[1]
    second.write_bytes(second.read_bytes()[:200])
    tokens = open_tokens(tmp_path, COUNT, SHAPE, compute, ignore)
    assert computed == list(range(SHARD, 2 * SHARD, BATCH))
    assert (tokens[np.arange(COUNT)] == expected(slice(0, COUNT))).all()


@pytest.mark.slow
def test_processes_that_start_together_share_the_work(tmp_path):
    log = tmp_path / "log"
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.starmap(_open_slowly, [(tmp_path / "tokens", log, 0.05)] * 3) == [True] * 3
    lines = [line.split() for line in log.read_text().splitlines()]
    assert sorted(int(first) for first, _ in lines) == list(range(0, COUNT, BATCH))
    assert not list((tmp_path / "tokens").glob(".*.part"))


@pytest.mark.slow
def test_a_kill_in_the_middle_leaves_nothing_broken(tmp_path):
    folder, log = tmp_path / "tokens", tmp_path / "log"
    process = multiprocessing.get_context("spawn").Process(
        target=_open_slowly, args=(folder, log, 0, SHARD + 2 * BATCH)
    )
    process.start()
    wait_for(lambda: log.is_file() and len(log.read_text().splitlines()) > SHARD // BATCH + 2)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert list(folder.glob(".*.part")), "the kill was to fall into the writing of a shard"
    log.unlink()
    assert _open_slowly(folder, log, 0)
    assert int(log.read_text().split()[0]) == SHARD  # the shard that was finished stays
    assert not list(folder.glob(".*.part"))
