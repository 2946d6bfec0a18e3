"""What the README shows works: its study file loads, its commands run, its links lead somewhere."""

import re
import shlex

import pytest
import yaml

from runners.cli import main
from runners.planning.study_file import parse_study
from tests import ROOT
from tests.tiny import STUDY

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


def commands(start: str) -> list[str]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [line.split("#")[0].strip() for line in lines if line.startswith(start)]


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = [command.split()[1] for command in commands("make ")]
    assert {"demo", "test"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.M)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


@pytest.mark.slow
@pytest.mark.usefixtures("one_figure", "workers_at_hand")
def test_commands_run_on_a_folder_of_ones_own(tiny_data, tmp_path, monkeypatch, capsys):
    """Every `agglab` line of the README but imports, in its order, with its study file cut down to seconds."""
    (text,) = blocks("yaml")
    shown = yaml.safe_load(text)
    parse_study(shown, "README")
    small = {**shown, **{key: STUDY[key] for key in ("data", "model", "training")}, "budget": "smoke", "seeds": 1}
    (tmp_path / "my_study.yaml").write_text(yaml.safe_dump({**small, "fractions": [0.5, 1.0]}))
    lines = [line for line in commands("agglab ") if line.split()[1] != "import"]  # those: test_import_page.py
    assert {line.split()[1] for line in lines} >= {
        "validate",
        "plan",
        "run-grid",
        "status",
        "scores",
        "report",
        "power",
    }
    monkeypatch.chdir(tmp_path)
    for line in lines:
        words = [str(tiny_data) if word == "DATA" else word for word in shlex.split(line)]
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(words[1:])
        assert not end.value.code, f"{line}\n{capsys.readouterr()}"
    produced = {path.name for path in (tmp_path / "out" / "my_study").iterdir()}
    named = re.findall(r"`([\w.]+\.(?:parquet|csv|json))`", README)
    # the study has one split, and does not ask how tasks bear on each other
    assert set(named) - {"scoreboard.csv", "folds.csv", "affinity.parquet"} <= produced
