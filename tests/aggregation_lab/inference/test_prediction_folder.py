"""Predictions of a folder: what is written, kills that leave no trace, odd images, folders that hold other things."""

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import aggregation_lab as agg
from aggregation_lab.errors import AgglabError, DataError
from aggregation_lab.inference import prediction_folder
from aggregation_lab.inference.earlier_predictions import RECEIPT, TABLE, Predicted
from aggregation_lab.inference.image_list import ListedImage, list_images, mask_names
from aggregation_lab.inference.model import TrainedModel
from aggregation_lab.inference.prediction_folder import predict_folder
from aggregation_lab.storage.sealed_json import read_sealed
from aggregation_lab.storage.spreadsheet_csv import unguarded
from tests.aggregation_lab.inference.trained import Trained

COUNT = 7


@pytest.fixture(scope="module")
def model(trained_run: Trained) -> TrainedModel:
    return agg.load_model(trained_run.folder)


@pytest.fixture(autouse=True)
def batches_of_two(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(prediction_folder, "EVALUATION_BATCH", 2)


@pytest.fixture
def images(tmp_path) -> Path:
    """Seven files of several sizes, one of which is no image."""
    random, folder = np.random.default_rng(0), tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    for number in range(COUNT - 2):
        size = (20 + number, 30)
        Image.fromarray(random.integers(0, 255, size, np.uint8)).save(folder / f"{number}.png")
    (folder / "deep" / "broken.jpg").write_bytes(b"no image")
    Image.new("RGB", (9, 8)).save(folder / "=5.png")
    (folder / "notes.txt").write_text("not an image")
    return folder


def predicted(model: TrainedModel, images: Path, out: Path, name: str, progress=lambda *_: None) -> Predicted:
    return predict_folder(model, list_images([images]), model.task(name), out, progress)


def table_of(out: Path) -> pd.DataFrame:
    table = pd.read_csv(out / TABLE)
    return table.assign(image=table["image"].map(unguarded))


def content(out: Path) -> dict[str, bytes]:
    return {file.relative_to(out).as_posix(): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}


def test_a_table_has_what_the_model_predicts_and_where_from(model, images, tmp_path):
    done = predicted(model, images, tmp_path / "out", "tiny_head_axis")
    assert done.images == COUNT - 1 and list(done.left_out) == ["deep/broken.jpg"]
    assert done.left_out["deep/broken.jpg"].startswith("cannot be decoded")
    table = table_of(tmp_path / "out")
    assert table["image"].tolist() == [*(f"{number}.png" for number in range(COUNT - 2)), "=5.png"]
    for row in table.itertuples():
        file = images / row.image
        expected = model.predict(file, "tiny_head_axis")[0].ravel()
        found = (row.point_1_x, row.point_1_y, row.point_2_x, row.point_2_y)
        assert found == pytest.approx(expected, rel=1e-4, abs=0)  # it was predicted beside another image
        assert row.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        with Image.open(file) as image:
            assert (row.width, row.height) == image.size
    receipt = read_sealed(tmp_path / "out" / RECEIPT)
    assert receipt["run"] == model.description.spec.id and receipt["task"] == "tiny_head_axis"
    assert receipt["table_sha256"] == hashlib.sha256((tmp_path / "out" / TABLE).read_bytes()).hexdigest()
    assert receipt["left_out"] == done.left_out


@pytest.mark.parametrize(("name", "columns"), [
    ("tiny_kind", ["class", "probability_0", "probability_1"]),
    ("tiny_head_det", ["x_min", "y_min", "x_max", "y_max"]),
    ("tiny_head", ["mask", "mask_sha256"]),
])  # fmt: skip
def test_columns_are_those_of_the_type(model, images, tmp_path, name, columns):
    predicted(model, images, tmp_path / "out", name)
    assert pd.read_csv(tmp_path / "out" / TABLE).columns.tolist() == ["image", "height", "width", "sha256", *columns]


def test_masks_are_files_of_class_indices(model, images, tmp_path):
    predicted(model, images, tmp_path / "out", "tiny_head")
    for row in table_of(tmp_path / "out").itertuples():
        assert row.mask == f"masks/{Path(row.image).with_suffix('.png')}"
        mask = np.asarray(Image.open(tmp_path / "out" / row.mask))
        assert mask.shape == (row.height, row.width) and mask.dtype == np.uint8 and mask.max() < 3
        assert row.mask_sha256 == hashlib.sha256((tmp_path / "out" / row.mask).read_bytes()).hexdigest()


class Kill(BaseException):
    """Stands for a SIGKILL: nothing may catch it."""


def kill_after(images: int):
    def progress(what: str, done: int, total: int) -> None:
        if done == images:
            raise Kill

    return progress


@pytest.mark.parametrize("name", ["tiny_head", "tiny_kind"])
def test_a_killed_prediction_continues_and_gives_the_same_bytes(model, images, tmp_path, monkeypatch, name):
    whole, broken, batches = tmp_path / "whole", tmp_path / "broken", []
    predicted(model, images, whole, name)
    predict = TrainedModel.predict_inputs
    monkeypatch.setattr(TrainedModel, "predict_inputs", lambda *given: batches.append(1) or predict(*given))
    with pytest.raises(Kill):
        predicted(model, images, broken, name, kill_after(4))
    assert not (broken / RECEIPT).exists() and len(batches) == 2
    predicted(model, images, broken, name)
    assert len(batches) == 4  # of seven files two by two, the first two batches are not predicted again
    assert content(broken) == content(whole)


def test_a_changed_image_or_a_damaged_mask_is_predicted_again(model, images, tmp_path):
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    with pytest.raises(Kill):
        predicted(model, images, out, "tiny_head", kill_after(6))
    Image.new("L", (5, 4)).save(images / "0.png")
    (out / "masks" / "2.png").write_bytes(b"damaged")
    predicted(model, images, out, "tiny_head")
    predicted(model, images, fresh, "tiny_head")
    assert content(out) == content(fresh)


def test_what_is_there_already_stays_and_is_told(model, images, tmp_path, monkeypatch):
    out = tmp_path / "out"
    first = predicted(model, images, out, "tiny_head")
    before = content(out)
    with monkeypatch.context() as changed:
        changed.setattr(TrainedModel, "predict_inputs", None)
        again = predicted(model, images, out, "tiny_head")
    assert again.was_there and (again.images, again.left_out) == (first.images, first.left_out)
    (out / "masks" / "2.png").unlink()
    assert not predicted(model, images, out, "tiny_head").was_there
    assert content(out) == before


def test_more_images_are_predicted_beside_those_that_are_there(model, images, tmp_path):
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    predicted(model, images, out, "tiny_head")
    (out / "masks" / "notes.md").write_text("mine")
    shutil.copy(images / "1.png", images / "1.jpg")  # masks of one stem keep their endings: the name 1.png is no more
    predicted(model, images, out, "tiny_head")
    predicted(model, images, fresh, "tiny_head")
    mine = content(out)
    assert mine.pop("masks/notes.md") == b"mine"
    assert mine == content(fresh) and "masks/1.png.png" in mine and "masks/1.png" not in mine


@pytest.mark.parametrize("change", ["gone", "changed", "half"])
def test_predictions_of_other_images_are_never_replaced(model, images, tmp_path, change):
    out = tmp_path / "out"
    if change == "half":
        with pytest.raises(Kill):
            predicted(model, images, out, "tiny_head", kill_after(4))
    else:
        predicted(model, images, out, "tiny_head")
    before = content(out)
    if change == "changed":
        Image.new("L", (5, 4)).save(images / "1.png")
    else:
        (images / "1.png").rename(tmp_path / "1.png")
    with pytest.raises(AgglabError, match="out: holds predictions of an image that is not among these, .*: 1.png; cho"):
        predicted(model, images, out, "tiny_head")
    assert content(out) == before


@pytest.mark.parametrize("name", ["masks/a.png", "predictions.csv", ".parts/000000.json"])
def test_files_that_only_bear_the_names_of_predictions_are_kept(model, images, tmp_path, name):
    file = tmp_path / "out" / name
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    with pytest.raises(AgglabError, match="out: holds .*, which is no prediction of agglab; choose an empty or new"):
        predicted(model, images, tmp_path / "out", "tiny_kind")
    assert content(tmp_path / "out") == {name: b"mine"}


def test_a_folder_with_other_things_is_refused(model, images, tmp_path):
    out = tmp_path / "out"
    predicted(model, images, out, "tiny_kind")
    with pytest.raises(AgglabError, match="out: holds predictions of another kind .task tiny_kind, not tiny_head."):
        predicted(model, images, out, "tiny_head")
    (out / RECEIPT).write_text("{}")
    with pytest.raises(AgglabError, match="predictions.json: cannot be used .it lacks its digest."):
        predicted(model, images, out, "tiny_kind")
    with pytest.raises(AgglabError, match="images: holds 0.png, which is no prediction of agglab; choose"):
        predicted(model, images, images, "tiny_kind")


def test_lists_and_files_name_images_too(images, tmp_path):
    (images / "some.txt").write_text("\ufeff=5.png\n\n0.png\n", encoding="utf-8")
    listed = list_images([images / "some.txt", images / "1.png"])
    assert [image.name for image in listed] == ["=5.png", "0.png", "1.png"]
    assert all(image.file.is_file() for image in listed)
    shutil.copytree(images, tmp_path / "other")
    (tmp_path / "empty").mkdir()
    (tmp_path / "blank.txt").write_text("\n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    for sources, message in (
        ([images, tmp_path / "other"], "0.png and .*0.png would both be 0.png in the answer"),
        ([images / "none"], "none: is not there; give a folder, an image, or a .txt"),
        ([tmp_path / "empty"], "empty: holds no image"),
        ([tmp_path / "blank.txt"], "blank.txt: names no image"),
        ([tmp_path / "bytes.txt"], "bytes.txt: cannot be read as a list of images"),
    ):
        with pytest.raises(DataError, match=message):
            list_images(sources)


def test_linked_folders_are_listed_and_a_list_may_begin_with_a_byte_order_mark(images, tmp_path):
    os.rename(images / "deep", tmp_path / "elsewhere")
    (images / "deep").symlink_to(tmp_path / "elsewhere")
    assert "deep/broken.jpg" in [image.name for image in list_images([images])]
    (images / "some.txt").write_text("0.png\n", encoding="utf-8-sig")
    assert [image.name for image in list_images([images / "some.txt"])] == ["0.png"]


def test_a_file_of_several_pictures_is_left_out(model, tmp_path):
    """A prediction of the first alone would pass for one of all."""
    pages = [Image.new("L", (9, 8), grey) for grey in (0, 90)]
    (tmp_path / "images").mkdir()
    pages[0].save(tmp_path / "images" / "pages.tif", save_all=True, append_images=pages[1:])
    done = predicted(model, tmp_path / "images", tmp_path / "out", "tiny_kind")
    assert done.left_out == {"pages.tif": "holds 2 pictures; save each as a file of its own"}


def test_masks_of_images_that_share_a_stem_keep_apart():
    names = ["a.png", "b.jpg", "x/a.jpg", "B.bmp"]
    kept = mask_names([ListedImage(name, Path(name)) for name in names])
    assert kept == ["a.png", "b.jpg.png", "x/a.png", "B.bmp.png"]
