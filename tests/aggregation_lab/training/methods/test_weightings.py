"""Weightings: factors as TorchJD's scalarizers have them, memory by task, whatever the pieces and interruptions."""

import pytest
import torch
from torch import nn
from torchjd import scalarization as library

from aggregation_lab.training.methods.weightings import FAMO_DECAY, FAMO_RATE, TaskWeighting, open_weighting
from tests.aggregation_lab.training.methods.trainers import (
    BATCH,
    LUNG,
    TASKS,
    Study,
    all_tasks,
    batch_with,
    step_gradients,
    trainer_for,
    weights_after_resume,
    weights_of,
)

METHODS = ("uncertainty", "dwa", "gls", "rlw", "famo")
CPU = torch.device("cpu")
NAMES = ["a", "b", "c"]


def weighting_of(name: str, images: int = 12) -> TaskWeighting:
    return open_weighting(name, NAMES, images, CPU)


def losses_of(count: int, tasks: int = 3) -> torch.Tensor:
    """Losses of steps: steps x tasks."""
    return torch.rand(count, tasks, generator=torch.Generator().manual_seed(3)) + 0.1


def derivative(scalarizer: library.Scalarizer, losses: torch.Tensor) -> torch.Tensor:
    values = losses.clone().requires_grad_()
    return torch.autograd.grad(scalarizer(values), values)[0]


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6)


# ---- one method at a time, against TorchJD -------------------------------------------------------------------------


def test_gls_is_the_geometric_mean():
    (losses,) = losses_of(1)
    assert_same(weighting_of("gls").factors(NAMES, losses), 3 * derivative(library.GeometricMean(), losses))


def test_rlw_draws_as_the_library_does():
    weighting, (losses,) = weighting_of("rlw"), losses_of(1)
    torch.manual_seed(1)
    weighting.begin(3)
    found = weighting.factors(NAMES, None)
    torch.manual_seed(1)
    assert_same(found, 3 * derivative(library.Random(), losses))
    assert torch.equal(found, weighting.factors(NAMES, None))


def test_uncertainty_is_learned_as_by_the_library():
    weighting, scalarizer = weighting_of("uncertainty"), library.UW(3)
    # an image adds twice what it adds by the library, and each of the three tasks has a third of the images
    steppers = [torch.optim.SGD(weighting.learned, lr=0.6), torch.optim.SGD(scalarizer.parameters(), lr=0.4)]
    for losses in losses_of(5):
        assert_same(weighting.factors(NAMES, None), 2 * derivative(scalarizer, losses))
        weighting.learn(NAMES, losses, torch.ones(3))
        scalarizer(losses).backward()
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad()


def test_famo_follows_the_library():
    weighting, scalarizer = weighting_of("famo"), library.FAMO(3, lr=FAMO_RATE, weight_decay=FAMO_DECAY)
    for before, after in zip(losses_of(20), losses_of(40)[20:], strict=True):
        assert_same(weighting.factors(NAMES, before), 3 * derivative(scalarizer, before))
        weighting.learn(NAMES, before, torch.ones(3))
        weighting.look_back(NAMES, after)
        scalarizer.update(after)


def test_dwa_follows_the_library_over_passes():
    weighting, scalarizer = weighting_of("dwa", images=12), library.DWA()
    for step, losses in enumerate(losses_of(20)):
        assert_same(weighting.factors(NAMES, None), derivative(scalarizer, losses))
        weighting.learn(NAMES, losses, torch.ones(3))
        if step % 4 == 3:  # four steps of three images: a pass
            scalarizer.step()


# ---- tasks that are not in every batch -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_a_task_alone_or_among_its_like_has_the_factor_one(name):
    weighting = weighting_of(name)
    for names in (["b"], NAMES):
        losses = torch.full((len(names),), 0.7)
        weighting.begin(len(names))
        factors = weighting.factors(names, losses if weighting.takes_losses else None)
        assert_same(factors.mean(), torch.ones(()))


def test_dwa_takes_the_last_two_passes_that_had_the_task():
    weighting, always = weighting_of("dwa", images=4), ["a", "b"]
    for losses in ([1.0, 1.0, 2.0], [0.5, 1.0], [0.25, 1.0], [0.125, 1.0, 1.0]):
        names = NAMES if len(losses) == 3 else always
        weighting.learn(names, torch.tensor(losses), torch.full((len(losses),), 4.0 / len(losses)))
    rates = torch.tensor([0.5, 1.0, 0.5])  # of c: from the first pass to the fourth
    assert_same(weighting.factors(NAMES, None), 3 * torch.softmax(rates / 2, 0))


def test_famo_leaves_the_logits_of_absent_tasks():
    weighting = weighting_of("famo")
    for before, after in zip(losses_of(4, 2), losses_of(8, 2)[4:], strict=True):
        weighting.learn(["a", "c"], before, torch.ones(2))
        weighting.look_back(["a", "c"], after)
    logits = weighting.state()["logits"]
    assert logits[1] == 0 and (logits[[0, 2]] != 0).all()


# ---- in the trainer ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_every_weighting_trains_and_resumes_bit_by_bit(study: Study, tmp_path, name):
    whole, resumed = weights_after_resume(study, tmp_path, weighting=name)
    assert torch.equal(whole, resumed) and whole.isfinite().all()


@pytest.mark.parametrize("name", ["uncertainty", "gls", "famo"])
def test_pieces_give_the_gradients_of_the_whole_batch(study: Study, tmp_path, name):
    trainer = trainer_for(study, tmp_path, weighting=name, loss_weights={LUNG[0]: 3.0})
    batch = batch_with(trainer, all_tasks)
    expected = step_gradients(trainer, batch)
    found = step_gradients(trainer, batch, 3)
    assert set(found) == set(expected)
    for parameter, gradient in expected.items():
        assert (found[parameter] - gradient).abs().max() <= 1e-3 * max(g.abs().max() for g in expected.values()), (
            parameter
        )


def test_a_pass_beside_the_one_that_trains_moves_no_running_statistics(study: Study, tmp_path):
    """Those of FAMO after the step, and of GLS before it where a batch goes through in pieces."""
    plain_resnet = {"encoder": "test_resnet", "moe": {"experts": 0}, "drop_path": 0.0}
    statistics = {}
    for name, half in (("fixed", True), ("gls", True), ("famo", True), ("fixed", False), ("famo", False)):
        trainer = trainer_for(study, tmp_path / f"{name}{half}", model=plain_resnet, weighting=name)
        trainer.objective.micro_batch = BATCH // 2 if half else BATCH
        trainer.train_step()
        norm = next(each for each in trainer.model.modules() if isinstance(each, nn.BatchNorm2d))
        statistics[name, half] = norm
        assert norm.num_batches_tracked == (2 if half else 1) and norm.track_running_stats
    for name, half in statistics:
        plain = statistics["fixed", half]
        torch.testing.assert_close(statistics[name, half].running_mean, plain.running_mean, rtol=0, atol=1e-7)
        torch.testing.assert_close(statistics[name, half].running_var, plain.running_var, rtol=0, atol=1e-7)


def test_gradients_are_those_of_the_geometric_mean_of_the_losses(study: Study, tmp_path):
    """Two images of each task, so that tasks and images are weighed alike."""
    trainer = trainer_for(study, tmp_path, weighting="gls", model={"drop_path": 0.0}, loss_weights={LUNG[0]: 3.0})
    batch = batch_with(trainer, lambda batch: [rows.stop - rows.start for _, rows in batch.parts] == [2, 2, 2, 2])
    found = step_gradients(trainer, batch)
    outputs = trainer.model(trainer.to_input(batch.images), batch.task_index, batch.parts)
    losses = [
        trainer.config.loss_weights.get(name, 1.0) * trainer.objective.loss_of[name](outputs[name], target).mean()
        for name, target in batch.targets.items()
    ]
    trainer.optimizer.zero_grad()
    library.GeometricMean()(torch.stack(losses)).backward()
    for name, parameter in trainer.model.named_parameters():
        assert torch.allclose(found[name], parameter.grad, rtol=1e-3, atol=1e-5), name


def test_memory_that_runs_out_changes_no_draw(study: Study, tmp_path, monkeypatch):
    trainer = trainer_for(study, tmp_path, weighting="rlw")
    batch = batch_with(trainer, all_tasks)
    expected = step_gradients(trainer, batch)
    forward = type(trainer.model).forward

    def limited(self, images, *arguments, **settings):
        if len(images) > BATCH // 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, images, *arguments, **settings)

    monkeypatch.setattr(type(trainer.model), "forward", limited)
    found = step_gradients(trainer, batch)
    assert trainer.objective.micro_batch == BATCH // 2
    largest = max(gradient.abs().max() for gradient in expected.values())
    assert all((found[name] - expected[name]).abs().max() <= 1e-3 * largest for name in expected)


def test_log_variances_learn_with_the_model_and_are_not_clipped_with_it(study: Study, tmp_path):
    trainer = trainer_for(study, tmp_path, weighting="uncertainty", clip_norm=1e-6)
    (log_variance,) = trainer.objective.learned
    assert isinstance(log_variance, nn.Parameter) and len(log_variance) == len(TASKS)
    trainer.train_step()
    moved = log_variance.detach().abs()
    rate = trainer.optimizer.param_groups[-1]["lr"]
    assert rate > 0 and moved.max() == pytest.approx(rate, rel=1e-2, abs=0)  # Adam's first step


@pytest.mark.parametrize("name", ["gls", "rlw"])
def test_operations_are_counted_as_without_a_method(study: Study, tmp_path, name):
    plain, weighed = trainer_for(study, tmp_path / "a"), trainer_for(study, tmp_path / "b", weighting=name)
    for trainer in (plain, weighed):
        trainer.train_step()
    assert weighed.flops() == pytest.approx(plain.flops(), rel=1e-6, abs=0)
    assert not torch.equal(weights_of(plain), weights_of(weighed))
