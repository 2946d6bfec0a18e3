"""Where the workers of a grid compute: how many at a time, and on which device each."""

from rich.console import Console

from runners.execution.progress import say
from runners.options import EngineName, GridOptions
from runners.planning import cost
from runners.planning.accelerators import accelerator_possible
from runners.planning.study_schema import Study

MOST_PER_DEVICE = 4
"""Workers that share an accelerator where none are asked for: small models leave most of it idle."""


def device_type(name: str | None) -> str:
    """Type of the device runs will use. Raises `ModelError` where it does not exist here."""
    if name == "cpu" or (name is None and not accelerator_possible()):
        return "cpu"  # without loading torch
    from aggregation_lab.training.device import pick_device

    return pick_device(name).type


def worker_devices(study: Study, device: str, options: GridOptions, console: Console) -> list[str | None]:
    """The device of each worker, as many as are asked for, else as fit: one per core, or several per accelerator.

    Memory is the limit on the CPU even to what is asked for, since a machine that runs out of it kills processes.
    """
    if options.engine is EngineName.DEBUG:
        return [options.device]
    needed = max(cost.worker_bytes(arm.model, arm.training) for arm in study.variants.values())
    if device != "cpu":
        free = {options.device: 0.0} if options.device else _free_memory(device)
        names = list(free)
        if options.jobs:
            return [names[number % len(names)] for number in range(options.jobs)]
        room = {name: max(1, min(MOST_PER_DEVICE, int(0.8 * memory / needed))) for name, memory in free.items()}
        slots = [name for turn in range(MOST_PER_DEVICE) for name in names if turn < room[name]]
        return slots[: max(len(names), cost.cores())]
    wanted = options.jobs or cost.cores()
    fitting_here = max(1, int(0.9 * cost.available_bytes() / needed))
    if fitting_here < wanted:
        say(console, f"memory is enough for {fitting_here} runs at a time, not {wanted}")
    return [options.device] * min(wanted, fitting_here)


def share_of_cores(workers: int) -> int:
    """Threads of each worker when they share the cores of this machine."""
    return max(1, cost.cores() // workers)


def _free_memory(device: str) -> dict[str | None, float]:
    """Free bytes of every accelerator of this machine; one without a name where the system cannot tell."""
    import torch

    if device != "cuda":
        return {None: 0.0}
    return {f"cuda:{index}": float(torch.cuda.mem_get_info(index)[0]) for index in range(torch.cuda.device_count())}
