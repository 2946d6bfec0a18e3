"""What freezing the lower half of the encoder saves: images per second against the full model.

Both train on the same images without augmentation, from the same checkpoint; the kept output is there already, as it is
for every run of a grid but the first.
"""

from collections.abc import Callable

import torch

from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.splits.split import draw_split
from aggregation_lab.model.encoder import build_encoder
from aggregation_lab.run import RunSpec
from aggregation_lab.tasks import TaskType
from aggregation_lab.training.device import pick_device
from aggregation_lab.training.trainer import Trainer
from runners.bench.bare import STEPS, finished
from runners.bench.setting import BATCH, ENCODER, Setting
from runners.bench.tables import Table, ratios
from runners.bench.timing import paired, ratio, repeat

BLOCKS = 6


def frozen(setting: Setting) -> Table:
    """Training throughput with frozen blocks over that of the full model, for a light head and for a heavy one."""
    folder = setting.scratch / "frozen"
    dataset = read_dataset(setting.phantoms)
    split, cache = draw_split(dataset), open_cache(dataset, setting.size, folder / "cache")
    weights = folder / "encoder.pt"
    torch.save(build_encoder(ENCODER).state_dict(), weights)
    device = pick_device()
    config = TrainingConfig(image_size=setting.size, batch_size=BATCH, passes=1000, augment=False)

    def trainer(kind: TaskType, blocks: int) -> Trainer:
        task = next(task for task in dataset.tasks.values() if task.type is kind)
        model = ModelConfig(encoder=ENCODER, weights=str(weights), frozen_blocks=blocks)
        made = Trainer(RunSpec((task,), 1.0, 0, model, config, data="bench"), dataset, split, cache, folder, device)
        made.model.train()
        return made

    figures = {}
    for kind in (TaskType.CLASSIFICATION, TaskType.SEGMENTATION):
        works = [finished(_steps(trainer(kind, blocks)), device) for blocks in (0, BLOCKS)]
        whole, upper = paired(*works, rounds=setting.rounds)
        figures[f"{kind}: throughput with {BLOCKS} frozen blocks / full model"] = ratio(whole, upper)
    return ratios("Frozen blocks", figures, dict.fromkeys(figures, ">= 2"))


def _steps(trainer: Trainer) -> Callable[[], None]:
    return lambda: repeat(trainer.train_step, STEPS)
