"""State files of a finished study, mutated at random: every command succeeds or says one line, and none hangs."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.execution import grid as grids
from runners.execution.run_watch import Outcome
from tests.fuzzing import fuzzed_a_little, in_time, turn_bit
from tests.made_study import make_finished
from tests.runners.commands.test_cli import agglab

STATE = ("*.json", "*.csv", "*.parquet", "*.yaml", "prepared/*", "cache/*", "floor/*", "runs/*/*", ".*.lock")
ODD = [None, True, -1, 0, 3, 10**30, 1.5, float("nan"), float("inf"), "", "\ud800", "x" * 300, [], [[]], {}, {"a": []}]
PLANTED = ("claim-1.json", "error.json", "checkpoint.pt")
"""Files that a finished run does not have any more, put into its folder."""


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_original) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_finished(folder, tiny_original)
    return folder


def mutate(file: Path, draw: random.Random) -> str:
    """Change the file somehow; says how."""
    content = file.read_bytes()
    if file.suffix == ".json" and content and draw.random() < 0.6:
        return mutate_json(file, draw)
    contents = ["flip", "cut", "empty", "rubbish", "deep", "twice"]
    deed = draw.choice([*contents, "folder", "dangling", "endless", "pipe", "gone"])
    if deed == "flip" and content:
        file.write_bytes(turn_bit(content, draw))
    elif deed in ("folder", "dangling", "endless", "pipe", "gone"):
        file.unlink()
        if deed == "folder":
            file.mkdir()
        elif deed == "pipe":
            os.mkfifo(file)
        elif deed != "gone":
            file.symlink_to("/dev/zero" if deed == "endless" else file.with_name("nowhere"))
    else:
        file.write_bytes(
            {
                "cut": content[: draw.randrange(len(content) + 1)],
                "rubbish": draw.randbytes(draw.choice([1, 40, 5000])),
                "deep": b"[" * 100_000,
                "twice": content + content,
            }.get(deed, b"")
        )
    return deed


def mutate_json(file: Path, draw: random.Random) -> str:
    """Replace, remove or add one value anywhere in the tree."""
    value = json.loads(file.read_text())
    places: list[tuple[object, object]] = []

    def walk(node: object) -> None:
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []
        for key in keys:
            places.append((node, key))
            walk(node[key])  # type: ignore[index]

    walk(value)
    deed, odd = draw.choice(["replace", "replace", "remove", "whole", "unsealed"]), draw.choice(ODD)
    if deed == "whole" or not places:
        value = odd
    else:
        node, key = draw.choice(places)
        if deed == "remove":
            del node[key]  # type: ignore[attr-defined]
        else:
            node[key] = odd  # type: ignore[index]
        if deed == "unsealed" and isinstance(value, dict):
            value.pop("digest", None)
    file.write_text(json.dumps(value))
    return f"{deed} {odd!r:.40}"


def state_files(out: Path) -> list[Path]:
    return sorted(file for pattern in STATE for file in out.glob(pattern) if file.is_file())


def plant(out: Path, draw: random.Random) -> Path:
    file = draw.choice(sorted((out / "runs").iterdir())) / draw.choice(PLANTED)
    fields = {"message": "m", "job": "", "host": "", "process": 1, "run": "x", "progress": {"step": 1, "steps": 2}}
    file.write_text(json.dumps(fields))
    if draw.random() < 0.5:
        (file.parent / "done.json").unlink()
    return file


def commands(folder: Path, data: Path) -> list[list[object]]:
    grid = ["--data", data, "--out", folder / "out", "--device", "cpu", "--jobs", 1]
    return [
        ["status", folder / "out"],
        ["scores", folder / "out"],
        ["plan", folder / "study.yaml", *grid],
        ["run-grid", folder / "study.yaml", *grid],
        ["status", folder / "out"],
    ]


@fuzzed_a_little
@given(number=st.integers(0, 2**32 - 1), count=st.integers(1, 3))
def check_mutations(made, tiny_original, tmp_path_factory, capsys, number, count):
    draw, folder = random.Random(number), tmp_path_factory.mktemp("mutated")
    shutil.copytree(made, folder, dirs_exist_ok=True)
    changed = []
    for _ in range(count):
        files = state_files(folder / "out")
        file = plant(folder / "out", draw) if draw.random() < 0.2 else draw.choice(files)
        changed.append(f"{file.relative_to(folder)}: {mutate(file, draw)}")
    for command in commands(folder, tiny_original):
        with in_time():
            code, text, errors = agglab(capsys, *command)
        assert code in (0, 1, 2), (changed, command)
        assert "Traceback" not in text + errors, (changed, command, errors)
        assert len(errors.splitlines()) <= 1, (changed, command, errors)
        assert not errors or errors.startswith("agglab: "), (changed, command, errors)
    shutil.rmtree(folder)


@pytest.mark.slow
def test_mutated_state_files_are_read_or_told(made, tiny_original, tmp_path_factory, capsys, monkeypatch):
    monkeypatch.setattr(grids, "run_pool", lambda *_, **options: Outcome())
    monkeypatch.setattr(grids, "check_models", lambda *_: None)
    check_mutations(made, tiny_original, tmp_path_factory, capsys)
