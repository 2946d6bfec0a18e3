"""The comparison is honest: peers read the same pixels, see the same images as often, and learn as much."""

import importlib.util
from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.splits.folds import draw_folds
from aggregation_lab.run import RunSpec
from aggregation_lab.training.batches import make_batch
from aggregation_lab.training.trainer import Trainer
from runners.bench.plain import PlainRun, draw_batches
from runners.store.prepared_data import Prepared
from tests.small_encoder import EXPERTS, MINI

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def prepared(tiny_dataset, tmp_path_factory) -> Prepared:
    cache = open_cache(tiny_dataset, 32, tmp_path_factory.mktemp("cache"))
    return Prepared(tiny_dataset, draw_folds(tiny_dataset, 1), cache)


def spec_for(prepared: Prepared, *names: str, batch_size: int = 4, steps: int = 4) -> RunSpec:
    """A short run without augmentation, so that two trainers can be compared number by number."""
    training = TrainingConfig(
        image_size=32, batch_size=batch_size, passes=0.01, min_steps=steps, evaluations=3, augment=False,
        precision="fp32", warmup=0.0,
    )  # fmt: skip
    model = ModelConfig(encoder=MINI, head_width=8, moe=EXPERTS)
    return RunSpec(tuple(prepared.dataset.tasks[name] for name in names), 1.0, 0, model, training, data="test")


def both(prepared: Prepared, spec: RunSpec, tmp_path) -> tuple[Trainer, PlainRun]:
    ours = Trainer(spec, prepared.dataset, prepared.split(), prepared.cache, tmp_path, CPU)
    return ours, PlainRun(spec, prepared, ours.steps, CPU, workers=0)


def losses(ours: Trainer, plain: PlainRun) -> tuple[float, float]:
    """Loss of all training cases of the one task: agglab's from its cache, the peer's from the files."""
    cases = np.arange(len(ours.train_cases[0]))
    images, target = default_collate([plain.train_files[0][case] for case in cases])
    with torch.no_grad():
        kept = ours.objective.losses(make_batch([(0, cases)], ours.train_cases, ours.store))[0]
        decoded = plain.loss(0, plain.batch(0, images, target))
    return float(kept), float(decoded)


@pytest.mark.parametrize("name", ["tiny_head", "tiny_head_det", "tiny_head_axis", "tiny_kind"])
def test_the_plain_peer_starts_and_ends_at_the_same_loss(name, prepared, tmp_path):
    whole = len(prepared.split().cases("train", name))  # every step sees the same batch: all cases
    ours, plain = both(prepared, spec_for(prepared, name, batch_size=whole), tmp_path)
    kept, decoded = losses(ours, plain)
    assert decoded == pytest.approx(kept, rel=1e-3, abs=1e-5)
    ours.train(lambda progress: None, checkpoint_seconds=1e9)
    seen = plain.train()
    assert seen == sum(ours.ledger.images_seen.values()) == ours.steps * whole
    end, peer_end = losses(ours, plain)
    assert end < kept
    assert peer_end == pytest.approx(end, rel=0.02, abs=1e-4)


def test_the_plain_peer_sees_every_case_as_often(prepared, tmp_path):
    ours, plain = both(prepared, spec_for(prepared, "tiny_kind", steps=11), tmp_path)
    kept = Counter(case for step in range(11) for _, cases in ours.sampler.draw(step) for case in cases.tolist())
    drawn = Counter(case for _, cases in draw_batches([len(plain.train_files[0])], 11, 4, seed=0) for case in cases)
    assert kept.total() == drawn.total() == 44
    assert all(abs(kept[case] - drawn[case]) <= 1 for case in range(len(plain.train_files[0])))


def test_one_task_per_step_in_proportion():
    batches = draw_batches([30, 10, 1], steps=41, batch_size=4, seed=0)
    assert [sum(task == number for task, _ in batches) for number in range(3)] == [30, 10, 1]
    assert all(len(cases) == 4 for _, cases in batches)
    seen = Counter(case for task, cases in batches if task == 0 for case in cases)
    assert set(seen) == set(range(30)) and set(seen.values()) == {4}


def test_the_plain_peer_tests_every_case(prepared, tmp_path):
    spec = spec_for(prepared, "tiny_head", "tiny_kind")
    plain = PlainRun(spec, prepared, 4, CPU, workers=0)
    batches = list(plain.evaluation_batches(plain.test_files))
    assert [task for task, _, _ in batches] == [0, 1]
    expected = [len(prepared.split().cases("test", name)) for name in ("tiny_head", "tiny_kind")]
    assert [len(images) for _, images, _ in batches] == expected
    assert np.isfinite(plain.test())


@pytest.mark.skipif(importlib.util.find_spec("LibMTL") is None, reason="LibMTL is not installed")
def test_libmtl_trains_every_task(prepared, capsys):
    from runners.bench.libmtl import train_unit

    spec = spec_for(prepared, "tiny_head", "tiny_head_det", "tiny_head_axis", "tiny_kind", steps=8)
    steps, images = train_unit(spec, prepared, steps=8, workers=0)
    assert (steps, images) == (2, 32)
    epoch = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Epoch"))
    shown = [float(word) for word in epoch.split() if "." in word]
    assert len(shown) > 2 * len(spec.tasks) and np.isfinite(shown).all()
