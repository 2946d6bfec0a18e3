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


def worker_devices(
    study: Study, device: str, options: GridOptions, console: Console, threads: int | None = None
) -> list[str | None]:
    """The device of each worker, as many as are asked for, else as fit: one per core, or several per accelerator.

    Memory is the limit on the CPU even to what is asked for, since a machine that runs out of it kills processes.
    `threads` are those of each worker where the folder has fixed them: more workers than the cores have room for wait
    for each other at every operation, so none are taken unasked, and one line says so of those asked for.
    """
    if options.engine is EngineName.DEBUG:
        return [options.device]
    slots = _slots(study, device, options, console, cost.cores() // (threads or 1) or 1)
    if threads and threads > 1 and threads * len(slots) > cost.cores():
        fitting = cost.cores() // threads or 1
        remedy = f"--jobs {fitting} is faster" if fitting < len(slots) else "a new folder is faster"
        say(
            console,
            f"each run has {threads} threads, as the first run-grid gave to all runs of this folder (threads.json), so "
            f"{len(slots)} at a time want more than the {cost.cores()} cores: {remedy}",
        )
    return slots


def _slots(study: Study, device: str, options: GridOptions, console: Console, most: int) -> list[str | None]:
    """As `worker_devices`, of which `most` have room on the cores."""
    needed = max(cost.worker_bytes(arm.model, arm.training) for arm in study.variants.values())
    if device != "cpu":
        from aggregation_lab.training.device import free_memory

        free = free_memory(device, options.device)
        names = list(free)
        if options.jobs:
            return [names[number % len(names)] for number in range(options.jobs)]
        room = {name: max(1, min(MOST_PER_DEVICE, int(0.8 * memory / needed))) for name, memory in free.items()}
        slots = [name for turn in range(MOST_PER_DEVICE) for name in names if turn < room[name]]
        return slots[: max(len(names), most)]
    wanted = options.jobs or most
    fitting_here = max(1, int(0.9 * cost.available_bytes() / needed))
    if fitting_here < wanted:
        say(console, f"memory is enough for {fitting_here} runs at a time, not {wanted}")
    return [options.device] * min(wanted, fitting_here)


def share_of_cores(workers: int) -> int:
    """Threads of each worker when they share the cores of this machine."""
    return max(1, cost.cores() // workers)
