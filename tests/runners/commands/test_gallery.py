"""`agglab gallery` and `report --no-images`: what they write and say, and one line for every fault."""

import shutil
from pathlib import Path

import pytest

from aggregation_lab.run import PREDICTIONS
from runners.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_choice")]  # the fixture takes ten seconds


def agglab(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return int(stopped.value.code or 0)


def test_a_gallery_is_written_with_a_figure_for_a_paper(predicted, tmp_path, capsys):
    to = tmp_path / "pictures"
    words = ("--task", "tiny_head", "--contrast", "AU-TS", "--each", 1, "--pdf", "--draws", 100)
    assert agglab("gallery", predicted, "--to", to, *words) == 0
    said = capsys.readouterr().out
    (figure,) = to.glob("*.pdf")
    assert f"gallery: {to / 'index.html'}" in said and f"figure: {figure}" in said and "note:" not in said
    assert figure.read_bytes().startswith(b"%PDF-")
    assert len(list((to / "gallery").glob("*.webp"))) == 3
    assert agglab("gallery", predicted, "--to", to, *words) == 0  # over its own former one


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--task", "tiny_haed"), "--task tiny_haed: no test cases to compare; did you mean tiny_head"),
        (("--contrast", "AU"), "--contrast AU: no test cases to compare"),
        (("--each", 0), "greater than or equal to 1"),
    ],
)
def test_a_fault_is_one_line(predicted, tmp_path, capsys, words, said):
    assert agglab("gallery", predicted, "--to", tmp_path / "pictures", "--draws", 100, *words) in (1, 2)
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1 and not (tmp_path / "pictures").exists()


def test_a_damaged_file_is_named_and_the_gallery_is_written(predicted, tmp_path, capsys):
    copy = Path(shutil.copytree(predicted, tmp_path / "out"))
    for file in (copy / "runs").glob(f"all-*/{PREDICTIONS}"):
        file.write_bytes(file.read_bytes()[:-9])
    assert agglab("gallery", copy, "--task", "tiny_kind", "--contrast", "AU-TS", "--draws", 100) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"{PREDICTIONS}: its content has changed" in said and "--rerun unkept" in said
    assert "Pictures could not be made here" in (copy / "gallery" / "index.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("one_figure")
def test_a_report_without_images_holds_none(predicted, tmp_path, capsys):
    assert agglab("report", predicted, "--to", tmp_path / "report", "--no-images", "--draws", 100) == 0
    files = {path.suffix for path in (tmp_path / "report").rglob("*")}
    text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert ".webp" not in files and "Images were left out of this report" in text and "HC18_tiny" not in text
