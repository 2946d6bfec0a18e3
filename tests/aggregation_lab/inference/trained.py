"""Trained runs of seconds that have kept their models."""

from dataclasses import dataclass
from pathlib import Path

from aggregation_lab.config import ModelConfig, MoEConfig, TrainingConfig
from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import Split, draw_split
from aggregation_lab.files import write_json
from aggregation_lab.run import SPEC, RunSpec
from aggregation_lab.training.keep import Keep, Weights

SIZE = 32


@dataclass(frozen=True)
class Trained:
    """A finished run's `folder`, and what it was trained on."""

    folder: Path
    dataset: Dataset
    split: Split

    def test_cases(self, task: str):
        return self.dataset.cases.set_index("case", drop=False).loc[self.split.cases("test", task)]


def spec_for(dataset: Dataset, *names: str, model: dict | None = None, **training) -> RunSpec:
    tasks = tuple(dataset.tasks[name] for name in names or sorted(dataset.tasks))
    settings = {"image_size": SIZE, "passes": 0.1, "min_steps": 4, "batch_size": 4, "evaluations": 3, **training}
    from tests.small_encoder import MINI  # loads torch, which most tests do without

    chosen = {"encoder": MINI, "head_width": 8, "moe": MoEConfig(experts=2, blocks=1)}
    return RunSpec(tasks, 1.0, 0, ModelConfig(**chosen | (model or {})), TrainingConfig(**settings), data="test")


def train(dataset: Dataset, folder: Path, *names: str, kinds: tuple[Weights, ...] = ("last",), **settings) -> Trained:
    """Train a run on some tasks, all where none is named, and keep its weights and test predictions."""
    from aggregation_lab.training.execution import train_run  # as above

    split, spec = draw_split(dataset), spec_for(dataset, *names, **settings)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / SPEC, spec.to_json())
    cache = open_cache(dataset, spec.training.image_size, folder.parent / "cache")
    train_run(spec, dataset, split, cache, folder, threads=1, device="cpu", keep=Keep(predictions=True, models=kinds))
    return Trained(folder, dataset, split)
