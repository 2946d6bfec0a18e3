"""Commands that agglab prints can be pasted: paths and names with blanks are quoted as a shell reads them."""

import shlex
from pathlib import Path
from types import SimpleNamespace

from analysis.external.columns import _missing
from runners.commands.group_tasks import _to_do
from runners.commands.next_runs import _how
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import agglab, refused

OUT = Path("/data ä ö/it's out")


def words_behind(text: str, start: str) -> list[str]:
    return shlex.split(text[text.index(start) :].splitlines()[0])


def test_the_next_command_of_an_import_can_be_pasted(capsys, tmp_path):
    out = tmp_path / "data ä ö"
    options = sources.folder(tmp_path / "s")
    code, text = agglab(capsys, "import", "folder", tmp_path / "s", out, "--task", "t", *options)
    assert code == 0 and words_behind(text, "agglab validate") == ["agglab", "validate", str(out)]


def test_columns_and_classes_with_blanks_are_quoted(capsys, tmp_path):
    file = sources.table(tmp_path / "s", lambda case: {"label": case.label, "Patient num": case.patient})
    file.write_text(file.read_text().replace(",subject", ",note"))
    _, text = agglab(capsys, "import", "csv", file, tmp_path / "out", "--task", "t")
    assert words_behind(text, "--columns")[:2] == ["--columns", "subject=Patient num"]
    kinds = lambda case: {"label": ("left cyst", "nodule")[case.label], "x_min": 1, "y_min": 1, "x_max": 9, "y_max": 9}  # noqa: E731
    file = sources.table(tmp_path / "k", kinds)
    line = refused(capsys, "import", "csv", file, tmp_path / "more", "--task", "t", "--type", "detection")
    assert words_behind(line, "--classes")[:2] == ["--classes", "left cyst"]


def test_commands_that_train_what_is_advised_can_be_pasted():
    step = SimpleNamespace(units=[("lung's view", (0, 1))], fraction=1.0, runs={("view", 1.0): frozenset({0, 1})})
    said = _how([step], [0, 1], OUT)[0]
    words = words_behind(said, "agglab run-grid")
    assert words[3:] == ["--out", str(OUT), "--only", "lung's view/f1/s*"]
    proposal = SimpleNamespace(same_as="", missing_hours=1.0)
    said = _to_do(proposal, "found", SimpleNamespace(write=Path("/my study.yaml")), OUT)[1]
    assert words_behind(said.removesuffix(": about 1.0 worker hours by the pace of the joint runs"), "agglab") == [
        *("agglab", "run-grid", "/my study.yaml", "--out", str(OUT))
    ]


def test_columns_of_score_files_are_quoted():
    sheet = SimpleNamespace(header=["Task 1"], fail=None)
    assert "--map task='Task 1'" in _missing(sheet, ["task"], ["Task 1"])  # type: ignore[arg-type]
