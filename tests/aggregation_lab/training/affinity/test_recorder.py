"""Recording leaves a run as it is, resumes exactly, and measures what it says."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from aggregation_lab import results
from aggregation_lab.files import file_digest
from aggregation_lab.model.heads.network import softmax_entropy
from aggregation_lab.model.last_part import Entry
from aggregation_lab.run import CHECKPOINT, DONE
from aggregation_lab.storage.sealed_json import read_sealed
from aggregation_lab.training.affinity.gradients import GradientSum, flat
from aggregation_lab.training.affinity.image_divergence import image_divergence
from aggregation_lab.training.affinity.settings import PROBE_IMAGES, AffinitySettings
from aggregation_lab.training.affinity.similarity import cosines, inner_products
from aggregation_lab.training.batches import Batch
from aggregation_lab.training.checkpoint import read_checkpoint
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.trainer import Progress, Trainer
from tests.aggregation_lab.training.methods.trainers import TASKS, Study, spec_for, weights_of

OFTEN = AffinitySettings(moments=40, images=3, share=10)
TABLE = results.OPTIONAL_RUN_TABLES["affinity"]


def recording(
    study: Study, folder: Path, *names: str, affinity: AffinitySettings | None = OFTEN, **settings
) -> Trainer:
    folder.mkdir(exist_ok=True)
    spec = spec_for(study[0], *names, **settings)
    trainer = Trainer(spec, *study, folder, torch.device("cpu"), affinity=affinity)
    trainer.model.train()
    return trainer


def steps_with_recording(trainer: Trainer, count: int) -> Trainer:
    for _ in range(count):
        if trainer.affinity is not None:
            trainer.affinity.record(trainer.step)
        trainer.train_step()
    return trainer


@pytest.fixture(scope="module")
def trained(study, tmp_path_factory) -> Trainer:
    """After six steps, with six moments."""
    return steps_with_recording(recording(study, tmp_path_factory.mktemp("trained")), 6)


# ---- a run is the same with and without ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"precision": "bf16"},
        {"model": {"moe": {"experts": 3, "blocks": 2, "kind": "copy", "top_k": 1, "balance_weight": 0.1}}},
        {"model": {"encoder": "test_resnet", "moe": {"experts": 0}}},
        {"weighting": "uncertainty"},
    ],
    ids=["experts", "bf16", "top_k", "batch norm", "weighting"],
)
def test_weights_moments_and_draws_are_the_same_bits(study, tmp_path, settings):
    states = []
    for name, affinity in (("without", None), ("with", OFTEN)):
        trainer = steps_with_recording(recording(study, tmp_path / name, affinity=affinity, **settings), 5)
        buffers = torch.cat([each.double().flatten() for each in trainer.model.state_dict().values()])
        moments = [value for state in trainer.optimizer.state.values() for value in state.values()]
        losses = trainer.losses
        losses.check()
        states.append((buffers, torch.cat([each.flatten() for each in moments]), torch.get_rng_state(), losses.since))
        assert all(each.grad is None for each in trainer.model.parameters())
    one, other = states
    assert all(torch.equal(left, right) for left, right in zip(one[:3], other[:3], strict=True))
    assert one[3] == other[3]


@pytest.mark.slow
def test_tables_are_the_same_and_there_is_one_more(study, tmp_path):
    spec = spec_for(study[0], passes=0.1, min_steps=6, evaluations=3, checkpoint="best")
    for name, affinity in (("without", None), ("with", OFTEN)):
        train_run(spec, *study, tmp_path / name, threads=1, affinity=affinity)
    for name, table in results.RUN_TABLES.items():
        one, other = (results.read_table(tmp_path / each / f"{name}.parquet", table) for each in ("without", "with"))
        measured = ["seconds", "train_seconds", "peak_memory", "started"] if name == "runs" else []
        pd.testing.assert_frame_equal(one.drop(columns=measured), other.drop(columns=measured), check_exact=True)
    assert not (tmp_path / "without" / "affinity.parquet").exists()
    file = tmp_path / "with" / "affinity.parquet"
    assert read_sealed(tmp_path / "with" / DONE)["digests"]["affinity"] == file_digest(file)
    rows = results.read_table(file, TABLE)
    assert set(rows["signal"]) == set(results.SIGNALS)
    assert set(rows["task_i"]) == set(rows["task_j"]) == set(TASKS) and (rows["task_i"] != rows["task_j"]).all()
    assert set(rows["moment"]) == set(range(6)) and set(rows["run"]) == {spec.id}


def test_a_run_of_one_task_records_nothing(study, tmp_path):
    assert recording(study, tmp_path / "one", TASKS[0]).affinity is None


# ---- resume ----------------------------------------------------------------------------------------------------------


class Kill(BaseException):
    """Stands for a SIGKILL: nothing in the trainer may catch it."""


@pytest.mark.slow
@pytest.mark.parametrize("until", ["budget", "converged"])
def test_a_run_killed_at_any_moment_has_the_same_table(study, tmp_path, until):
    settings = {"min_steps": 8, "evaluations": 4, "until": until, "passes": 0.1}
    if until == "converged":
        settings |= {"most_passes": 0.15}
    spec, affinity = spec_for(study[0], **settings), AffinitySettings(moments=4, images=2, share=10)
    train_run(spec, *study, tmp_path / "whole", threads=1, affinity=affinity)

    def kill_at(step: int, phase: str):
        def report(progress: Progress) -> None:
            if progress.step == step and progress.phase == phase:
                raise Kill

        return report

    broken = tmp_path / "broken"
    for step, phase, seconds in ((1, "training", 0), (2, "training", 0), (4, "training", 1e9), (6, "training", 0)):
        with pytest.raises(Kill):
            train_run(
                spec, *study, broken, threads=1, report=kill_at(step, phase), checkpoint_seconds=seconds,
                affinity=affinity,
            )  # fmt: skip
    train_run(spec, *study, broken, threads=1, affinity=affinity)
    one, other = (results.read_table(folder / "affinity.parquet", TABLE) for folder in (tmp_path / "whole", broken))
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert one["moment"].nunique() == 4 if until == "budget" else one["moment"].nunique() > 4


def test_a_run_that_began_without_says_what_is_missing(study, tmp_path, capsys):
    began = steps_with_recording(recording(study, tmp_path / "run", affinity=None), 3)
    began.save()
    trainer = recording(study, tmp_path / "run")
    trainer.restore(read_checkpoint(tmp_path / "run" / CHECKPOINT))
    assert "affinity: recorded from step 3 on" in capsys.readouterr().out
    steps_with_recording(trainer, 1)
    rows = trainer.affinity.table()
    assert set(rows.loc[rows["signal"] != "image_divergence", "moment"]) == {3}


# ---- what is measured ------------------------------------------------------------------------------------------------


def batch_and_entry(trainer: Trainer, moment: int = 0) -> tuple[Batch, Entry]:
    """What a moment looks at."""
    recorder = trainer.affinity
    trainer.model.eval()
    batch = recorder._draw(np.random.default_rng([trainer.spec.seed, 3, moment]))
    entry, _ = recorder._enter(recorder._below(batch, 8), batch.task_index, 8)
    return batch, entry


def test_gradients_are_those_of_the_whole_model(trained):
    """The gradient of each task's loss for the last part, against one through all of the model."""
    batch, entry = batch_and_entry(trained)
    recorder, model, parameters = trained.affinity, trained.model, trained.affinity._last.parameters
    outputs = model(trained.to_input(batch.images), batch.task_index, batch.parts)
    for name, rows in batch.parts:
        loss = trained.objective.loss_of[name](outputs[name], batch.targets[name]).mean()
        expected = GradientSum(parameters)
        found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        expected.gradients = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]
        for size in (8, 2):
            mine = flat(recorder._gradient(batch, entry, rows, size))
            torch.testing.assert_close(mine, flat(expected.gradients), rtol=1e-3, atol=1e-5)


def test_a_step_ahead_is_a_step_of_the_runs_optimiser_without_its_momentum(trained):
    """Against AdamW of torch, its momentum and its weight decay set to zero."""
    batch, entry = batch_and_entry(trained)
    recorder, parameters = trained.affinity, trained.affinity._last.parameters
    gradient = recorder._gradient(batch, entry, batch.parts[1][1], 8)
    optimizer = torch.optim.AdamW(copy.deepcopy(parameters), lr=trained.config.learning_rate, weight_decay=0.0)
    copies = optimizer.param_groups[0]["params"]
    for mine, theirs, each in zip(parameters, copies, gradient, strict=True):
        state = {name: value.clone() for name, value in trained.optimizer.state[mine].items()}
        optimizer.state[theirs] = {**state, "exp_avg": torch.zeros_like(mine)}
        theirs.grad = each.clone()
    torch.nn.utils.clip_grad_norm_(copies, trained.config.clip_norm)
    before = weights_of(trained)
    optimizer.step()
    with recorder._look_ahead.step(gradient):
        for mine, theirs in zip(parameters, copies, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-7)
        assert not torch.equal(weights_of(trained), before)
    assert torch.equal(weights_of(trained), before)


def test_weights_come_back_where_the_look_ahead_fails(trained):
    gradient = [torch.ones_like(each) for each in trained.affinity._last.parameters]
    before = weights_of(trained)
    with pytest.raises(RuntimeError), trained.affinity._look_ahead.step(gradient):
        raise RuntimeError
    assert torch.equal(weights_of(trained), before)


def test_a_step_on_a_task_lowers_its_own_loss_and_every_effect_is_that_on_the_loss(trained):
    batch, entry = batch_and_entry(trained, 2)
    recorder = trained.affinity
    values = recorder._measure(2, 8)
    assert (values["lookahead"].diagonal() > 0).all()
    before, _ = recorder._losses(batch, entry, 8)
    gradient = recorder._gradient(batch, entry, batch.parts[0][1], 8)
    with recorder._look_ahead.step(gradient):
        after, _ = recorder._losses(batch, entry, 8)
    torch.testing.assert_close(values["lookahead"][0], (1 - after / before).cpu(), rtol=0, atol=1e-12)
    gramian = values["gradient_gramian"]
    torch.testing.assert_close(gramian, gramian.T, rtol=0, atol=0)


def test_probe_gradients_are_those_of_every_heads_entropy_on_the_same_images(trained):
    """Against the whole model, each head on all images of the probe under its own task."""
    batch, _ = batch_and_entry(trained, 3)
    values, model = trained.affinity._measure(3, 12), trained.model.eval()
    random = np.random.default_rng([trained.spec.seed, 3, 3])
    trained.affinity._draw(random)
    rows = np.sort(random.choice(len(batch.images), PROBE_IMAGES, replace=False))
    images = trained.to_input(batch.images[rows])
    gradients = []
    for place, task in enumerate(trained.spec.tasks):
        outputs = model(images, torch.full((len(images),), place), [(task.name, slice(None))])
        total = GradientSum(trained.affinity._last.parameters)
        total.add(task.type.network.entropy(outputs[task.name]).mean())
        gradients.append(flat(total.gradients).double())
    expected = cosines(inner_products(gradients))
    # what the projection may be off by
    torch.testing.assert_close(values["probe_gradient_cosine"], expected, rtol=0, atol=0.04)
    assert (expected - torch.eye(len(expected))).abs().max() > 0.05


def test_heads_that_read_the_same_are_alike_in_features(study, tmp_path):
    """At the start no expert differs: both classifiers read the same summary, an outline reads another view."""
    trainer = recording(study, tmp_path / "run")
    trainer.model.eval()
    values = trainer.affinity._measure(0, 8)
    assert values["feature_cka"][0, 1] == pytest.approx(1.0, rel=0, abs=1e-6)
    assert values["feature_cka"][0, 2] < 0.999
    assert values["routing_similarity"][0, 2] == pytest.approx(1.0, rel=0, abs=1e-6)


def test_pieces_change_nothing_but_rounding(trained):
    trained.model.eval()
    whole, pieces = trained.affinity._measure(1, 12), trained.affinity._measure(1, 5)
    for signal, values in whole.items():
        torch.testing.assert_close(values, pieces[signal], rtol=1e-2, atol=2e-4, equal_nan=True)


def test_a_moment_that_memory_is_short_for_is_recorded_in_smaller_pieces(study, tmp_path, monkeypatch, capfd):
    trainer = recording(study, tmp_path / "run")
    measure = trainer.affinity._measure

    def short(moment: int, size: int):
        if size > 2:
            raise torch.OutOfMemoryError("out of memory")
        return measure(moment, size)

    monkeypatch.setattr(trainer.affinity, "_measure", short)
    steps_with_recording(trainer, 1)
    assert len(trainer.affinity._moments) == 1 and "affinity after step 0: out of memory" in capfd.readouterr().out
    assert trainer.objective.micro_batch == trainer.config.batch_size


def test_the_gradient_of_the_entropy_is_that_of_targets_a_little_sharper():
    """Own soft predictions as targets give no gradient; sharpened a little, that of the entropy."""
    logits = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)

    def gradient(targets: torch.Tensor) -> torch.Tensor:
        loss = torch.nn.functional.cross_entropy(logits, targets.detach(), reduction="sum")
        return torch.autograd.grad(loss, logits)[0]

    assert gradient(logits.softmax(1)).abs().max() < 1e-12
    entropy = torch.autograd.grad(softmax_entropy(logits, 1).sum(), logits)[0]
    sharper = gradient((1.0001 * logits).softmax(1)) / 0.0001
    torch.testing.assert_close(sharper, entropy, rtol=1e-3, atol=1e-4)


def test_images_of_one_kind_are_near_and_those_of_two_are_far(study, trained):
    """Both lung classifiers, and both nodule tasks, look alike; lungs and thyroids do not."""
    divergence = image_divergence(trained.train_cases, trained.store)
    lung, thyroid = divergence[0, 1], divergence[2, 3]
    assert max(lung, thyroid) < 0.2 * divergence[:2, 2:].min()
    assert torch.equal(divergence, divergence.T)
