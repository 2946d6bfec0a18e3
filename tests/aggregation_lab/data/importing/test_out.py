"""The folder that an import writes: several tasks in one, again and again, interrupted, linked, with its receipt."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from aggregation_lab.data.importing.receipt import COMPLETE, read_receipts
from aggregation_lab.files import file_digest
from aggregation_lab.storage.sealed_json import read_sealed
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import agglab, imported, mask_of, read, refused
from tests.aggregation_lab.data.importing.sources import CASES

PATIENT = ("--subject", r"(p\d+)_")


def tree(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder, locks left out."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in sorted(files)}


@pytest.fixture
def source(tmp_path) -> Path:
    sources.folder(tmp_path / "kinds")
    return tmp_path / "kinds"


def test_an_image_of_two_tasks_is_one_file(capsys, tmp_path, source):
    out = tmp_path / "out"
    imported(capsys, "folder", source, out, *PATIENT, "--task", "kind")
    sources.yolo(tmp_path / "boxes")
    text = imported(capsys, "yolo", tmp_path / "boxes", out, *PATIENT, "--task", "box")
    assert "10 images (10 there already)" in text
    dataset, cases = read(out)
    assert len(cases) == 20 and cases["image"].nunique() == 10 and set(dataset.tasks) == {"kind", "box"}
    assert len(list((out / "train").rglob("*.png"))) == 10


def test_a_task_that_knows_no_subject_takes_those_of_the_images(capsys, tmp_path, source):
    imported(capsys, "folder", source, tmp_path / "out", *PATIENT, "--task", "kind")
    sources.yolo(tmp_path / "boxes")
    text = imported(capsys, "yolo", tmp_path / "boxes", tmp_path / "out", "--task", "box")
    assert "5 subjects from an earlier import of the same images" in text
    _, cases = read(tmp_path / "out", "box")
    assert cases["subject"].nunique() == 5


def test_an_image_under_another_subject_is_a_file_of_its_own_and_said(capsys, tmp_path, source):
    imported(capsys, "folder", source, tmp_path / "out", *PATIENT, "--task", "kind")
    sources.yolo(tmp_path / "boxes")
    more = ("--task", "box", "--subject-prefix", "other-")
    text = imported(capsys, "yolo", tmp_path / "boxes", tmp_path / "out", *PATIENT, *more)
    assert "9 more: is in OUT already with another subject" in text
    _, cases = read(tmp_path / "out", "box")
    assert {subject.partition("/")[2] for subject in cases["subject"]} == {f"other-p{n}" for n in range(5)}


def test_other_images_of_the_same_names_keep_both(capsys, tmp_path, source):
    imported(capsys, "folder", source, tmp_path / "out", "--task", "one")
    other = tmp_path / "elsewhere" / "kinds"
    for case in CASES:
        sources.save(other / sources.NAMES[case.label] / f"{case.name}.png", 255 - case.pixels)
    imported(capsys, "folder", other, tmp_path / "out", "--task", "two")
    _, cases = read(tmp_path / "out")
    assert cases["image"].nunique() == 20


def test_the_same_import_again_changes_nothing(capsys, tmp_path, source):
    out, command = tmp_path / "out", ("folder", source, tmp_path / "out", *PATIENT, "--task", "kind")
    imported(capsys, *command)
    before = tree(out)
    code, text = agglab(capsys, "import", *command)
    assert code == 0 and "is in" in text and "nothing was written" in text and tree(out) == before
    # also when another task has come to the same images since
    sources.yolo(tmp_path / "boxes")
    imported(capsys, "yolo", tmp_path / "boxes", out, "--task", "box")
    assert "nothing was written" in imported(capsys, *command)


def test_another_import_under_the_name_of_a_task_is_refused(capsys, tmp_path, source):
    imported(capsys, "folder", source, tmp_path / "out", *PATIENT, "--task", "kind")
    before = tree(tmp_path / "out")
    line = refused(capsys, "import", "folder", source, tmp_path / "out", "--task", "kind")
    assert "holds task kind already, imported with other options, or the source has changed" in line
    sources.yolo(tmp_path / "boxes")
    line = refused(capsys, "import", "yolo", tmp_path / "boxes", tmp_path / "out", "--task", "kind")
    assert "imported from another source" in line and tree(tmp_path / "out") == before


def test_a_task_that_others_wrote_is_not_overwritten(capsys, tmp_path, source, tiny_data):
    line = refused(capsys, "import", "folder", source, tiny_data, "--task", "tiny_kind")
    assert "holds task tiny_kind already; give --task another name" in line
    imported(capsys, "folder", source, tiny_data, *PATIENT, "--task", "kind")
    dataset, _ = read(tiny_data)
    assert {"kind", "tiny_kind", "tiny_head"} <= set(dataset.tasks)


@pytest.mark.parametrize("after", [0, 1, 4, 11, 21, 22])
def test_an_interrupted_import_runs_again(capsys, tmp_path, monkeypatch, after):
    """Whatever file is the last one written: the folder is then the one of an undisturbed import."""
    sources.nnunet(tmp_path / "Dataset001_t")
    command = ("nnunet", tmp_path / "Dataset001_t", tmp_path / "out", *PATIENT)
    real, left = os.replace, [after]

    def failing(one, other):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        real(one, other)

    monkeypatch.setattr(os, "replace", failing)
    code, text = agglab(capsys, "import", *command)
    assert code == 130 and "Traceback" not in text
    monkeypatch.setattr(os, "replace", real)
    imported(capsys, *command)
    imported(capsys, *command[:2], tmp_path / "calm", *command[3:])
    assert tree(tmp_path / "out") == tree(tmp_path / "calm")
    assert read_receipts(tmp_path / "out")["t"].state == COMPLETE


def test_a_dry_run_says_the_same_and_writes_nothing(capsys, tmp_path, source):
    code, text = agglab(capsys, "import", "folder", source, tmp_path / "out", *PATIENT, "--dry-run")
    assert code == 0 and not (tmp_path / "out").exists()
    assert "task kinds (classification, num_classes 2) would be imported: 10 cases, 10 images" in text
    assert "nothing was written (--dry-run)" in text


def test_images_are_linked_and_survive_the_source(capsys, tmp_path, source):
    out = tmp_path / "out"
    assert "(10 linked)" in imported(capsys, "folder", source, out, "--task", "kind")
    (file,) = (out / "train").rglob("p0_0.png")
    assert file.stat().st_ino == (source / "large" / "p0_0.png").stat().st_ino and not file.is_symlink()
    shutil.rmtree(source)
    shutil.move(out, tmp_path / "moved")
    assert len(read(tmp_path / "moved")[1]) == 10


def test_images_are_copied_where_links_are_not_wanted_or_not_possible(capsys, tmp_path, source, monkeypatch):
    assert "(10 copied)" in imported(capsys, "folder", source, tmp_path / "one", "--task", "kind", "--copy")

    def no_links(*_, **__):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    assert "(10 copied)" in imported(capsys, "folder", source, tmp_path / "two", "--task", "kind")
    for file in (tmp_path / "two" / "train").rglob("*.png"):
        assert file.stat().st_nlink == 1


def test_writing_a_new_file_over_a_linked_one_leaves_the_source(capsys, tmp_path, source):
    """A link that another import would replace is replaced as a name, never written through."""
    original = (source / "large" / "p0_0.png").read_bytes()
    imported(capsys, "folder", source, tmp_path / "out", "--task", "kind")
    (tmp_path / "out" / "import" / "kind.json").unlink()
    (tmp_path / "out" / "train" / "csv_files" / "Cls-kind.csv").unlink()
    imported(capsys, "folder", source, tmp_path / "out", "--task", "kind", "--copy")
    assert (source / "large" / "p0_0.png").read_bytes() == original


def test_the_receipt_holds_what_was_read_written_and_left_out(capsys, tmp_path, source):
    sources.write(source / "large" / "broken.png", "no image")
    sources.save(source / "alone.png", CASES[0].pixels)
    text = imported(capsys, "folder", source, tmp_path / "out", *PATIENT, "--task", "kind", "--group", "breast")
    receipt = read_sealed(tmp_path / "out" / "import" / "kind.json")
    assert receipt["state"] == COMPLETE and receipt["format"] == "folder" and receipt["source"] == str(source)
    assert receipt["options"] == {"task": "kind", "group": "breast", "subject": r"(p\d+)_"}
    expected = {"read": 11, "cases": 10, "images": 10, "linked": 10, "copied": 0, "made": 0, "shared": 0}
    assert receipt["counts"] == {**expected, "masks": 0, "subjects": 5}
    assert {names[0]: names for names in receipt["skipped"].values()} == {
        "alone.png": ["alone.png"],
        "large/broken.png": ["large/broken.png"],
    }
    for path, entry in receipt["images"].items():
        assert file_digest(tmp_path / "out" / "train" / path) == entry["content"]
    assert "skipped  large/broken.png: cannot be decoded" in text and "lies in no folder of a class" in text


def test_a_damaged_receipt_is_one_line(capsys, tmp_path, source):
    imported(capsys, "folder", source, tmp_path / "out", "--task", "kind")
    file = tmp_path / "out" / "import" / "kind.json"
    value = json.loads(file.read_text())
    file.write_text(json.dumps({**value, "classes": 7}))
    line = refused(capsys, "import", "folder", source, tmp_path / "out", "--task", "other")
    assert "kind.json: cannot be used (its content has changed since it was written)" in line


def test_the_group_reaches_the_tasks(capsys, tmp_path, source):
    imported(capsys, "folder", source, tmp_path / "out", "--task", "kind", "--group", "breast")
    assert read(tmp_path / "out")[0].tasks["kind"].group == "breast"


def test_names_for_every_system(capsys, tmp_path):
    names = ["a?b.png", "A?B.PNG", "a*b.png", "con.png", "-x.png", "x" * 200 + ".png", "é\u00a0(1), +.png", "a:b.png"]
    for number, name in enumerate(names * 3):
        folder = tmp_path / "kinds" / ("a", "b")[number % 2] / str(number // 8)
        sources.save(folder / name, sources.draw(24)[number].pixels)
    imported(capsys, "folder", tmp_path / "kinds", tmp_path / "out", "--task", "Ünlike / no".replace("/", "or"))
    _, cases = read(tmp_path / "out")
    found = [Path(image).name for image in cases["image"]]
    assert len(found) == 24 and not any(set(name) & set('?*:"<>|') or name.startswith("-") for name in found)
    assert all(len(name.encode()) < 150 for name in found) and "é\u00a0(1), +.png" in found


def test_images_of_one_name_and_two_endings_have_masks_of_their_own(capsys, tmp_path):
    rows = ["image,mask"]
    for number, case in enumerate(CASES[:6]):
        name = f"a{number // 2}.{('png', 'bmp')[number % 2]}"
        sources.save(tmp_path / "s" / name, case.pixels)
        sources.save(tmp_path / "s" / "masks" / f"{number}.png", case.mask)
        rows.append(f"{name},masks/{number}.png")
    sources.write(tmp_path / "s" / "t.csv", "\n".join(rows))
    imported(capsys, "csv", tmp_path / "s" / "t.csv", tmp_path / "out")
    dataset, cases = read(tmp_path / "out")
    sums = sorted(int(mask_of(dataset, case).sum()) for case in cases.itertuples())
    assert cases["mask"].nunique() == 6 and sums == sorted(int(case.mask.sum()) for case in CASES[:6])


def test_a_copy_within_a_source_stays_a_file_of_its_own(capsys, tmp_path, source):
    sources.save(source / "small" / "again.png", CASES[0].pixels)
    imported(capsys, "folder", source, tmp_path / "out", "--task", "kind")
    assert len(read(tmp_path / "out")[1]) == 11


def test_deep_images_keep_their_values(capsys, tmp_path):
    for case in CASES:
        sources.save(
            tmp_path / "k" / sources.NAMES[case.label] / f"{case.name}.png", case.pixels.astype(np.uint16) * 16
        )
    imported(capsys, "folder", tmp_path / "k", tmp_path / "out")
    assert {content.partition("@")[2] for content in read(tmp_path / "out")[1]["content"]} == {"0..4095"}
