"""Whatever the bytes of a file are, they are an image, or a mask, or one line that says what is wrong."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aggregation_lab.data.images.decode import read_picture
from aggregation_lab.data.images.masks import read_mask
from tests.fuzzing import damaged, fuzzed, in_time
from tests.kinds import HEIGHT, WIDTH, encoded, labelled, picture, problems, structure, write_file


def _files() -> list[bytes]:
    grey = np.rint(picture(0)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    forms: list[tuple[np.ndarray | Image.Image, str, dict]] = [
        (grey, "PNG", {"exif": exif}),
        (grey, "JPEG", {"exif": exif}),
        (np.dstack([grey] * 3), "JPEG", {"progressive": True}),
        (np.dstack([grey] * 4), "PNG", {}),
        (Image.fromarray(grey).convert("P"), "PNG", {"transparency": b"\0\1\2"}),
        (Image.fromarray(structure(0)), "PNG", {}),
        (grey.astype(np.uint16) * 16, "PNG", {}),
        (grey.astype(np.uint16) * 16, "TIFF", {"compression": "tiff_lzw"}),
        (grey.astype(np.float32), "TIFF", {}),
        (Image.fromarray(grey), "TIFF", {"save_all": True, "append_images": [Image.fromarray(grey)]}),
        (Image.fromarray(grey), "GIF", {"save_all": True, "append_images": [Image.fromarray(grey // 2)]}),
        (grey, "WEBP", {}),
        (grey, "BMP", {}),
        (grey, "PPM", {}),
        (grey, "TGA", {}),
    ]
    return [encoded(image, form, **options) for image, form, options in forms]


FILES = _files()


DAMAGED = damaged(FILES, st.binary(max_size=16))


@fuzzed
@given(DAMAGED | st.binary(max_size=200))
def test_bytes_are_an_image_or_one_line(data: bytes) -> None:
    with in_time(), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read = read_picture(data)
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) > 10
        else:
            assert read.deep or read.image.mode in ("L", "RGB")
            assert min(read.image.size) > 0


@fuzzed
@given(DAMAGED | st.binary(max_size=200))
def test_bytes_are_a_mask_or_one_line(data: bytes) -> None:
    with in_time(), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            pixels = read_mask(data).pixels
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) > 10
        else:
            assert pixels.ndim == 2 and pixels.dtype.kind in "iu"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled(tmp_path_factory.mktemp("fuzz"))


@fuzzed
@given(data=DAMAGED)
def test_a_folder_with_one_damaged_file_is_read_or_refused(folder: Path, data: bytes) -> None:
    with in_time():
        write_file(folder, "im00", data)
        for line in problems(folder, "error"):
            assert "line 2" in line and "im00" in line


def test_the_files_are_good_before_they_are_damaged() -> None:
    for data in FILES:
        assert set(read_picture(data).image.size) == {HEIGHT, WIDTH}
