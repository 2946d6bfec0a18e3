"""Where a plain pipeline loses time to agglab: each of its ways is changed by itself, the rest stays."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from aggregation_lab.run import RunSpec
from aggregation_lab.training.device import pick_device, pick_precision
from aggregation_lab.training.trainer import Trainer
from runners.bench.measuring import Table, counts_processor_time, paired, ratio
from runners.bench.plain import PlainRun
from runners.bench.setting import Setting, write_bench_study
from runners.bench.training import prepared, steps_of
from runners.planning.study_file import read_study_file
from runners.store.prepared_data import Prepared

STEPS = 10
"""Steps of each way in its turn."""
DRAWN = 20 * STEPS
"""Steps of the plain pipeline until its batches come again."""
OURS, PLAIN = "agglab", "plain PyTorch: decoding each time, float32"


def attribution(setting: Setting) -> Table:
    """A training step of all tasks, by agglab and by the plain pipeline with and without each of its ways.

    They take turns in one process without workers, so that decoding is counted and not hidden behind them. A step of
    agglab mixes tasks, one of the plain pipeline has one task; both have seen the tasks in proportion after a turn.
    """
    file, folder = write_bench_study(setting)
    study, data = read_study_file(file, data=folder), prepared(folder, setting.scratch / "parts_cache", setting.size)
    spec = RunSpec(tuple(data.dataset.tasks.values()), 1.0, 0, study.model, study.training, data="bench")
    device = pick_device()
    mixed = pick_precision(spec.training.precision, device)
    ways: dict[str, Callable[[], None]] = {
        OURS: _ours(setting, spec, data),
        PLAIN: _plain(spec, data),
        "- decoding each case once": _plain(spec, data, keep=True),
    }
    if mixed != torch.float32:
        single = spec.training.model_copy(update={"precision": "fp32"})
        ways |= {
            "- bfloat16": _plain(spec, data, precision=mixed),
            "- bfloat16, attention by agglab's choice": _plain(spec, data, precision=mixed, attention=True),
            "- all of these": _plain(spec, data, keep=True, precision=mixed, attention=True),
            "agglab in float32": _ours(setting, RunSpec(spec.tasks, 1.0, 0, study.model, single, data="bench"), data),
        }
    turns = [steps_of(step, STEPS) for step in ways.values()]
    times = dict(zip(ways, paired(*turns, rounds=setting.rounds), strict=True))
    rows = tuple((way, ratio(took, times[OURS]), ratio(times[PLAIN], took)) for way, took in times.items())
    clock = "processor time (user and system)" if counts_processor_time() else "wall clock"
    note = (
        f"All tasks of {setting.described} in one unit, {setting.size} px, {device}, "
        f"agglab in {str(mixed).removeprefix('torch.')}, ATen uses {torch.backends.cpu.get_cpu_capability()}; {clock}, "
        f"median of {setting.rounds} turns of {STEPS} steps. Evaluation and the use of several cores are not in it."
    )
    return Table("Where the time of a step goes", ("a step by", "/ agglab's", "plain PyTorch's / this"), rows, note)


def _ours(setting: Setting, spec: RunSpec, data: Prepared) -> Callable[[], None]:
    trainer = Trainer(spec, data.dataset, data.split(), data.cache, setting.scratch, pick_device())
    trainer.model.train()
    return trainer.train_step


def _plain(
    spec: RunSpec,
    data: Prepared,
    *,
    keep: bool = False,
    precision: torch.dtype = torch.float32,
    attention: bool = False,
) -> Callable[[], None]:
    device = pick_device()
    run = PlainRun(spec, data, DRAWN, device, workers=0, keep=keep, precision=precision)
    if attention:
        run.model.backbone.choose_attention(spec.training.image_size, device, precision)
    if keep:
        for files in run.train_files:
            for index in range(len(files)):
                files[index]
    run.model.train()
    batches, random = _without_end(run), torch.Generator().manual_seed(0)
    return lambda: run.train_step(*next(batches), random)


def _without_end(run: PlainRun) -> Iterator[tuple[int, Tensor, Tensor]]:
    """The training batches over and over, loaded anew each time."""
    while True:
        yield from run.training_batches()
