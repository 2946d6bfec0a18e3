"""No room on the disk, a quota, a limit on files, too little memory: one clear line each, and nothing lost."""

import errno
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from aggregation_lab import files
from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.data.array_files import open_array, write_array
from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.splits.split import draw_split
from aggregation_lab.errors import AgglabError, is_out_of_memory
from aggregation_lab.files import write_json, write_text
from aggregation_lab.run import CHECKPOINT, DONE, RunSpec
from aggregation_lab.storage.sealed_parquet import read_frame, write_frame
from aggregation_lab.training.checkpoint import read_checkpoint, write_checkpoint
from aggregation_lab.training.execution import train_run
from runners.execution.worker_process import describe
from tests import ROOT

PRINTING = """
import sys
from pathlib import Path
from runners.execution.worker_process import output_to
from runners.console.streams import robust_streams
with robust_streams():
    with output_to(Path(sys.argv[1])):
        print("lost", flush=True)
    print("after")
"""
BIG = 400_000
"""Bytes of what does not fit."""


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "agglab-test", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def files_up_to(size: int):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, count, np.uint8)


WRITERS = {
    "checkpoint.pt": lambda path, size: write_checkpoint(path, {"weights": torch.from_numpy(pixels(size))}),
    "images.npy": lambda path, size: write_array(path, (size,), "|u1", [pixels(size)]),
    "cases.parquet": lambda path, size: write_frame(path, pd.DataFrame({"a": pixels(size).astype(float)})),
    "split.csv": lambda path, size: write_text(path, "x" * size),
    "plan.json": lambda path, size: write_json(path, "x" * size),
}
READERS = {
    "checkpoint.pt": lambda path: read_checkpoint(path)["weights"].numpy(),
    "images.npy": lambda path: open_array(path, (10,), np.uint8),
    "cases.parquet": lambda path: read_frame(path)["a"].to_numpy(),
}


def refuse(path: Path, reason: str, remedy: str) -> None:
    """Writing too much to `path` is told, leaves no half-written file and what was there before."""
    write = WRITERS[path.name]
    write(path, 10)
    before = path.read_bytes()
    with pytest.raises(AgglabError) as caught:
        write(path, BIG)
    assert str(caught.value) == f"{path}: cannot be written ({reason}); {remedy} or choose another folder"
    assert os.listdir(path.parent) == [path.name] and path.read_bytes() == before
    if path.name in READERS:
        assert (READERS[path.name](path) == pixels(10)).all()


@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_is_full_while_a_file_is_written(small_disk, name):
    refuse(small_disk / name, "No space left on device", "free space")


@pytest.mark.parametrize("name", WRITERS)
def test_a_limit_on_the_size_of_files(tmp_path, name):
    with files_up_to(100_000):
        refuse(tmp_path / name, "File too large", "raise the limit on the size of files (ulimit -f)")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EDQUOT, "free space"),
        (errno.EROFS, "make it writable"),
        (errno.EACCES, "make it writable"),
        (errno.EMFILE, "raise the limit on open files (ulimit -n)"),
        (errno.EFBIG, "raise the limit on the size of files (ulimit -f)"),
    ],
)
def test_a_folder_that_refuses_new_files(tmp_path, monkeypatch, number, remedy):
    def refusing(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "temporary_file", refusing)
    with pytest.raises(AgglabError) as caught:
        write_text(tmp_path / "a", "x")
    reason = os.strerror(number)
    assert str(caught.value) == f"{tmp_path / 'a'}: cannot be written ({reason}); {remedy} or choose another folder"


@pytest.mark.parametrize("kind", ["file", "dangling", "circle", "folder"])
def test_what_stands_in_the_way_is_named(tmp_path, kind):
    path = tmp_path / "runs" / "one" / "a"
    other = path if kind == "folder" else tmp_path / "runs"
    if kind == "folder":
        (path / "inside").mkdir(parents=True)
    elif kind == "file":
        other.touch()
    else:
        other.symlink_to("nowhere" if kind == "dangling" else "runs")
    with pytest.raises(AgglabError) as caught:
        write_text(path, "x")
    assert str(caught.value).startswith(f"{path}: cannot be written (")
    assert str(caught.value).endswith(f"; move {other} away or choose another folder")


@pytest.mark.slow
def test_a_run_on_a_full_disk_is_told_and_goes_on_once_there_is_room(tiny_dataset, tmp_path, small_disk):
    model = ModelConfig(encoder="vit_tiny_patch16_dinov3_qkvb", head_width=8)
    training = TrainingConfig(image_size=32, batch_size=4, min_steps=3, passes=0.1, precision="fp32")
    spec = RunSpec((tiny_dataset.tasks["tiny_kind"],), 1.0, 0, model, training, "data")
    data = tiny_dataset, draw_split(tiny_dataset), open_cache(tiny_dataset, 32, tmp_path / "cache")
    with pytest.raises(AgglabError, match=r"checkpoint.pt: cannot be written \(No space left on device\)"):
        train_run(spec, *data, small_disk, threads=1, checkpoint_seconds=0.0)
    assert os.listdir(small_disk) == []
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    train_run(spec, *data, small_disk, threads=1)
    assert (small_disk / DONE).is_file() and not (small_disk / CHECKPOINT).exists()


def test_a_log_that_cannot_be_written_does_not_stop_a_run(tmp_path):
    """A message that is lost is no fault of the run, whose checkpoint and tables say themselves what is wrong."""
    (tmp_path / "log.txt").symlink_to("/dev/full")
    (tmp_path / "script.py").write_text(PRINTING)
    command = [sys.executable, tmp_path / "script.py", tmp_path / "log.txt"]
    found = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (found.returncode, found.stdout, found.stderr) == (0, "after\n", "")


SHORT = [
    RuntimeError("could not create a primitive"),
    RuntimeError("could not create a memory object"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"),
    RuntimeError("can't start new thread"),
    RuntimeError("unable to mmap 8 bytes from file <w.pt>: Cannot allocate memory (12)"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
]


@pytest.mark.parametrize("error", SHORT, ids=lambda error: str(error)[:30] or type(error).__name__)
def test_too_little_memory_is_one_line_with_a_remedy(error):
    assert is_out_of_memory(error)
    line = describe(error)
    assert line.startswith("out of memory (") and line.endswith("or run fewer at a time (--jobs)")
    assert "\n" not in line


@pytest.mark.parametrize("error", [ValueError("out of memory"), RuntimeError("shape"), OSError(errno.ENOENT, "none")])
def test_other_errors_are_not_taken_for_it(error):
    assert not is_out_of_memory(error)
