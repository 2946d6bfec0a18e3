"""`make gpu` on the CPU, at its smallest size: the code that runs on a card, and how it tells what went wrong."""

import functools
import math
import os
import re
from pathlib import Path

import pytest
import torch

from runners.bench.card import __main__ as command
from runners.bench.card import processes
from runners.bench.card.processes import Work, WorkFailed
from runners.bench.card.scale import Row, Scale
from runners.bench.card.soundness import resume, study
from runners.bench.card.speed import compiled, encoders, sharing, throughput
from runners.bench.setting import BATCH, ENCODER, Setting
from tests import ROOT
from tests.started import torch_at_hand
from tests.waiting import PATIENCE

STUDY = {
    "seeds": 1,
    "data": {"phantoms": {"tasks": ["breast_lesion", "breast_3cls", "fetal_femur"], "minimum": 24, "maximum": 24}},
    "training": {"image_size": 32, "passes": 0.1, "min_steps": 3, "batch_size": 4, "evaluations": 3},
}


def small(scratch: Path, device: str) -> Scale:
    setting = Setting(scratch, size=32, rounds=1)
    return Scale(
        setting, device, encoders=(ENCODER,), seconds=0.1, most_images=2 * BATCH, workers=(1, 2), steps=4,
        patience=PATIENCE, study=STUDY,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def processes_of_parts(monkeypatch):
    monkeypatch.setattr(processes, "_CONTEXT", torch_at_hand())


@pytest.fixture(scope="module")
def scale(tmp_path_factory, tiny_original) -> Scale:
    made = small(tmp_path_factory.mktemp("card"), "cpu")
    vars(made.setting)["phantoms"] = tiny_original  # drawn in a moment
    return made


def figures(rows: list[Row]) -> list[float]:
    assert all(isinstance(what, str) and isinstance(note, str) for what, _, note in rows)
    return [float(value) for _, value, _ in rows]


@pytest.mark.slow
@pytest.mark.parametrize(("part", "count"), [(throughput, 1), (encoders, 2), (sharing, 2), (study, 1)])
def test_a_part_gives_figures(part, count, scale):
    found = figures(part(scale))
    assert len(found) == count and all(math.isfinite(figure) and figure > 0 for figure in found)


@pytest.mark.slow
def test_runs_on_the_cpu_are_repeated_and_continued_bit_by_bit(scale):
    rows = resume(scale)
    assert figures(rows) == [0.0] * 4 and all(note == "bit by bit the same" for _, _, note in rows)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.slow
@pytest.mark.filterwarnings("default::UserWarning")  # torch.compile looks at gradients of tensors that have none
def test_compiled_and_plain_code_are_compared(scale, monkeypatch):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    (gain,) = figures(compiled(scale))
    assert gain > 0


def test_without_a_card_there_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(command, "pick_device", lambda: torch.device("cpu"))
    assert command.main([]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"no accelerator: torch \S+ finds the CPU alone, so nothing was measured", line)


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit) as end:
        command.main(["warp"])
    assert end.value.code == 2 and "warp: no such part; there are study, resume," in capsys.readouterr().err


def test_the_page_names_every_part():
    page = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8").partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(command.PARTS)


def fine(scale: Scale) -> list[Row]:
    return [("pixels", scale.setting.size, "a side")]


def broken(scale: Scale) -> list[Row]:
    raise ValueError("no such kernel\nfor this card")


def dead(scale: Scale) -> list[Row]:
    os._exit(3)


def endless(scale: Scale) -> list[Row]:
    while True:
        pass


@pytest.mark.slow
def test_a_part_that_fails_leaves_one_line_and_the_others_go_on(monkeypatch, capsys):
    monkeypatch.setattr(Setting, "phantoms", property(lambda setting: setting.scratch))  # none of these needs any
    monkeypatch.setattr(command, "PARTS", {part.__name__: part for part in (broken, dead, fine)})
    assert command.main([], small) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines.index("  pixels: 32, a side") < lines.index("### cpu")  # at once, not only in the table
    assert "broken: ValueError: no such kernel" in lines and "dead: its process died (exit code 3)" in lines
    rows = {cells[1]: cells[2:4] for line in lines if len(cells := [cell.strip() for cell in line.split("|")]) == 5}
    assert rows["pixels"] == ["32", "a side"]
    assert rows["broken"] == ["failed", "ValueError: no such kernel"] and rows["dead"][0] == "failed"
    assert re.search(r"^\d{4}-\d\d-\d\d, python .*torch .*, CUDA .*, driver ", lines[-1])
    monkeypatch.setattr(command, "PARTS", {"fine": fine})
    assert command.main(["fine"], small) == 0


@pytest.mark.slow
def test_work_that_does_not_end_is_ended(scale):
    work = Work(endless, scale)
    with pytest.raises(WorkFailed, match="not finished after 1 s"):
        work.result(1.0)
    work.end()  # again, of a process that is gone
    assert Work(fine, scale).result(PATIENCE) == [("pixels", 32, "a side")]
