"""What it costs a joint run to record how its tasks bear on each other."""

from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.run import RunSpec
from aggregation_lab.training.affinity.settings import AffinitySettings, moment_at
from aggregation_lab.training.device import peak_memory, pick_device, reset_peak_memory
from aggregation_lab.training.trainer import Trainer
from runners.bench.measuring import Cell, Table, paired, ratio
from runners.bench.setting import BATCH, ENCODER, Setting
from runners.bench.training import STEPS, phantoms, steps_of
from runners.planning.study_schema import BUDGETS

GOAL_TIME, GOAL_MEMORY = "<= 0.05", "<= 1.10"


def recording(setting: Setting) -> Table:
    """Time of all moments over that of all steps, and the peak of memory with a moment over that of the steps alone.

    AU of all phantoms at the default settings; a moment and a step are timed in turn in one process, their numbers are
    those of a run.
    """
    settings = AffinitySettings()
    trainer = _joint(setting, settings)
    recorder, tasks = trainer.affinity, len(trainer.tasks)
    assert recorder is not None
    steps = trainer.course.budget
    count = settings.moments_of(tasks, steps, BATCH)
    at = next(step for step in range(steps) if moment_at(step, steps, count) is not None)
    train, look = steps_of(trainer.train_step, STEPS), steps_of(lambda: recorder.record(at))
    train()  # both once before they are measured
    look()
    peaks = []
    for work in (train, look):
        reset_peak_memory(trainer.device)
        work()
        peaks.append(peak_memory(trainer.device))
    stepped, looked = paired(train, look, rounds=setting.rounds)
    worth = ratio(looked, stepped) * STEPS
    rows: list[tuple[Cell, ...]] = []
    for name in ("small", "full"):
        length = _steps(trainer, name)
        moments = settings.moments_of(tasks, length, BATCH)
        rows.append((f"budget: {name}", length, moments, worth, moments * worth / length, GOAL_TIME, "", ""))
    rows.append(("peak memory", "", "", "", "", "", max(peaks) / peaks[0], GOAL_MEMORY))
    columns = (
        "run", "steps", "moments", "a moment / a step", "recording / training", "goal", "with / without it", "goal",
    )  # fmt: skip
    note = (
        f"One run of {tasks} tasks at {setting.size} px in batches of {BATCH}, {trainer.precision}; validation is not "
        "in it, and would make the share smaller."
    )
    return Table("Recording affinities", columns, tuple(rows), note)


def _joint(setting: Setting, settings: AffinitySettings) -> Trainer:
    """AU of the phantoms, ready to train."""
    data = phantoms(setting)
    config = TrainingConfig(image_size=setting.size, batch_size=BATCH).model_copy(update=BUDGETS["small"])
    spec = RunSpec(tuple(data.dataset.tasks.values()), 1.0, 0, ModelConfig(encoder=ENCODER), config, data="bench")
    trainer = Trainer(spec, data.dataset, data.split(), data.cache, setting.scratch, pick_device(), affinity=settings)
    trainer.model.train()
    return trainer


def _steps(trainer: Trainer, budget: str) -> int:
    """Steps of the run at another budget."""
    config = trainer.config.model_copy(update=BUDGETS[budget])
    return config.steps(sum(map(len, trainer.train_cases)))
