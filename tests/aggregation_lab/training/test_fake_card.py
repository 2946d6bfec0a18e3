"""The training path on a CUDA device, as far as it can be seen without one: on `tests.fake_card`.

Devices are never mixed, the host never waits in a step, mixed precision is where it should be, runs are resumed.
"""

import math
import re
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException

from aggregation_lab import results
from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.data.cache import ImageCache, open_cache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import Split, draw_split
from aggregation_lab.model.backbones.build import build_backbone
from aggregation_lab.model.m2dino import M2DINO
from aggregation_lab.run import CHECKPOINT, RunSpec
from aggregation_lab.training.affinity.gradients import GradientSum
from aggregation_lab.training.affinity.settings import AffinitySettings
from aggregation_lab.training.batches import make_batch
from aggregation_lab.training.checkpoint import read_checkpoint
from aggregation_lab.training.device import HostCopy, compute_as_named, free_memory, random_state, to_device
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.trainer import Progress, RunInterrupted, Trainer
from tests import ROOT
from tests import fake_card as card
from tests.fake_card import CARD, VALUE, Seen, fake_card
from tests.small_encoder import MINI, WIDENED

SIZE = 32
Study = tuple[Dataset, Split, ImageCache]
LOSSES = "from, in background"
"""The one way in which values may leave the card in a step."""
SPLIT = {"experts": 2, "blocks": WIDENED}
TOP_K = {**SPLIT, "kind": "copy", "top_k": 1, "balance_weight": 0.1}


@pytest.fixture(scope="module")
def study(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return tiny_dataset, draw_split(tiny_dataset), open_cache(tiny_dataset, SIZE, tmp_path_factory.mktemp("cache"))


def spec_for(study: Study, *, model: dict | None = None, **training: object) -> RunSpec:
    """A short run of all four task types with stochastic depth."""
    fields = {"encoder": MINI, "head_width": 8, "drop_path": 0.1, "moe": SPLIT, **(model or {})}
    config = {"image_size": SIZE, "batch_size": 16, "passes": 0.1, "min_steps": 3, "evaluations": 3, **training}
    tasks = tuple(study[0].tasks.values())
    return RunSpec(tasks, 1.0, 0, ModelConfig.model_validate(fields), TrainingConfig.model_validate(config), "test")


def training(spec: RunSpec, study: Study, folder: Path, *, steps: int = 1) -> Trainer:
    trainer = Trainer(spec, *study, folder, CARD)
    trainer.model.train()
    for _ in range(steps):
        trainer.train_step()
    return trainer


def clear(seen: Seen) -> None:
    for record in (seen.operations, seen.dtypes, seen.copies):
        record.clear()


# ---- the fake card itself ----------------------------------------------------------------------------------------


def test_the_card_takes_no_mix_of_devices_and_gives_no_value():
    with fake_card():
        here, there = torch.arange(3.0), torch.arange(3.0).to(CARD)
        assert (here + 1).tolist() == [1, 2, 3]  # the host's values are real
        for mixed in (lambda: here + there, lambda: torch.cat([here, there]), lambda: F.linear(there, here.view(1, 3))):
            with pytest.raises(RuntimeError, match="same device"):
                mixed()
        for wait in (lambda: there.sum().item(), lambda: bool(there.sum() > 1), lambda: there.tolist()):
            with pytest.raises((DataDependentOutputException, RuntimeError)):
                wait()
        for wait in (lambda: there[there > 1], lambda: there.nonzero(), lambda: torch.masked_select(there, there > 1)):
            with pytest.raises(DynamicOutputShapeException):
                wait()


def test_the_card_sees_how_values_come_and_go():
    with fake_card() as seen:
        at_once = torch.arange(3.0).to(CARD)
        assert seen.copies == {"to, awaited": 1}
        torch.arange(3.0).to(CARD, non_blocking=True)  # from memory that is not pinned
        assert seen.copies == {"to, awaited": 2}
        assert to_device(torch.arange(3.0), CARD).device == CARD
        assert seen.copies["to, in background"] == 1
        assert at_once.cpu().tolist() == [VALUE] * 3 and seen.copies["from, awaited"] == 1
        assert HostCopy(at_once).values() == [VALUE] * 3 and seen.copies["from, in background"] == 1


def test_gradients_found_operation_by_operation_are_those_of_torch():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.GELU(), nn.Flatten(), nn.Linear(144, 3))
    images, found = torch.randn(5, 1, 8, 8), []
    for gradients_of in (torch.Tensor.backward, card.backward):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            output = model(images).float()
        gradients_of((output.softmax(1) * output).amax(1).mean() + output[:, 1:].square().sum())
        found.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


# ---- one step ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[SPLIT, TOP_K], ids=["split", "top_k"])
def step(
    study: Study, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Trainer, Seen]:
    """A run after its second step, and what was seen of that step; the losses of both have been sent to the host."""
    spec, folder = spec_for(study, model={"moe": request.param}), tmp_path_factory.mktemp("run")
    fused = mock.patch.object(F, "scaled_dot_product_attention", wraps=F.scaled_dot_product_attention)
    with mock.patch("aggregation_lab.training.loss_monitor.CHECK_EVERY", 2), fake_card() as seen, fused as attention:
        trainer = training(spec, study, folder)
        clear(seen)
        attention.reset_mock()
        trainer.train_step()
        seen.operations["fused attention"] = attention.call_count
    return trainer, seen


def test_a_step_stays_on_the_card_and_the_host_never_waits(step):
    trainer, seen = step
    learning = [parameter for parameter in trainer.model.parameters() if parameter.requires_grad]
    states = [value for state in trainer.optimizer.state.values() for value in state.values()]
    assert len(trainer.optimizer.state) == len(learning)  # every parameter had a gradient
    assert {tensor.device for tensor in (*learning, *states, *trainer.model.buffers())} == {CARD}
    assert all(trainer.ledger.images_seen.values())  # all four task types were in it
    assert set(seen.copies) == {"within", "to, in background", LOSSES}
    assert seen.copies[LOSSES] == 1 and trainer.losses.last == VALUE


def test_a_step_takes_the_fused_operations(step):
    trainer, seen = step
    assert seen.operations["aten::_fused_adamw_"] == len(trainer.optimizer.param_groups)
    assert seen.operations["fused attention"] == len(trainer.model.encoder.blocks)


def test_mixed_precision_is_where_it_should_be(step):
    trainer, seen = step
    assert trainer.precision == torch.bfloat16  # as the card has it natively
    half, full = {torch.bfloat16}, {torch.float32}
    for product in ("addmm", "convolution", "convolution_backward"):
        assert seen.dtypes[f"aten::{product}"] == half, product
    losses = ("_log_softmax", "nll_loss_forward", "nll_loss2d_forward", "native_group_norm", "native_layer_norm")
    for exact in (*losses, "linalg_vector_norm", "grid_sampler_2d", "_fused_adamw_"):
        assert seen.operations[f"aten::{exact}"] and seen.dtypes[f"aten::{exact}"] <= full, exact
    assert {parameter.dtype for parameter in trainer.model.parameters()} == full


# ---- the same seed -----------------------------------------------------------------------------------------------

ANY_ORDER = {
    "convolution",
    "convolution_backward",
    "cumsum",
    "embedding_dense_backward",
    "index_add",
    "scatter_add",
    "scatter_reduce",
    "gather_backward",
    "grid_sampler_2d_backward",
    "histc",
    "bincount",
    "kthvalue",
    "median",
    "put_",
    "max_pool3d_with_indices_backward",
    "fractional_max_pool2d_backward",
    "_adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d_backward",
    "avg_pool3d_backward",
    "reflection_pad2d_backward",
    "replication_pad2d_backward",
    "upsample_linear1d_backward",
    "upsample_bilinear2d_backward",
    "upsample_bicubic2d_backward",
    "upsample_trilinear3d_backward",
    "_embedding_bag_dense_backward",
    "_ctc_loss_backward",
}
"""Operations that add in any order on CUDA, by the list of `torch.use_deterministic_algorithms`. Not among them:
`nll_loss2d_forward`, which does where it reduces; losses here are per image."""


def test_the_page_names_the_operations_of_a_step_that_add_in_any_order(step):
    _, seen = step
    found = {name for name in ANY_ORDER if seen.operations[f"aten::{name}"]}
    for name in ("index_put", "index_put_", "_index_put_impl_"):  # with accumulation: backward of an index
        assert not seen.operations[f"aten::{name}"]
    page = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8").partition("## The same seed")[2]
    assert found == set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) - {"scaled_dot_product_attention"}
    assert seen.operations["fused attention"] and "| `scaled_dot_product_attention` |" in page


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def test_deterministic_algorithms_refuse_nothing_on_the_cpu(study, tmp_path, deterministic):
    trainer = Trainer(spec_for(study), *study, tmp_path, torch.device("cpu"))
    trainer.model.train()
    trainer.train_step()
    trainer.losses.check()
    assert math.isfinite(trainer.losses.last)


def test_deterministic_algorithms_replace_the_bilinear_enlargement_on_the_card(study, tmp_path, deterministic):
    with fake_card() as seen:
        training(spec_for(study), study, tmp_path)
    assert not seen.operations["aten::upsample_bilinear2d_backward"]
    assert seen.copies["from, awaited"] == 0


# ---- precision and room ------------------------------------------------------------------------------------------


def test_float32_is_float32():
    before = torch.backends.cudnn.allow_tf32
    try:
        compute_as_named(torch.float32)
        assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
        compute_as_named(torch.bfloat16)
        assert torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before


def test_images_that_find_no_room_come_by_pinned_memory(study, tmp_path, monkeypatch):
    monkeypatch.setattr(card, "BYTES", 0)
    with fake_card() as seen:
        trainer = training(spec_for(study, precision="fp32"), study, tmp_path, steps=0)
        assert trainer.store._images.resident_bytes == trainer.store._masks.resident_bytes == 0
        clear(seen)
        make_batch(trainer.sampler.draw(0), trainer.train_cases, trainer.store)
        assert set(seen.copies) == {"within", "to, in background"}


def test_images_and_masks_share_the_room(study, tmp_path, monkeypatch):
    with fake_card():
        whole = training(spec_for(study), study, tmp_path, steps=0).store
        images, masks = whole._images.resident_bytes, whole._masks.resident_bytes
        monkeypatch.setattr("aggregation_lab.training.device.RESIDENT_SHARE", (images + masks - 1) / card.BYTES)
        part = training(spec_for(study), study, tmp_path, steps=0).store
        assert (part._images.resident_bytes, part._masks.resident_bytes) == (images, 0)


def test_pieces_after_a_lack_of_memory_stay_on_the_card(study, tmp_path, monkeypatch):
    forward = M2DINO.forward

    def limited(self, inputs, *arguments, **settings):
        if len(inputs) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return forward(self, inputs, *arguments, **settings)

    monkeypatch.setattr(M2DINO, "forward", limited)
    with fake_card() as seen:
        trainer = training(spec_for(study, precision="fp32"), study, tmp_path, steps=0)
        clear(seen)
        trainer.train_step()
        assert (trainer.objective.micro_batch, seen.released) == (8, 1)
        assert not any(torch.bfloat16 in dtypes for dtypes in seen.dtypes.values())
        assert seen.copies["to, awaited"] == 1 and not seen.copies["from, awaited"]  # the position codes, once


# ---- prediction and whole runs -----------------------------------------------------------------------------------


def test_predictions_come_to_the_host_once_for_each_batch(study, tmp_path):
    with fake_card() as seen:
        trainer = training(spec_for(study), study, tmp_path, steps=0)
        trainer.evaluator.predict(trainer.test_cases[0])
        for cases in trainer.test_cases:
            clear(seen)
            predicted = trainer.evaluator.predict(cases)
            assert len(predicted.values) == len(cases)
            gates = len(trainer.model.moe)
            assert seen.copies["from, awaited"] == 1 + gates and not seen.copies["to, awaited"]


def on_card(study: Study, spec: RunSpec, folder: Path, **settings: object) -> None:
    with mock.patch("aggregation_lab.training.execution.pick_device", lambda name: CARD):
        train_run(spec, *study, folder, threads=1, **settings)


@pytest.mark.slow
def test_a_run_is_interrupted_continued_and_scored(study, tmp_path):
    spec = spec_for(study, checkpoint="best")

    def stop(progress: Progress) -> None:
        if progress.step == 2:
            raise RunInterrupted

    with fake_card() as seen:
        with pytest.raises(RunInterrupted):
            on_card(study, spec, tmp_path, report=stop)
        assert seen.random == []
        kept = read_checkpoint(tmp_path / CHECKPOINT)["accelerator_random"]
        assert kept.tolist() == random_state(CARD).tolist()
        on_card(study, spec, tmp_path)
        assert [state.tolist() for state in seen.random] == [kept.tolist()]  # the card's draws go on where they stood
        assert seen.released == 2  # at the start of each, for the others on the card
    runs = results.read_table(tmp_path / "runs.parquet", results.RUN_TABLES["runs"])
    assert list(runs[["device", "precision", "resumes"]].iloc[0]) == ["cuda", "bf16", 1]
    assert runs["peak_memory"].item() == card.BYTES
    scores = results.read_table(tmp_path / "scores.parquet", results.RUN_TABLES["scores"])
    assert set(scores["task"]) == {task.name for task in spec.tasks}


@pytest.mark.slow
@pytest.mark.slow
def test_a_moment_of_affinities_stays_on_the_card(study, tmp_path, monkeypatch):
    """All of it but the gradients, which the fake card has for `backward` alone."""
    monkeypatch.setattr(GradientSum, "add", lambda total, loss: None)
    with fake_card() as seen:
        trainer = Trainer(spec_for(study), *study, tmp_path, CARD, affinity=AffinitySettings(moments=3, share=10))
        trainer.model.train()
        trainer.train_step()
        clear(seen)
        trainer.affinity.record(1)
        trainer.train_step()
    ((_, _, values),) = trainer.affinity.state()["moments"]
    assert {matrix.device.type for matrix in values.values()} == {"cpu"}
    assert all(matrix.shape == (4, 4) for matrix in values.values()) and len(values) == len(results.SIGNALS) - 1


def test_a_frozen_trunk_is_computed_and_read_on_the_card(study, tmp_path):
    torch.save(build_backbone(MINI, image_size=SIZE).network.state_dict(), tmp_path / "encoder.pt")
    frozen = {"weights": str(tmp_path / "encoder.pt"), "frozen_blocks": 2, "drop_path": 0.0}
    cache = open_cache(study[0], SIZE, tmp_path / "cache")
    with fake_card() as seen:
        trainer = training(spec_for(study, model=frozen, augment=False), (*study[:2], cache), tmp_path)
        assert trainer.store._tokens.resident_bytes > 0
        clear(seen)
        trainer.train_step()
        assert set(seen.copies) == {"within", "to, in background"}


# ---- several cards -----------------------------------------------------------------------------------------------


def test_free_memory_is_asked_of_every_visible_card(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: ((device.index + 1) * 1e9, 80e9))
    assert free_memory("cuda") == {"cuda:0": 1e9, "cuda:1": 2e9}
    assert free_memory("cuda", "cuda:1") == {"cuda:1": 2e9}
    assert free_memory("mps") == {None: 0.0}


def test_draws_are_those_of_the_card_that_computes(monkeypatch):
    asked: Counter[torch.device] = Counter()
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: asked.update([device]))
    random_state(torch.device("cuda", 1))
    assert asked == {torch.device("cuda", 1): 1}
    assert random_state(torch.device("cpu")) is None
