"""How much of a run is scoring: a segmentation run, which is the dearest to score, at `budget: small`."""

import time

from aggregation_lab.config import TrainingConfig
from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.splits.split import draw_split
from aggregation_lab.run import RunSpec
from aggregation_lab.tasks import TaskType
from aggregation_lab.training.device import pick_device
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.trainer import Progress
from runners.bench.setting import Setting
from runners.bench.study import write_bench_study
from runners.bench.tables import Table, ratios
from runners.planning.study_file import read_study_file
from runners.planning.study_schema import BUDGETS

LABEL = "scoring and writing / whole segmentation run"


class _Clock:
    """Notes when scoring begins."""

    def __init__(self) -> None:
        self.scoring: float | None = None

    def __call__(self, progress: Progress) -> None:
        if progress.phase == "scoring" and self.scoring is None:
            self.scoring = time.perf_counter()


def scoring(setting: Setting, budget: dict[str, float] = BUDGETS["small"]) -> Table:
    """Train and score one segmentation task by itself."""
    file, data = write_bench_study(setting)
    study = read_study_file(file, data=data)
    dataset = read_dataset(data)
    split = draw_split(dataset)
    cache = open_cache(dataset, setting.size, setting.scratch / "scoring" / "cache")
    task = max(
        (task for task in dataset.tasks.values() if task.type is TaskType.SEGMENTATION),
        key=lambda task: len(split.cases("train", task.name)),
    )
    training = TrainingConfig.model_validate(study.training.model_dump() | budget)
    spec = RunSpec((task,), 1.0, 0, study.model, training, data="bench")
    folder, clock = setting.scratch / "scoring" / "run", _Clock()
    folder.mkdir(parents=True)
    start = time.perf_counter()
    train_run(spec, dataset, split, cache, folder, report=clock, device=str(pick_device()))
    end = time.perf_counter()
    assert clock.scoring is not None
    cases = {part: len(split.cases(part, task.name)) for part in ("train", "test")}
    note = (
        f"{task.name}: {cases['train']} training cases, {training.steps(cases['train'])} steps, {cases['test']} test "
        "cases with DSC, HD and the rest at their original size; all tables written."
    )
    return ratios("Scoring", {LABEL: (end - clock.scoring) / (end - start)}, {LABEL: "< 0.05"}, note)
