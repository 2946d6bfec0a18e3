"""Runs the parts, says how they go, and prints one table."""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from aggregation_lab.training.device import pick_device
from aggregation_lab.training.recording import versions
from runners.bench.card.processes import Work, WorkFailed
from runners.bench.card.scale import Row, Scale
from runners.bench.card.soundness import resume, study
from runners.bench.card.speed import compiled, encoders, sharing, throughput
from runners.bench.measuring import Table, as_text
from runners.bench.setting import Setting

PARTS: dict[str, Callable[[Scale], list[Row]]] = {
    part.__name__: part for part in (study, resume, throughput, encoders, sharing, compiled)
}
WHOLE, PART = 600.0, 240.0
"""Seconds for everything, and for one part."""


def main(arguments: Sequence[str] | None = None, scale: Callable[[Path, str], Scale] | None = None) -> int:
    """0: every part has its figures; 1: some have not, or there is no accelerator. Tests give a smaller `scale`."""
    parser = argparse.ArgumentParser("runners.bench.card", description="agglab on this machine's accelerator.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; else all")
    named = parser.parse_args(arguments).parts
    for name in named:
        if name not in PARTS:
            parser.error(f"{name}: no such part; there are {', '.join(PARTS)}")
    device = pick_device()
    if device.type == "cpu" and scale is None:
        print(f"no accelerator: torch {torch.__version__} finds the CPU alone, so nothing was measured", flush=True)
        return 1
    with tempfile.TemporaryDirectory(prefix="agglab-card-") as scratch:
        made = (scale or _for_card)(Path(scratch), str(device))
        rows, failed = _measured(named or list(PARTS), made)
    note = f"{time.strftime('%Y-%m-%d', time.gmtime())}, {versions()}, CUDA {torch.version.cuda}, {_driver()}"
    print(f"\n{Table(_name(device), ('on the card', 'measured', ''), tuple(rows), note)}", flush=True)
    return 1 if failed else 0


def _for_card(scratch: Path, device: str) -> Scale:
    return Scale(Setting(scratch, size=224, rounds=5), device)


def _measured(names: Sequence[str], scale: Scale) -> tuple[list[Row], bool]:
    """The rows of all parts, and whether one is without."""
    rows: list[Row] = []
    failed, end = False, time.monotonic() + WHOLE
    print("phantoms ...", flush=True)
    drawn = scale.setting.phantoms  # here, once for all parts
    print(f"phantoms: {len(list(drawn.rglob('*.png')))} images", flush=True)
    for name in names:
        start = time.monotonic()
        print(f"{name} ...", flush=True)
        try:
            if end - start < 1:
                raise WorkFailed(f"left out, {WHOLE:.0f} s are over")
            measured = Work(PARTS[name], scale).result(min(PART, end - start))
        except WorkFailed as error:
            failed = True
            rows.append((name, "failed", str(error)))
            print(f"{name}: {error}", flush=True)
        else:
            rows += measured
            print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
            for what, value, note in measured:  # now, since the command may be ended before the table
                print(f"  {what}: {as_text(value)}{note and f', {note}'}", flush=True)
    return rows, failed


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        answer = []
    return f"driver {answer[0]}" if answer else "driver unknown"


if __name__ == "__main__":
    sys.exit(main())
