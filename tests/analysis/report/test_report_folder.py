"""A report takes the place of nothing but a former report, and as a whole or not at all."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import analysis.report as report
from aggregation_lab.errors import AgglabError, StudyError
from analysis.report.folder import MARKER, check_folder, report_of, whole_folder
from tests.fake_analysis import fake_analysis


def write(folder: Path, **files: str) -> None:
    with whole_folder(folder) as new:
        for name, text in files.items():
            (new / name).write_text(text)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != MARKER}


def test_a_former_report_is_replaced_and_what_others_added_stays(tmp_path):
    folder = tmp_path / "deep" / "report"
    write(folder, page="one", old="gone")
    (folder / "my notes.txt").write_text("mine")
    write(folder, page="two")
    assert contents(folder) == {"page": "two", "my notes.txt": "mine"}
    assert set(json.loads((folder / MARKER).read_text())["files"]) == {"page"}
    assert [path.name for path in folder.parent.iterdir()] == ["report"]


@pytest.mark.parametrize("kind", ["files of others", "a changed page", "a file", "a broken marker"])
def test_anything_else_is_left_as_it_is(tmp_path, kind):
    folder = tmp_path / "web"
    if kind == "a file":
        folder.write_text("mine")
    else:
        write(folder, page="one")
        (folder / "page").write_text("mine")
        if kind != "a changed page":
            (folder / MARKER).unlink()
        if kind == "a broken marker":
            (folder / MARKER).write_text('{"agglab_report": ')
    before = contents(folder) if folder.is_dir() else folder.read_text()
    with pytest.raises(StudyError) as caught:
        write(folder, page="two")
    assert str(folder) in str(caught.value) and "--to" in str(caught.value)
    with pytest.raises(StudyError):
        check_folder(folder)
    assert (contents(folder) if folder.is_dir() else folder.read_text()) == before


def test_a_report_of_something_else_is_left_as_it_is(tmp_path):
    table, other = tmp_path / "lab1" / "scores.csv", tmp_path / "lab2" / "scores.csv"
    folder, study = tmp_path / "scores_report", fake_analysis(4).study
    for file in (table, other):
        file.parent.mkdir()
        file.write_text("task")
    of = report_of(study, "report", table, folder)
    for page in ("one", "two"):
        with whole_folder(folder, of) as new:
            (new / "page").write_text(page)
    assert json.loads((folder / MARKER).read_text())["of"]["source"] == "lab1/scores.csv"
    with pytest.raises(StudyError, match=r"holds the report of \S+lab1/scores.csv, not the report of \S+lab2/.*--to"):
        check_folder(folder, report_of(study, "report", other, folder))
    for another in (replace(of, arm="b"), report_of(study, "report", table, folder)):
        check_folder(folder, another)  # it was the only arm when the report was written
    with whole_folder(folder, replace(of, arm="a")) as new:
        (new / "page").write_text("of a")
    for another in (replace(of, arm="b"), replace(of, kind="gallery")):
        with pytest.raises(StudyError, match="holds the report of"), whole_folder(folder, another) as new:
            (new / "page").write_text("of b")
    assert contents(folder) == {"page": "of a"}


def test_what_fails_half_way_leaves_the_old_report_and_no_rest(tmp_path):
    folder = tmp_path / "report"
    write(folder, page="one")
    with pytest.raises(ZeroDivisionError), whole_folder(folder) as new:
        (new / "page").write_text("half")
        raise ZeroDivisionError
    assert contents(folder) == {"page": "one"} and [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_link_stays_a_link_and_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", page="one")
    assert (tmp_path / "link").is_symlink() and contents(tmp_path / "real") == {"page": "one"}
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(AgglabError):
        write(tmp_path / "loop", page="one")


@pytest.mark.slow
def test_a_figure_that_cannot_be_drawn_leaves_no_half_report(tmp_path, monkeypatch):
    def broken(*_: object) -> None:
        raise ValueError("no figure")

    monkeypatch.setattr(report, "write_figures", broken)
    with pytest.raises(ValueError, match="no figure"):
        report.write_report(fake_analysis(4), tmp_path / "report")
    assert list(tmp_path.iterdir()) == []
