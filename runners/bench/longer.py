"""Is the flag "still improving" right? Runs are trained on by half, and it is looked at whether their score rises."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aggregation_lab.config import COOLDOWN, TrainingConfig
from aggregation_lab.run import RunSpec
from aggregation_lab.training.convergence import TOLERANCE
from aggregation_lab.training.device import pick_device
from aggregation_lab.training.trainer import Trainer
from runners.bench.measuring import Table
from runners.bench.setting import Setting, write_bench_study
from runners.bench.training import Prepared, prepared
from runners.planning.study_file import read_study_file

LONGER = 1.5
EVALUATIONS = 6
"""As `budget: small`."""
ENDS = ("budget", "converged")
MOST = 1 + 1 / COOLDOWN
"""Cap over passes that leaves room for the cooldown alone."""


@dataclass(frozen=True)
class Verdict:
    """What was said of a run of one task, by the rule of `until`, and how much its score rose when trained on."""

    until: str
    task: str
    said: bool
    rise: float


def flag(setting: Setting) -> Table:
    """For each rule: of the runs whose score rose by more than `TOLERANCE`, the share that was flagged (hits), and of
    the others, the share that was flagged too (false alarms)."""
    verdicts = list(judged(setting))
    rows = []
    for until in ENDS:
        rose = [verdict.said for verdict in verdicts if verdict.until == until and verdict.rise > TOLERANCE]
        stayed = [verdict.said for verdict in verdicts if verdict.until == until and not verdict.rise > TOLERANCE]
        rows.append((until, len(rose), _share(rose), len(stayed), _share(stayed)))
    note = (
        f"Every task by itself, {setting.passes:g} passes and {LONGER:g} times as many, each with its own end of the "
        f"learning rate; rose: the best validation score of the longer run is higher by more than {TOLERANCE:g}."
    )
    columns = ("until", "rose", "flagged of them", "stayed", "flagged of these")
    return Table("Still improving?", columns, tuple(rows), note)


def judged(setting: Setting, seed: int = 0) -> Iterator[Verdict]:
    """One verdict for each task and rule, as soon as it is known; tasks without a validation score give none."""
    file, folder = write_bench_study(setting)
    study = read_study_file(file, data=folder)
    data = prepared(folder, setting.scratch / "longer_cache", setting.size)
    for task in data.dataset.tasks.values():
        for until in ENDS:
            runs: list[Trainer] = []
            for passes in (setting.passes, LONGER * setting.passes):
                settings = study.training.model_dump() | {"passes": passes, "evaluations": EVALUATIONS}
                training = TrainingConfig.model_validate(settings | _shortest(until, passes))
                spec = RunSpec((task,), 1.0, seed, study.model, training, data="bench")
                runs.append(_trained(spec, data, setting.scratch))
            short, long = (np.fmax.reduce([row["score"] for row in run.ledger.curve]) for run in runs)
            if np.isfinite([short, long]).all():
                said = runs[0].course.still_rising(runs[0].ledger.curve)[task.name]
                yield Verdict(until, task.name, said, long - short)


def _shortest(until: str, passes: float) -> dict[str, object]:
    """Settings of a run that ends where its rule is first asked: converged or not."""
    return {"until": until, "most_passes": MOST * passes} if until == "converged" else {}


def _trained(spec: RunSpec, data: Prepared, scratch: Path) -> Trainer:
    trainer = Trainer(spec, data.dataset, data.split(), data.cache, scratch, pick_device())
    trainer.train(lambda progress: None, checkpoint_seconds=math.inf)
    return trainer


def _share(flagged: list[bool]) -> float:
    return float(np.mean(flagged)) if flagged else math.nan
