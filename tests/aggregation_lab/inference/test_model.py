"""A loaded model predicts what its run predicted, to the last digit, from images in any form."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import aggregation_lab as agg
from aggregation_lab import results
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.errors import DataError, ResultsError
from aggregation_lab.inference.images import image_input
from aggregation_lab.inference.model import TrainedModel
from aggregation_lab.kept.predictions import read_predictions
from aggregation_lab.scoring import case_rows
from aggregation_lab.training import evaluation
from tests.aggregation_lab.inference.trained import SIZE, Trained, train

NAMES = ("tiny_head", "tiny_head_det", "tiny_head_axis", "tiny_kind")


@pytest.fixture(scope="module")
def trained(trained_run: Trained) -> Trained:
    return trained_run


@pytest.fixture(scope="module")
def model(trained: Trained) -> TrainedModel:
    return agg.load_model(trained.folder)


@pytest.fixture(autouse=True)
def threads_of_the_run():
    torch.set_num_threads(1)


def files(trained: Trained, task: str) -> list[Path]:
    return [trained.dataset.root / path for path in trained.test_cases(task)["image"]]


def assert_own_rows(trained: Trained, model: TrainedModel, name: str, monkeypatch) -> None:
    """The run's scoring, with the step left out that brings predictions to pixels, gives the run's rows bit by bit."""
    task, cases = trained.dataset.tasks[name], trained.test_cases(name)
    predictions = model.predict(files(trained, name), name)
    monkeypatch.setattr(type(task.type), "in_pixels", lambda self, prediction, height, width: prediction)
    keys = ["case", "quantity", "index"]
    stored = results.read_table(trained.folder / "cases.parquet", results.RUN_TABLES["cases"])
    stored = stored[stored["task"] == name].set_index(keys)["value"]
    for number, prediction in enumerate(predictions):
        rows = case_rows(task, cases.iloc[[number]], prediction[None], trained.dataset.root).set_index(keys)["value"]
        of_case = stored[stored.index.get_level_values("case") == cases["case"].iloc[number]]
        assert rows.to_dict() == of_case.to_dict()


@pytest.mark.parametrize("name", NAMES)
def test_predictions_are_the_runs_own_to_the_last_digit(trained, model, name, monkeypatch):
    assert_own_rows(trained, model, name, monkeypatch)


@pytest.mark.parametrize("name", NAMES)
def test_the_run_has_kept_what_its_model_predicts(trained, model, name):
    """Every number and every pixel of the test cases, in pixels of the original images."""
    task, cases = trained.dataset.tasks[name], trained.test_cases(name)["case"].tolist()
    kept = read_predictions(trained.folder, model.description.spec.id)
    assert kept is not None and [case for of, case in kept.rows if of == name] == cases
    for case, predicted in zip(cases, model.predict(files(trained, name), name), strict=True):
        own = kept.of(task, case)
        assert predicted.shape == own.shape and (predicted == own).all(), case


def test_so_they_are_in_more_batches_than_one(tiny_dataset, tmp_path, monkeypatch):
    for module in (evaluation, "aggregation_lab.inference.model"):
        monkeypatch.setattr(f"{getattr(module, '__name__', module)}.EVALUATION_BATCH", 2)
    trained = train(tiny_dataset, tmp_path / "run", "tiny_kind")
    assert len(trained.test_cases("tiny_kind")) > 2
    assert_own_rows(trained, agg.load_model(trained.folder), "tiny_kind", monkeypatch)


def test_predictions_have_the_form_of_their_type_in_the_pixels_of_the_image(model):
    image = np.zeros((50, 70), np.uint8)
    (mask,), (box,), (points,), (probabilities,) = (model.predict(image, name) for name in NAMES)
    assert mask.shape == (50, 70) and mask.dtype == np.uint8 and mask.max() < 3
    assert box.shape == (4,) and points.shape == (2, 2) and probabilities.shape == (2,)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5, rel=0)
    wide = np.zeros((50, 140), np.uint8)  # the same square, seen twice as wide
    (wide_box,), (wide_points,) = (model.predict(wide, name) for name in ("tiny_head_det", "tiny_head_axis"))
    np.testing.assert_allclose(wide_box, box * [2, 1, 2, 1], rtol=1e-6, atol=0)
    np.testing.assert_allclose(wide_points, points * [2, 1], rtol=1e-6, atol=0)


def test_an_image_is_the_same_in_every_form(trained, model, tmp_path):
    file = files(trained, "tiny_kind")[0]
    pixels = np.asarray(Image.open(file))
    colour = np.repeat(pixels[..., None], 3, axis=2)
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=turned(), quality=95)
    with Image.open(file) as opened, Image.open(tmp_path / "turned.jpg") as sideways:
        forms = [file, str(file), opened, pixels, pixels[..., None], colour, colour[:, ::-1][:, ::-1]]
        found = [model.predict(form, "tiny_kind")[0] for form in forms]
        of_file, of_image = (model.predict(form, "tiny_head") for form in (tmp_path / "turned.jpg", sideways))
    assert all((each == found[0]).all() for each in found)
    assert of_file[0].shape == pixels.T.shape and (of_file[0] == of_image[0]).all()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_called_as_a_module_it_takes_squares(trained, model):
    file = files(trained, "tiny_kind")[0]
    seen = model.input_of(file, "tiny_kind")
    assert seen.pixels.shape == (SIZE, SIZE, 1)
    square = torch.tensor(seen.pixels).movedim(-1, 0)[None]
    (expected,) = model.predict(file, "tiny_kind")
    torch.testing.assert_close(model(square, "tiny_kind")[0], torch.from_numpy(expected), rtol=1e-5, atol=1e-6)


def test_weights_are_chosen_and_what_was_not_scored_is_told(trained, tmp_path):
    last, best = (agg.load_model(trained.folder, weights=kind) for kind in ("last", "best"))
    assert last.description.scored and not best.description.scored
    assert last.description.digest != best.description.digest and last.description.threads == 1
    with pytest.raises(ResultsError, match="kept the last and best weights, not first; ask for those"):
        agg.load_model(trained.folder, weights="first")
    only_best = train(trained.dataset, tmp_path / "run", "tiny_kind", kinds=("best",))
    with pytest.warns(UserWarning, match="these are the best weights; the run's scores are those of the last ones"):
        agg.load_model(only_best.folder)


def test_a_task_that_the_run_has_not_is_one_line(model):
    with pytest.raises(ResultsError, match="task tiny_kin: the run was not trained for it; did you mean tiny_kind"):
        model.predict([], "tiny_kin")


def test_images_that_cannot_be_read_are_one_line(model, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    for image, message in (
        (tmp_path / "none.png", "none.png: cannot be read .No such file"),
        (tmp_path / "text.png", "text.png: cannot be decoded"),
        (np.zeros((2, 3, 4), np.uint8), "the image: is an array of 2 x 3 x 4 uint8; it takes H x W"),
        (np.zeros((4, 4), bool), "the image: is an array of 4 x 4 bool; it takes uint8"),
        (np.zeros(()), "the image: is an array of no side float64"),
        (np.zeros((4, 4), np.uint16), "the image: holds more than 8 bits per pixel, and the run saw no such image"),
    ):
        with pytest.raises(DataError, match=message):
            model.predict(image, "tiny_kind")


def test_deep_images_are_read_by_the_range_of_their_task(tiny_data, tmp_path, monkeypatch):
    folder = next(path for path in (tiny_data / "train").rglob("*Kinds*") if path.is_dir())
    for file in folder.glob("*.png"):
        pixels = np.asarray(Image.open(file)).astype(np.uint16)
        Image.fromarray(pixels * 16).save(file)  # 12 bits
    trained = train(read_dataset(tiny_data), tmp_path / "run", "tiny_kind")
    model = agg.load_model(trained.folder)
    assert model.description.levels == {"tiny_kind": ("0..4095",)}
    assert_own_rows(trained, model, "tiny_kind", monkeypatch)
    deep = np.full((8, 8), 2047, np.uint16)
    assert (image_input(deep, 8, 1, ["0..4095"]).pixels == 127).all()
    with pytest.raises(DataError, match="the run saw two ranges of such values; save it with 8 bits"):
        image_input(deep, 8, 1, ["0..4095", "0..1"])
