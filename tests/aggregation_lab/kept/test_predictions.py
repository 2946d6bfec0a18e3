"""Kept predictions are those that were scored, to the last bit; damage to them is found and named."""

import json
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aggregation_lab import results
from aggregation_lab.config import ModelConfig, MoEConfig, TrainingConfig
from aggregation_lab.data.cache import ImageCache, open_cache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.images.masks import decode_mask
from aggregation_lab.data.splits.split import Split, draw_split
from aggregation_lab.errors import ResultsError
from aggregation_lab.files import file_digest
from aggregation_lab.kept.digests import kept_digests
from aggregation_lab.kept.predictions import PredictionWriter, class_map_png, read_predictions
from aggregation_lab.run import DONE, MASKS, PREDICTIONS, RunSpec
from aggregation_lab.scoring import in_pixels, reference_of, rows_in_pixels
from aggregation_lab.storage.sealed_json import write_sealed
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.keep import NOTHING, Keep
from tests.small_encoder import MINI

Data = tuple[Dataset, Split, ImageCache]


@pytest.fixture(scope="module")
def data(tiny_dataset: Dataset, tmp_path_factory) -> Data:
    return tiny_dataset, draw_split(tiny_dataset), open_cache(tiny_dataset, 32, tmp_path_factory.mktemp("cache"))


def spec_of(dataset: Dataset) -> RunSpec:
    model = ModelConfig(encoder=MINI, head_width=8, moe=MoEConfig(experts=2, blocks=1))
    settings = {"image_size": 32, "passes": 0.1, "min_steps": 3, "batch_size": 4, "evaluations": 3, "precision": "fp32"}
    return RunSpec(tuple(dataset.tasks.values()), 1.0, 0, model, TrainingConfig.model_validate(settings), data="test")


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    train_run(spec_of(data[0]), *data, folder, threads=1, keep=Keep(predictions=True))
    return folder


def table(folder: Path, name: str) -> pd.DataFrame:
    return results.read_table(folder / f"{name}.parquet", results.RUN_TABLES[name])


@pytest.mark.slow
def test_kept_predictions_scored_again_give_the_case_rows_of_the_run(data, finished):
    dataset, split, _ = data
    kept, spec = read_predictions(finished, spec_of(dataset).id), spec_of(dataset)
    assert kept is not None
    rows = table(finished, "cases")
    by_case = dataset.cases.set_index("case", drop=False)
    types = set()
    for task in spec.tasks:
        cases = by_case.loc[[case for name, case in kept.rows if name == task.name]]
        assert set(cases["case"]) == set(split.cases("test", task.name))
        again = rows_in_pixels(task, cases, (kept.of(task, case) for case in cases["case"]), dataset.root)
        own = rows[rows["task"] == task.name][list(again.columns)].reset_index(drop=True)
        order = ["case", "quantity", "index"]
        pd.testing.assert_frame_equal(
            again.sort_values(order, ignore_index=True), own.sort_values(order, ignore_index=True), check_exact=True
        )
        types.add(task.type)
    assert len(types) == 4 and len(rows)


@pytest.mark.slow
def test_what_is_kept_changes_no_table(data, finished, tmp_path):
    train_run(spec_of(data[0]), *data, tmp_path, threads=1, keep=NOTHING)
    for name in ("scores", "cases"):
        pd.testing.assert_frame_equal(table(tmp_path, name), table(finished, name), check_exact=True)
    assert not (tmp_path / PREDICTIONS).exists() and not (tmp_path / MASKS).exists()
    assert read_predictions(tmp_path, spec_of(data[0]).id) is None
    assert set(kept_digests(finished)) == {PREDICTIONS, MASKS} == Keep(predictions=True).files


def perfect(dataset: Dataset) -> PredictionWriter:
    """A writer that has seen the references of three cases of every task as their predictions."""
    writer = PredictionWriter()
    for task in dataset.tasks.values():
        cases = dataset.cases[dataset.cases["task"] == task.name][:3]
        truths = [task.type.truth(reference_of(row, dataset.root), task.classes) for row in cases.itertuples()]
        for _ in writer.passing(task, cases["case"], truths):
            pass
    return writer


@pytest.fixture
def written(tiny_dataset, tmp_path) -> Path:
    """A run's folder with predictions, made without training."""
    perfect(tiny_dataset).write(tmp_path, "abc")
    digests = {name: file_digest(tmp_path / name) for name in (PREDICTIONS, MASKS)}
    write_sealed(tmp_path / DONE, {"run": "abc", "digests": {}, "kept": digests})
    return tmp_path


def test_the_target_as_prediction_is_read_back_and_scores_perfectly(tiny_dataset, written):
    kept = read_predictions(written, "abc")
    assert kept is not None
    for task in tiny_dataset.tasks.values():
        cases = tiny_dataset.cases[tiny_dataset.cases["task"] == task.name][:3]
        rows = rows_in_pixels(task, cases, [kept.of(task, case) for case in cases["case"]], tiny_dataset.root)
        values = {
            name: np.stack([part["value"].to_numpy() for _, part in own.groupby("case")])
            for name, own in rows.groupby("quantity", sort=False)
        }
        np.testing.assert_allclose(task.type.case_scores(values), 1.0, rtol=0, atol=1e-12)


def test_the_same_predictions_give_the_same_bytes(tiny_dataset, written, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    perfect(tiny_dataset).write(other, "abc")
    for name in (PREDICTIONS, MASKS):
        assert (other / name).read_bytes() == (written / name).read_bytes()


@pytest.mark.parametrize("name", [PREDICTIONS, MASKS])
def test_damage_is_named_with_the_remedy(written, name):
    content = bytearray((written / name).read_bytes())
    content[len(content) // 2] ^= 1
    (written / name).write_bytes(content)
    with pytest.raises(ResultsError, match=rf"{name}: its content has changed since it was written; .*--rerun unkept"):
        read_predictions(written, "abc")
    (written / name).unlink()
    with pytest.raises(ResultsError, match=rf"{name}: cannot be read \(No such file or directory\); .*--rerun unkept"):
        read_predictions(written, "abc")


def test_predictions_of_another_run_are_not_taken(written):
    with pytest.raises(ResultsError, match=rf"{PREDICTIONS}: was made from something else"):
        read_predictions(written, "abd")


def test_a_run_that_was_finished_before_has_none(written):
    done = json.loads((written / DONE).read_text())
    write_sealed(written / DONE, {"run": done["run"], "digests": done["digests"]})
    assert read_predictions(written, "abc") is None


def test_a_case_that_was_not_predicted_is_named(tiny_dataset, written):
    kept = read_predictions(written, "abc")
    assert kept is not None
    with pytest.raises(ResultsError, match="has no prediction of nowhere.png for tiny_head"):
        kept.of(tiny_dataset.tasks["tiny_head"], "nowhere.png")


@pytest.mark.parametrize("classes", [2, 3, 4, 16, 17, 256])
def test_a_class_map_keeps_its_indices_in_as_few_bits_as_it_needs(classes):
    class_map = np.random.default_rng(0).integers(0, classes, (37, 53)).astype(np.uint8)
    png = class_map_png(class_map, classes)
    assert np.array_equal(np.asarray(decode_mask(png)), class_map)
    with Image.open(BytesIO(png)) as image:
        assert image.mode == "P"
    bits = 1 if classes == 2 else 2 if classes <= 4 else 4 if classes <= 16 else 8
    assert len(png) < 37 * (53 * bits / 8 + 2) + 900 + 3 * classes
    empty = class_map_png(np.zeros((5, 7), np.uint8), classes)
    assert np.asarray(decode_mask(empty)).sum() == 0


def test_entries_of_the_zip_are_named_by_the_table(tiny_dataset, written):
    kept = read_predictions(written, "abc")
    assert kept is not None
    named = {mask for _, mask in kept.rows.values() if mask}
    with ZipFile(written / MASKS) as archive:
        assert set(archive.namelist()) == named and len(named) == 3


def test_pixels_are_those_of_the_original_image(tiny_dataset):
    """A box of the whole image is as large as the image, and a class map has its shape."""
    dataset = tiny_dataset
    for task in dataset.tasks.values():
        cases = dataset.cases[dataset.cases["task"] == task.name][:2]
        one = {"mask": np.zeros((8, 8), np.uint8), "box": np.array([0, 0, 1, 1.0]), "label": np.array([1.0, 0])}
        one["points"] = np.ones((task.classes, 2))
        (first, _) = in_pixels(task, cases, np.stack([one[task.type.target]] * 2))
        height, width = cases["height"].iloc[0], cases["width"].iloc[0]
        expected = {"box": [0, 0, width, height], "label": [1, 0], "points": [[width, height]] * task.classes}
        if task.type.masked:
            assert first.shape == (height, width)
        else:
            assert first.tolist() == expected[task.type.target]
