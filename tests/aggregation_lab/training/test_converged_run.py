"""Runs that are trained to their end: by the rule, by the cap, bit by bit the same whenever they are killed, and a run
to its budget that has not changed by a digit."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from aggregation_lab import results
from aggregation_lab.config import ModelConfig, TrainingConfig, with_cooldown
from aggregation_lab.data.cache import ImageCache, open_cache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import Split, draw_split
from aggregation_lab.run import CHECKPOINT, RunSpec
from aggregation_lab.tasks import Task, TaskType
from aggregation_lab.training.evaluation import Evaluator, Validation
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.trainer import Progress, RunInterrupted, Trainer
from tests.small_encoder import EXPERTS, MINI

SIZE, BUDGET = 32, 6
Data = tuple[Dataset, Split, ImageCache]


@pytest.fixture(scope="module")
def data(tiny_dataset: Dataset, tmp_path_factory) -> Data:
    return tiny_dataset, draw_split(tiny_dataset), open_cache(tiny_dataset, SIZE, tmp_path_factory.mktemp("cache"))


def spec_for(data: Data, *names: str, **training) -> RunSpec:
    """A run of `names`, whose budget is that of `min_steps`, with the cap at most_passes / passes times as many."""
    tasks = tuple(data[0].tasks[name] for name in names or ("tiny_kind", "tiny_head_axis"))
    settings = {
        "image_size": SIZE, "passes": 0.1, "min_steps": BUDGET, "batch_size": 4, "evaluations": 3, "precision": "fp32",
        "until": "converged", "most_passes": 0.3, **training,
    }  # fmt: skip
    model = ModelConfig(encoder=MINI, head_width=8, drop_path=0.1, moe=EXPERTS)
    return RunSpec(tasks, 1.0, 0, model, TrainingConfig.model_validate(settings), data="test")


@pytest.fixture
def scores(monkeypatch) -> dict[str, list[float]]:
    """What validation is to say, by task, point after point and the last for ever; the model is not asked."""
    given: dict[str, list[float]] = {}
    steps: dict[tuple[int, str], int] = {}

    def told(self: Evaluator, cases) -> Validation:
        known = given[cases.task.name]
        key = id(self), cases.task.name
        steps[key] = steps.get(key, -1) + 1
        return Validation(known[min(steps[key], len(known) - 1)], None)

    monkeypatch.setattr(Evaluator, "validate", told)
    return given


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {name: results.read_table(folder / f"{name}.parquet", table) for name, table in results.RUN_TABLES.items()}


def trained(data: Data, folder: Path, *names: str, **training) -> tuple[pd.Series, pd.DataFrame]:
    """The ledger and the curves of a run."""
    train_run(spec_for(data, *names, **training), *data, folder, threads=1)
    found = tables(folder)
    return found["runs"].iloc[0], found["curves"]


def test_a_run_ends_by_its_criterion(data, tmp_path, scores):
    scores |= {"tiny_kind": [0.5], "tiny_head_axis": [0.1, 0.2, 0.3, 0.4, 0.5, 0.5]}
    # a step of validation is 2; of tiny_head_axis the smoothed curve is 0.5 from step 12 on, at which it still rises
    run, curves = trained(data, tmp_path, most_passes=1)
    start = int(curves.groupby("task")["step"].nth(-3).max())
    assert bool(run["converged"]) and not curves["still_improving"].any()
    assert BUDGET < start < 30 and run["steps"] == with_cooldown(start) == curves["step"].max()
    assert run["images_seen"] == 4 * run["steps"]
    n_train = sum(len(data[1].cases("train", name)) for name in ("tiny_kind", "tiny_head_axis"))
    assert run["passes"] == pytest.approx(run["images_seen"] / n_train, rel=1e-9, abs=0)


def test_the_cap_ends_a_run_and_the_ledger_says_so(data, tmp_path, scores):
    scores |= {"tiny_kind": [0.5], "tiny_head_axis": [point / 20 for point in range(20)]}
    run, curves = trained(data, tmp_path)
    rising = curves.groupby("task")["still_improving"].all()
    assert not run["converged"] and rising.to_dict() == {"tiny_head_axis": True, "tiny_kind": False}
    assert run["steps"] == 3 * BUDGET


def test_a_run_that_rises_no_more_still_gets_its_budget(data, tmp_path, scores):
    scores |= {"tiny_kind": [0.9, 0.5]}
    run, _ = trained(data, tmp_path, "tiny_kind")
    assert bool(run["converged"]) and run["steps"] == with_cooldown(BUDGET)


@pytest.mark.slow
def test_a_real_run_ends_between_its_budget_and_its_cap(data, tmp_path):
    run, curves = trained(data, tmp_path, min_steps=12, most_passes=0.6, rise=0.05)
    assert with_cooldown(12) <= run["steps"] <= 6 * 12
    assert bool(run["converged"]) is not bool(curves["still_improving"].any())
    assert curves["score"].notna().all()


class Kill(BaseException):
    """Stands for a SIGKILL: nothing in the trainer may catch it."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "checkpoint", "most_passes"), [(Kill, "best", 0.3), (RunInterrupted, "last", 0.3), (Kill, "last", 0.12)]
)
def test_killed_at_any_step_and_resumed_equals_undisturbed_bit_by_bit(data, tmp_path, how, checkpoint, most_passes):
    """At every single step in turn: in the budget, beyond it, at the start of the cooldown, in it, while scoring."""
    settings = {"checkpoint": checkpoint, "most_passes": most_passes, "rise": 0.0}
    spec = spec_for(data, "tiny_kind", **settings)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    phases: list[Progress] = []
    train_run(spec, *data, whole, threads=1, report=phases.append)
    one = tables(whole)
    last = int(one["runs"]["steps"].iloc[0])
    open_steps = [progress.step for progress in phases if progress.at_most]
    assert [progress.steps for progress in phases if not progress.at_most].count(last) >= 1
    assert open_steps == list(range(1, len(open_steps) + 1))

    def kill_at(step: int, phase: str):
        def report(progress: Progress) -> None:
            if progress.step == step and progress.phase == phase:
                raise how

        return report

    kills = [*((step, "training") for step in range(1, last + 1)), (last, "scoring")]
    for step, phase in kills:
        with pytest.raises(how):
            train_run(spec, *data, broken, threads=1, report=kill_at(step, phase), checkpoint_seconds=0)
        assert (broken / CHECKPOINT).is_file()
    train_run(spec, *data, broken, threads=1)
    other = tables(broken)
    for name in ("scores", "cases", "curves", "routing"):
        pd.testing.assert_frame_equal(one[name], other[name], check_exact=True)
    same = ["steps", "images_seen", "passes", "flops", "converged"]
    pd.testing.assert_frame_equal(one["runs"][same], other["runs"][same], check_exact=True)
    assert other["runs"]["resumes"].iloc[0] == len(kills)


def test_a_larger_cap_extends_a_shorter_run_bit_by_bit_up_to_its_cooldown(data, tmp_path, scores):
    scores |= {"tiny_kind": [point / 100 for point in range(100)]}
    starts = {}
    for most_passes in (0.2, 0.4):
        spec = spec_for(data, "tiny_kind", most_passes=most_passes, rise=0.001)
        trainer = Trainer(spec, *data, tmp_path, torch.device("cpu"))
        trainer.model.train()
        while trainer.step < 10:
            trainer.train_step()
            if trainer.course.evaluates(trainer.step):
                trainer.evaluate()
        starts[most_passes] = trainer
    short, long = starts.values()
    assert short.course.cooldown_start == 10 < long.course.cooldown_start == 20  # type: ignore[attr-defined]
    assert short.ledger.curve == long.ledger.curve and short.ledger.images_seen == long.ledger.images_seen
    for (name, one), other in zip(short.model.state_dict().items(), long.model.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    short.train_step()
    long.train_step()
    rates = [trainer.optimizer.param_groups[0]["lr"] for trainer in (short, long)]
    assert rates[0] < rates[1]


def test_a_run_to_its_budget_has_the_id_it_had_before_there_was_another_end(monkeypatch):
    """Golden, of recipe 3; a field that is not used must not make the results of a user stale."""
    monkeypatch.setattr("aggregation_lab.run.RECIPE", 3)
    task = Task("lung", TaskType.SEGMENTATION, 2, "lung")
    spec = RunSpec((task,), 1.0, 0, ModelConfig(), TrainingConfig(), "data")
    assert spec.id == "0479cf25fc9e"
    assert RunSpec.from_json(spec.to_json()) == spec
    explicit = replace(spec, training=TrainingConfig(until="budget"))
    assert explicit.id == spec.id
    longer = replace(spec, training=TrainingConfig(until="converged"))
    assert longer.id != spec.id and RunSpec.from_json(longer.to_json()) == longer
