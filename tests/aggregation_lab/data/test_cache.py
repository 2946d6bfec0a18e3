"""The image cache: right pixels, built once, atomically, shared by processes."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aggregation_lab.data.cache import ImageCache, open_cache
from aggregation_lab.data.challenge import Dataset, read_dataset
from aggregation_lab.errors import DataError


def test_rows_hold_the_resized_files(tiny_dataset: Dataset, tmp_path: Path) -> None:
    cache = open_cache(tiny_dataset, 32, tmp_path)
    assert cache.images.shape == (len(tiny_dataset.images), 32, 32, 1) and cache.images.dtype == np.uint8
    assert cache.masks.shape == (len(tiny_dataset.masks), 32, 32)
    for case in tiny_dataset.cases.itertuples():
        with Image.open(tiny_dataset.root / case.image) as image:
            expected = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR))
        assert (cache.images[cache.image_row[case.content], ..., 0] == expected).all()
        if case.mask:
            with Image.open(tiny_dataset.root / case.mask) as mask:
                expected = np.asarray(mask)[np.ix_(((np.arange(32) + 0.5) * 48 / 32).astype(int), np.arange(1, 64, 2))]
            assert (cache.masks[cache.mask_row[case.mask_content]] == expected).all()


def test_cache_is_read_only(tiny_dataset: Dataset, tmp_path: Path) -> None:
    cache = open_cache(tiny_dataset, 16, tmp_path)
    assert isinstance(cache.images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        cache.images[0] = 0


def test_built_once_per_size_with_progress(tiny_dataset: Dataset, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    open_cache(tiny_dataset, 16, tmp_path, lambda *call: calls.append(call))
    assert ("caching images", 53, 53) in calls and ("caching masks", 28, 28) in calls
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(times) == 2
    calls.clear()
    open_cache(tiny_dataset, 16, tmp_path, lambda *call: calls.append(call))
    assert not calls and {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times
    open_cache(tiny_dataset, 32, tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_other_content_gets_another_file(tiny_data: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    before = open_cache(tiny_dataset, 16, folder)
    image = tiny_data / "train" / tiny_dataset.cases["image"].iloc[0]
    Image.fromarray(np.full((48, 64), 7, np.uint8)).save(image)
    after = open_cache(read_dataset(tiny_data), 16, folder)
    assert after.image_file != before.image_file and after.mask_file == before.mask_file


def test_one_colour_image_makes_three_channels(tiny_data: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    image = tiny_data / "train" / tiny_dataset.cases["image"].iloc[0]
    Image.fromarray(np.full((48, 64, 3), (200, 10, 90), np.uint8)).save(image)
    dataset = read_dataset(tiny_data)
    cache = open_cache(dataset, 16, tmp_path / "cache")
    assert cache.images.shape[-1] == 3
    assert cache.images[cache.image_row[dataset.cases["content"].iloc[0]], 3, 3].tolist() == [200, 10, 90]
    grey = cache.images[cache.image_row[dataset.cases["content"].iloc[-1]]]
    assert (grey[..., 0] == grey[..., 2]).all()


def test_data_without_masks(tiny_original: Path, tmp_path: Path) -> None:
    cache = open_cache(read_dataset(tiny_original, tasks=["tiny_kind"]), 16, tmp_path)
    assert cache.masks.shape == (0, 16, 16) and cache.mask_row == {}


@pytest.mark.parametrize("left", [500, 0])
def test_cut_file_is_built_again(tiny_dataset: Dataset, tmp_path: Path, left: int) -> None:
    whole = open_cache(tiny_dataset, 16, tmp_path).images.copy()
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:left])
    assert (open_cache(tiny_dataset, 16, tmp_path).images == whole).all()


def test_changed_image_stops_the_build_and_leaves_nothing(tiny_data: Path, tmp_path: Path) -> None:
    dataset = read_dataset(tiny_data)
    image = dataset.root / dataset.images["image"].iloc[-1]
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(image)
    with pytest.raises(DataError, match="has changed since the data were read"):
        open_cache(dataset, 16, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    image.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        open_cache(replace(dataset, images=dataset.images.iloc[-1:]), 16, tmp_path / "cache")


def _mean(cache: ImageCache) -> float:
    return float(cache.images.mean())


@pytest.mark.slow
def test_another_process_maps_the_same_file(tiny_dataset: Dataset, tmp_path: Path) -> None:
    cache = open_cache(tiny_dataset, 16, tmp_path)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_mean, [cache, cache]) == [_mean(cache)] * 2
