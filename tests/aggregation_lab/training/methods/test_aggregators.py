"""Aggregators: the library's answer on the gradients of the tasks, whatever the pieces, absences and interruptions."""

from importlib.metadata import version

import pytest
import torch
from torch import nn
from torchjd import aggregation as library

from aggregation_lab.errors import ModelError
from aggregation_lab.model.backbones.build import build_backbone
from aggregation_lab.results import RUN_TABLES, read_table
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.methods import aggregators
from aggregation_lab.training.methods.gradient_combination import GradientCombination
from tests.aggregation_lab.training.methods.trainers import (
    BATCH,
    LUNG,
    SEEDED,
    Study,
    all_tasks,
    batch_with,
    shared_part,
    spec_for,
    step_gradients,
    task_gradients,
    trainer_for,
    weights_after_resume,
    weights_of,
)
from tests.small_encoder import MINI

BY_HAND = {
    "upgrad": lambda rows: library.UPGrad(torch.ones(len(rows))),
    "pcgrad": lambda rows: library.PCGrad(),
    "cagrad": lambda rows: library.CAGrad(0.5),
    "nash_mtl": lambda rows: library.NashMTL(len(rows)),
    "imtl_g": lambda rows: library.IMTLG(),
    "mgda": lambda rows: library.MGDA(),
    "aligned_mtl": lambda rows: library.AlignedMTL(torch.ones(len(rows))),
    "graddrop": lambda rows: library.GradDrop(),
    "gradvac": lambda rows: library.GradVac(),
    "fairgrad": lambda rows: library.FairGrad(2.0),
    "config": lambda rows: library.ConFIG(),
}
MEANS = ("cagrad", "imtl_g", "mgda")


def assert_near(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert (found - expected).abs().max() <= 2e-3 * expected.abs().max()


@pytest.mark.filterwarnings("ignore:You are solving a parameterized problem")
@pytest.mark.parametrize("name", BY_HAND)
def test_shared_parameters_get_what_the_library_makes_of_the_tasks_gradients(study: Study, tmp_path, name):
    trainer = trainer_for(study, tmp_path, aggregator=name, model={"drop_path": 0.0}, loss_weights={LUNG[0]: 3.0})
    batch = batch_with(trainer, all_tasks)
    rows = task_gradients(trainer, batch)
    # a solver's tolerance is absolute, and FairGrad's size depends on that of the rows: it is asked at unit size
    unit = rows.norm() if name in ("fairgrad", "cagrad", "upgrad") else 1.0
    torch.manual_seed(SEEDED)
    expected = BY_HAND[name](rows)(rows / unit) * unit * (len(rows) if name in MEANS else 1)
    assert_near(shared_part(step_gradients(trainer, batch)), expected)
    assert not trainer.objective.combination.failures


def test_the_sum_of_the_gradients_is_the_plain_step(study: Study, tmp_path, monkeypatch):
    monkeypatch.setitem(aggregators._MADE, "upgrad", lambda ones: library.Sum())
    plain = trainer_for(study, tmp_path / "a", loss_weights={LUNG[0]: 3.0})
    batch = batch_with(plain, all_tasks)
    added = trainer_for(study, tmp_path / "b", loss_weights={LUNG[0]: 3.0}, aggregator="upgrad")
    expected, found = step_gradients(plain, batch), step_gradients(added, batch)
    assert set(found) == set(expected)
    assert_near(
        torch.cat([found[name].flatten() for name in expected]), torch.cat([g.flatten() for g in expected.values()])
    )


def test_heads_get_the_gradient_of_their_own_task(study: Study, tmp_path):
    plain = trainer_for(study, tmp_path / "a")
    batch = batch_with(plain, all_tasks)
    expected = step_gradients(plain, batch)
    found = step_gradients(trainer_for(study, tmp_path / "b", aggregator="nash_mtl"), batch)
    heads = [name for name in expected if name.startswith("heads.")]
    assert heads
    for name in heads:
        assert torch.allclose(found[name], expected[name], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["upgrad", "mgda", "nash_mtl", "fairgrad", "config"])
def test_no_task_is_moved_against_its_gradient_where_the_sum_does(name):
    rows = torch.tensor([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]])
    assert (rows @ rows.sum(0)).min() < 0
    weight, bias = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    combination = GradientCombination(name, ["a", "b"])
    combination.apply([weight, bias], [rows[:, :2], rows[:, 2:]], ["a", "b"], "step 0")
    combined = torch.cat([weight.grad, bias.grad])
    assert (rows @ combined / combined.norm()).min() >= -1e-2  # solvers stop short of the exact answer
    assert combined.norm() > 0 and not combination.failures


@pytest.mark.parametrize("micro_batch", [2, 1])
@pytest.mark.parametrize("name", ["upgrad", "graddrop"])
def test_pieces_give_the_gradients_of_the_whole_batch(study: Study, tmp_path, name, micro_batch):
    trainer = trainer_for(study, tmp_path, aggregator=name)
    batch = batch_with(trainer, lambda batch: max(rows.stop - rows.start for _, rows in batch.parts) > 2)
    expected = step_gradients(trainer, batch)
    for _ in range(2):  # the second time over gradients that an attempt has left
        found = step_gradients(trainer, batch, micro_batch)
        assert set(found) == set(expected)
        far = (shared_part(found) - shared_part(expected)).abs() > 2e-3 * shared_part(expected).abs().max()
        assert far.float().mean() <= 1e-3  # a sign that GradDrop draws for can turn with the rounding


def test_memory_that_runs_out_amid_the_tasks_leaves_no_half_of_a_gradient(study: Study, tmp_path, monkeypatch):
    trainer = trainer_for(study, tmp_path, aggregator="upgrad")
    batch = batch_with(trainer, all_tasks)
    expected = step_gradients(trainer, batch)
    forward, calls = type(trainer.model).forward, []

    def limited(self, images, *arguments, **settings):
        calls.append(len(images))
        if len(calls) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, images, *arguments, **settings)

    monkeypatch.setattr(type(trainer.model), "forward", limited)
    assert_near(shared_part(step_gradients(trainer, batch)), shared_part(expected))
    assert trainer.objective.micro_batch == BATCH // 2 and len(calls) > 4


@pytest.mark.parametrize("name", BY_HAND)
def test_every_aggregator_trains_and_resumes_bit_by_bit(study: Study, tmp_path, name, capfd):
    whole, resumed = weights_after_resume(study, tmp_path, aggregator=name)
    assert torch.equal(whole, resumed) and whole.isfinite().all()
    assert not torch.equal(whole, weights_of(trainer_for(study, tmp_path / "start")))
    assert "found no gradient" not in capfd.readouterr().out


@pytest.mark.parametrize("name", ["nash_mtl", "gradvac"])
def test_what_is_remembered_of_a_task_waits_for_it(study: Study, tmp_path, name):
    trainer = trainer_for(study, tmp_path, aggregator=name, batch_size=3)
    aggregator = trainer.objective.combination.aggregator
    first = batch_with(trainer, lambda batch: len(batch.parts) == 3)
    step_gradients(trainer, first)
    before = aggregator.memory.clone()
    batch = batch_with(trainer, lambda batch: len(batch.parts) == 2)
    step_gradients(trainer, batch)
    there = torch.tensor([task in dict(batch.parts) for task in trainer.tasks])
    away = ~there if name == "nash_mtl" else ~(there.unsqueeze(1) & there)
    assert torch.equal(aggregator.memory[away], before[away])
    assert not torch.equal(aggregator.memory, before)


@pytest.mark.parametrize("precision, model", [("bf16", {}), ("fp32", {"frozen_blocks": 2, "weights": "checkpoint"})])
def test_in_mixed_precision_and_above_frozen_blocks(study: Study, tmp_path, precision, model):
    if model:
        model = dict(model)
        model["weights"] = str(tmp_path / "encoder.pt")
        torch.save(build_backbone(MINI).network.state_dict(), model["weights"])
    trainer = trainer_for(
        study, tmp_path / "run", aggregator="upgrad", precision=precision, model=model, augment=not model
    )
    before = weights_of(trainer)
    for _ in range(3):
        trainer.train_step()
    gradients = step_gradients(trainer, batch_with(trainer))
    assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}
    assert not torch.equal(before, weights_of(trainer)) and not trainer.objective.combination.failures
    assert any(name.startswith("encoder.blocks.0.") for name in gradients) == (not model)


# ---- where there is no answer --------------------------------------------------------------------------------------


def test_where_the_solver_fails_the_sum_takes_its_place_and_the_log_says_so(study: Study, tmp_path, monkeypatch, capfd):
    class Failing(library.Aggregator):
        def forward(self, matrix, /):
            raise ValueError("Failed to solve\nthe quadratic programming problem.")

    trainer = trainer_for(study, tmp_path / "b", aggregator="upgrad")
    batch = batch_with(trainer, all_tasks)
    monkeypatch.setitem(aggregators._MADE, "upgrad", lambda ones: Failing())
    expected = step_gradients(trainer_for(study, tmp_path / "a"), batch)
    for _ in range(3):
        assert_near(shared_part(step_gradients(trainer, batch)), shared_part(expected))
    line = (
        "step 0: upgrad found no gradient (Failed to solve the quadratic programming problem.); took the sum of the "
        "tasks' gradients, in {}"
    )
    assert capfd.readouterr().out.splitlines() == [line.format("1 step so far"), line.format("2 steps so far")]


@pytest.mark.parametrize("name", ["upgrad", "nash_mtl", "graddrop"])
def test_a_gradient_that_is_not_finite_is_named(study: Study, tmp_path, name, capfd):
    trainer = trainer_for(study, tmp_path, aggregator=name)
    batch = batch_with(trainer, all_tasks)
    loss = trainer.objective.loss_of[LUNG[1]]
    trainer.objective.loss_of[LUNG[1]] = lambda output, target: loss(output, target) * torch.nan
    step_gradients(trainer, batch)
    (line,) = capfd.readouterr().out.splitlines()
    assert line.startswith(f"step 0: {name} found no gradient (the gradient of task {LUNG[1]} is not finite); took")


def test_lack_of_memory_in_the_aggregator_is_no_failed_solution(study: Study, tmp_path, monkeypatch):
    class Greedy(library.Aggregator):
        def forward(self, matrix, /):
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setitem(aggregators._MADE, "upgrad", lambda ones: Greedy())
    trainer = trainer_for(study, tmp_path, aggregator="upgrad")
    with pytest.raises(torch.OutOfMemoryError):
        step_gradients(trainer, batch_with(trainer))


def test_a_missing_package_is_named_before_anything_is_built(study: Study, tmp_path, monkeypatch):
    monkeypatch.setattr("aggregation_lab.method_names.find_spec", lambda name: None if name == "ecos" else object())
    with pytest.raises(
        ModelError, match=r"^training.aggregator: nash_mtl needs ecos, which is not installed; pip install ecos$"
    ):
        trainer_for(study, tmp_path, aggregator="nash_mtl")


@pytest.mark.slow
def test_a_run_names_the_packages_that_combined_its_gradients(study: Study, tmp_path):
    found = {}
    for name in ("none", "upgrad"):
        spec = spec_for(study[0], *LUNG, aggregator=name, min_steps=3, passes=0.01, evaluations=3)
        (tmp_path / name).mkdir()
        train_run(spec, *study, tmp_path / name)
        found[name] = read_table(tmp_path / name / "runs.parquet", RUN_TABLES["runs"])["versions"].iloc[0]
    assert "torch 2" in found["none"] and "torchjd" not in found["none"]
    for package in ("torchjd", "qpsolvers", "quadprog"):
        assert f", {package} {version(package)}," in found["upgrad"] + ","
