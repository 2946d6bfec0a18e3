"""Targets move with the image; laterality and points are never mirrored; draws depend on (seed, step) only."""

import numpy as np
import pytest
import torch

from aggregation_lab.config import TrainingConfig
from aggregation_lab.model.heads.detection import Detections, detection_loss
from aggregation_lab.model.heads.heat_maps import SPREAD, cell_centres, heat_map_loss, mean_position
from aggregation_lab.model.heads.segmentation import segmentation_loss
from aggregation_lab.tasks import CHALLENGE_TASKS, Task, TaskType
from aggregation_lab.training.augmentation import augment
from aggregation_lab.training.batches import Batch, Sampler

SEG = Task("seg", TaskType.SEGMENTATION, 2, "g")
DET = Task("det", TaskType.DETECTION, 1, "g")
REG = Task("reg", TaskType.REGRESSION, 1, "g")
CLS = Task("cls", TaskType.CLASSIFICATION, 2, "g")
SIDE = 64
COUNT = 24


def square_batch() -> Batch:
    """The same bright square, off centre, in every image; every target describes it."""
    images = torch.zeros(3 * COUNT, 1, SIDE, SIDE, dtype=torch.uint8)
    images[:, :, 16:32, 24:44] = 200
    box = torch.tensor([24, 16, 44, 32]) / SIDE
    targets = {
        "seg": (images[:COUNT, 0] > 0).long(),
        "det": box.repeat(COUNT, 1),
        "reg": torch.tensor([34.0, 24.0]).div(SIDE).repeat(COUNT, 1, 1),
    }
    parts = [(name, slice(i * COUNT, (i + 1) * COUNT)) for i, name in enumerate(("seg", "det", "reg"))]
    return Batch(images, torch.arange(3).repeat_interleave(COUNT), parts, targets)


def test_masks_boxes_and_points_follow_the_image():
    moved = augment(square_batch(), {task.name: task for task in (SEG, DET, REG)}, torch.Generator().manual_seed(1))
    bright = moved.images[:, 0] > 120
    assert moved.images.shape == (3 * COUNT, 1, SIDE, SIDE)
    agreement = (bright[:COUNT] == moved.targets["seg"].bool()).float().mean()
    assert agreement > 0.99
    for picture, box in zip(bright[COUNT : 2 * COUNT], moved.targets["det"], strict=True):
        rows, columns = np.nonzero(picture.numpy())
        found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert np.abs(found - box.numpy() * SIDE).max() <= 1.5
    for picture, point in zip(bright[2 * COUNT :], moved.targets["reg"], strict=True):
        rows, columns = np.nonzero(picture.numpy())
        x, y = (point[0] * SIDE).tolist()
        assert np.hypot(columns.mean() + 0.5 - x, rows.mean() + 0.5 - y) < 1


def mirrored(task: Task) -> torch.Tensor:
    """Which of many augmented copies of an image, bright on its left half only, came back bright on the right."""
    images = torch.zeros(64, 1, 32, 32, dtype=torch.uint8)
    images[..., :16] = 200
    target = torch.zeros(64, dtype=torch.long) if task.type is TaskType.CLASSIFICATION else torch.zeros(64, 1, 2)
    batch = Batch(images, torch.zeros(64, dtype=torch.long), [(task.name, slice(0, 64))], {task.name: target})
    moved = augment(batch, {task.name: task}, torch.Generator().manual_seed(0)).images
    return moved[..., 16:].mean((1, 2, 3)) > moved[..., :16].mean((1, 2, 3))


@pytest.mark.parametrize("name", ["fetal_head_pos_cls", "fetal_sacral_pos_cls"])
def test_laterality_is_never_mirrored(name):
    assert not mirrored(CHALLENGE_TASKS[name].task).any()


def test_regression_is_never_mirrored_and_other_tasks_are():
    assert not mirrored(REG).any()
    assert 10 < mirrored(CLS).sum() < 54


def counts(sampler: Sampler, steps: int) -> list[np.ndarray]:
    seen = [np.zeros(size, int) for size in sampler.sizes]
    for step in range(steps):
        for task, cases in sampler.draw(step):
            np.add.at(seen[task], cases, 1)
    return seen


@pytest.mark.parametrize("sizes", [(7,), (40, 3), (5, 5, 90)])
def test_proportional_sampling_shows_every_image_equally_often(sizes):
    sampler = Sampler(sizes, TrainingConfig(batch_size=8, passes=4, min_steps=1), seed=2)
    seen = np.concatenate(counts(sampler, sampler.steps))
    assert seen.sum() == sampler.steps * 8
    assert seen.min() >= 4 and seen.max() <= np.ceil(sampler.steps * 8 / sum(sizes))


def test_matched_budget_over_partitions_and_floor_of_tiny_units():
    config = TrainingConfig(batch_size=10, passes=5, min_steps=20)
    assert Sampler((100, 60), config, 0).steps == Sampler((100,), config, 0).steps + Sampler((60,), config, 0).steps
    assert Sampler((4,), config, 0).steps == 20


def test_uniform_sampling_gives_tasks_equal_shares_and_temperature_lies_between():
    shares = {}
    for sampling in ("proportional", "temperature", "uniform"):
        config = TrainingConfig(batch_size=16, sampling=sampling, temperature=2)
        small, large = counts(Sampler((20, 180), config, 0), 300)
        shares[sampling] = small.sum() / (small.sum() + large.sum())
    assert shares["proportional"] == pytest.approx(0.1, abs=0.01)
    assert shares["temperature"] == pytest.approx(1 / 4, abs=0.03)
    assert shares["uniform"] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("sampling", ["proportional", "uniform", "temperature"])
def test_draws_are_a_function_of_seed_and_step(sampling):
    config = TrainingConfig(batch_size=8, sampling=sampling)

    def draw(seed):
        return [(task, cases.tolist()) for step in (11, 3) for task, cases in Sampler((9, 30), config, seed).draw(step)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def gaussian(points: torch.Tensor) -> torch.Tensor:
    """Logits of the heat maps that are wanted for points, B x P x 24 x 24."""
    distance = (cell_centres(24, 24, points.device) - points.unsqueeze(2)).square().sum(-1)
    return (-distance / (2 * SPREAD**2)).unflatten(-1, (24, 24))


def test_heat_maps_are_read_where_they_are_highest_and_cost_nothing_when_right():
    points = torch.rand(3, 2, 2, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2
    right = gaussian(points)
    assert (mean_position(right) - points).abs().max() < 1e-3
    assert heat_map_loss(right, points).abs().max() < 1e-5
    assert (heat_map_loss(torch.zeros_like(right), points) > 1).all()
    assert torch.isfinite(heat_map_loss(right, points + 5)).all()  # augmentation moves points out of the image


def test_losses_fall_towards_the_truth():
    masks = torch.randint(0, 3, (2, 16, 16))
    right = torch.nn.functional.one_hot(masks, 3).movedim(-1, 1).float() * 20
    assert segmentation_loss(right, masks).max() < 0.01 < segmentation_loss(torch.zeros_like(right), masks).min()
    boxes = torch.tensor([[0.2, 0.2, 0.6, 0.7]])
    middle = torch.tensor([[[0.4, 0.45]]])
    good = Detections(gaussian(middle), boxes)
    bad = Detections(-good.centre, torch.tensor([[0.7, 0.8, 0.9, 0.9]]))
    assert detection_loss(good, boxes) < 0.01 < detection_loss(bad, boxes)
    points = torch.tensor([[[0.4, 0.45], [0.8, 0.3]], [[0.2, 0.5], [0.6, 0.6]]])
    regression = TaskType.REGRESSION.network.loss
    losses = [regression(logits, points) for logits in (gaussian(points), gaussian(1 - points))]
    assert losses[0].max() < 0.02 < losses[1].min()
    assert TaskType.CLASSIFICATION.network.loss(torch.tensor([[9.0, -9.0]]), torch.tensor([0])).item() < 0.01
