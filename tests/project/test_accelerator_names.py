"""Accelerators are named in one place: everything else asks `aggregation_lab.training.device` what it may do."""

import ast
import re
from pathlib import Path

import pytest

from tests import ROOT

KINDS = ("cuda", "mps", "xpu", "hpu")
KNOWING = {
    "aggregation_lab/training/device.py",
    "runners/planning/accelerators.py",  # asks the driver, where torch would take seconds
}


def named(text: str) -> list[str]:
    """Kinds of accelerators that code names: as a whole word of text, or as a part of torch."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += re.findall(rf"\A({'|'.join(KINDS)})(?=:\d*\Z|\Z)", node.value)
        if isinstance(node, ast.Attribute) and node.attr in KINDS:
            found.append(node.attr)
    return found


def test_one_place_knows_the_names_of_accelerators():
    packages = (ROOT / package for package in ("aggregation_lab", "analysis", "runners"))
    files = [file for package in packages for file in package.rglob("*.py")]
    measured = ROOT / "runners" / "bench"  # names what it measures on
    files = [file for file in files if measured not in file.parents]
    assert len(files) > 100
    knowing = {str(Path(file).relative_to(ROOT)) for file in files if named(file.read_text(encoding="utf-8"))}
    assert knowing == KNOWING


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("device.type == 'cuda'", ["cuda"]),
        ("f'cuda:{index}'", ["cuda"]),
        ("torch.cuda.empty_cache()", ["cuda"]),
        ("x.cuda()", ["cuda"]),
        ("'such as cuda, or mps'", []),
    ],
)
def test_a_name_is_noticed(line, found):
    assert named(line) == found
