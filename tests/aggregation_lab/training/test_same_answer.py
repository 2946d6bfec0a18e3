"""A model that gives every image the same answer says so, in its log, its result and the states of its study."""

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.data.cache import ImageCache, open_cache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import Split, draw_split
from aggregation_lab.model.heads.classification import ClassificationHead
from aggregation_lab.run import RunSpec
from aggregation_lab.storage.sealed_json import write_sealed
from aggregation_lab.tasks.same_answer import same_answer
from aggregation_lab.training.course import same_answer_since
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.trainer import Trainer
from runners.execution.grid import print_outcome
from runners.store.run_folder import State, run_state, same_answer_lines
from tests.small_encoder import EXPERTS, MINI
from tests.tiny import planned

SIZE, CASES = 32, 40
TASKS = ("tiny_head", "tiny_kind", "tiny_head_det", "tiny_head_axis")
DATA = tuple[Dataset, Split, ImageCache]


@pytest.fixture(scope="module")
def data(tiny_dataset: Dataset, tmp_path_factory) -> DATA:
    return tiny_dataset, draw_split(tiny_dataset), open_cache(tiny_dataset, SIZE, tmp_path_factory.mktemp("cache"))


def spec_for(dataset: Dataset, *names: str) -> RunSpec:
    settings = {"image_size": SIZE, "passes": 1, "min_steps": 6, "batch_size": 8, "evaluations": 3, "precision": "fp32"}
    model = ModelConfig(encoder=MINI, head_width=16, moe=EXPERTS)
    tasks = tuple(dataset.tasks[name] for name in names)
    return RunSpec(tasks, 1.0, 0, model, TrainingConfig.model_validate(settings), data="test")


# ---- what counts as the same ----------------------------------------------------------------------------------------


def weak(kind: str, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Predictions that follow their targets a little, in much noise, and the targets."""
    if kind == "classes":
        labels = random.integers(0, 2, CASES)
        second = 0.5 + 0.02 * (labels - 0.5) + random.normal(0, 0.03, CASES)
        return np.stack([1 - second, second], 1).astype(np.float32), labels
    if kind == "masks":
        sides = random.integers(3, 12, CASES)
        targets = np.array([np.pad(np.ones((side, side), np.uint8), (0, 16 - side)) for side in sides])
        follows = np.array(
            [np.pad(np.ones((6 + (side > 7), 6), np.uint8), ((0, 10 - (side > 7)), (0, 10))) for side in sides]
        )
        return follows, targets
    targets = random.uniform(0.2, 0.8, (CASES, 4 if kind == "boxes" else 6))
    near = 0.5 + 0.1 * (targets - 0.5) + random.normal(0, 0.01, targets.shape)
    return near.astype(np.float32), targets


@pytest.mark.parametrize("kind", ["classes", "masks", "boxes", "points"])
def test_a_noisy_model_that_learned_a_little_is_no_constant_one(kind):
    random = np.random.default_rng(3)
    predictions, targets = weak(kind, random)
    assert same_answer(predictions, targets) is False
    always = np.repeat(predictions[:1], CASES, axis=0)
    assert same_answer(always, targets) is True
    if always.dtype == np.float32:  # what bf16 makes of a probability of 0.69
        rounded = always + random.choice([0, 0.0004, 0.0008, 0.0013], (CASES, 1)).astype(np.float32)
        assert same_answer(rounded, targets) is True
    one_other = always.copy()
    one_other[7] = 0.9 * (1 - one_other[7]) if always.dtype == np.float32 else 1 - one_other[7]
    assert same_answer(one_other, targets) is False, "one case apart from all others is an answer of its own"


def test_where_targets_do_not_differ_nothing_is_told():
    same = np.full((CASES, 4), 0.5, np.float32)
    assert same_answer(same, np.full((CASES, 4), 0.4)) is None, "the same box may be right"
    assert same_answer(same[:1], np.full((1, 4), 0.4)) is None


def test_the_step_since_when_is_that_of_the_last_streak():
    def rows(task, *flags):
        return [{"task": task, "step": 10 * at, "score": 0.5, "same_answer": flag} for at, flag in enumerate(flags, 1)]

    curve = [
        *rows("early", True, True, False, False),
        *rows("late", False, True, True, True),
        *rows("again", True, False, True, None),
    ]
    curve += [{"task": "before it was looked at", "step": step, "score": 0.5} for step in (10, 40)]
    assert same_answer_since(sorted(curve, key=lambda row: row["step"]), 40) == {"late": 20}
    assert same_answer_since(sorted(curve, key=lambda row: row["step"]), 30) == {"late": 20, "again": 30}


# ---- a model --------------------------------------------------------------------------------------------------------


def validated(data: DATA, folder: Path, name: str, scale: float) -> bool | None:
    """Whether an untrained model gives all validation cases the same answer, its head drawn at a scale."""
    trainer = Trainer(spec_for(data[0], name), *data, folder, torch.device("cpu"))
    with torch.no_grad():
        for layer in trainer.model.heads[name].modules():
            if hasattr(layer, "weight"):
                layer.weight.normal_(0, scale)
    (cases,) = trainer.val_cases
    return trainer.evaluator.validate(cases).same_answer


@pytest.mark.parametrize("name", TASKS)
def test_a_head_that_died_is_seen_at_every_type(data, tmp_path, name):
    assert validated(data, tmp_path, name, 0.0) is True


@pytest.mark.parametrize("name", [name for name in TASKS if name != "tiny_kind"])  # one probability saturates instead
def test_a_head_that_reads_its_image_has_not_died(data, tmp_path, name):
    assert validated(data, tmp_path, name, 30.0) is False


def test_a_run_of_which_a_head_died_says_so_everywhere(data, tmp_path, monkeypatch, capsys):
    def dead(head: ClassificationHead, features: torch.Tensor, size: int) -> torch.Tensor:
        return head.classify(0 * head.reduce(features)).float()

    monkeypatch.setattr(ClassificationHead, "forward", dead)
    spec = spec_for(data[0], "tiny_kind")
    train_run(spec, *data, tmp_path, threads=1)
    said = (
        "tiny_kind: since step 2 every validation case gets the same answer, so nothing was learned of it; try a lower"
    )
    assert said in capsys.readouterr().out
    status = run_state(tmp_path, spec.id)
    assert status.state is State.DONE and status.same_answer == {"tiny_kind": 2}
    run = planned("lung")
    (line,) = same_answer_lines(run, status)
    assert line.startswith(f"warning  {run.title}: {said}")
    console = Console(file=StringIO(), width=200)
    print_outcome(tmp_path, [run], {run.id: status}, {}, console)
    assert line in console.file.getvalue()


def test_a_damaged_field_costs_no_result(tmp_path: Path):
    write_sealed(tmp_path / "done.json", {"run": "a" * 12, "seconds": 1.0, "same_answer": ["lung"]})
    status = run_state(tmp_path, "a" * 12)
    assert status.state is State.DONE and status.same_answer == {}
