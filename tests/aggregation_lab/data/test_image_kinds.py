"""Images in the forms that scanners and exporters write: what reaches the cache shows what the file shows."""

import io
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import Dataset, read_dataset
from aggregation_lab.data.images.decode import LARGEST, read_picture, upright_size
from tests.kinds import COUNT, HEIGHT, WIDTH, as_png, encoded, good, labelled, picture, problems, write_file


def whole(bits: int, form: str = "PNG") -> Callable[[np.ndarray], bytes]:
    return lambda pixels: encoded(np.rint(pixels * ((2**bits - 1) / 255)).astype(np.uint16), form)


def floats(scale: float, offset: float = 0.0) -> Callable[[np.ndarray], bytes]:
    return lambda pixels: encoded((pixels * scale + offset).astype(np.float32), "TIFF")


def big_endian(pixels: np.ndarray) -> bytes:
    values = np.rint(pixels * 16).astype(">u2")
    return encoded(Image.frombytes("I;16B", (WIDTH, HEIGHT), values.tobytes()), "TIFF")


def mode(name: str, form: str = "PNG") -> Callable[[np.ndarray], bytes]:
    return lambda pixels: encoded(Image.fromarray(np.rint(pixels).astype(np.uint8)).convert(name), form)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def deep_colour(top: int) -> Callable[[np.ndarray], bytes]:
    """PNG with 16 bits per channel, whose brightest value is `top`."""

    def encode(pixels: np.ndarray) -> bytes:
        values = np.repeat(np.rint(pixels * (top / 255)).astype(">u2")[..., None], 3, axis=2)
        rows = b"".join(b"\0" + row.tobytes() for row in values)
        header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0)
        parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(parts)

    return encode


SAME = {
    "8 bits": as_png,
    "8 bits in 16": whole(8),
    "10 bits": whole(10),
    "12 bits": whole(12),
    "12 bits tif": whole(12, "TIFF"),
    "14 bits": whole(14),
    "16 bits": whole(16),
    "big-endian": big_endian,
    "32 bits": lambda pixels: encoded(np.rint(pixels * 16).astype(np.int32), "TIFF"),
    "float to 1": floats(1 / 255),
    "float to 255": floats(1.0),
    "palette": mode("P"),
    "grey and alpha": mode("LA"),
    "colour": mode("RGB"),
    "colour and alpha": mode("RGBA"),
    "CMYK": mode("CMYK", "TIFF"),
    "bmp": mode("L", "BMP"),
    "16-bit colour": deep_colour(65535),
}


def cached(dataset: Dataset, folder: Path) -> np.ndarray:
    """N x HEIGHT x WIDTH of the cached images in the order of the cases, at 32 px of which the blocks are known."""
    cache = open_cache(dataset, 32, folder)
    return cache.images[[cache.image_row[content] for content in dataset.cases["content"]], ..., 0].astype(int)


def expected() -> np.ndarray:
    images = (Image.fromarray(np.rint(picture(number)).astype(np.uint8)) for number in range(COUNT))
    return np.stack([np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR)) for image in images]).astype(int)


@pytest.mark.parametrize("name", SAME)
def test_what_is_cached_is_what_was_meant(tmp_path: Path, name: str) -> None:
    dataset = good(labelled(tmp_path / "data", SAME[name]))
    np.testing.assert_allclose(cached(dataset, tmp_path), expected(), rtol=0, atol=2)


OWN_RANGE = {
    "signed": lambda pixels: encoded(np.rint(pixels * 8 - 1000).astype(np.int32), "TIFF"),
    "decibels": floats(60 / 255, -60),
    "tiny": floats(1e-5),
    "offset": lambda pixels: encoded(np.rint(pixels * 4 + 40000).astype(np.uint16), "PNG"),
    "huge": floats(1e6),
}


@pytest.mark.parametrize("name", OWN_RANGE)
def test_unusual_ranges_keep_their_contrast_and_are_told(tmp_path: Path, name: str) -> None:
    root = labelled(tmp_path / "data", OWN_RANGE[name])
    (warning,) = problems(root, "warning")
    assert "hold values from" in warning and "tiny_task" in warning
    np.testing.assert_allclose(cached(read_dataset(root), tmp_path), expected(), rtol=0, atol=2)


def test_a_range_belongs_to_the_task_not_to_the_file(tmp_path: Path) -> None:
    """One image is half as bright as the others of its task, and stays so."""
    root = labelled(tmp_path / "data", whole(12))
    write_file(root, "im00", whole(12)(picture(0) / 2))
    pixels = cached(good(root), tmp_path)
    np.testing.assert_allclose(pixels[0], expected()[0] / 2, rtol=0, atol=2)
    np.testing.assert_allclose(pixels[1], expected()[1], rtol=0, atol=2)


def test_other_levels_are_another_cache(tmp_path: Path) -> None:
    """The bytes of eleven images stay, but what the twelfth holds changes their range."""
    root = labelled(tmp_path / "data", whole(10))
    before = good(root)
    first = open_cache(before, 16, tmp_path)
    write_file(root, "im00", whole(12)(picture(0)))
    after = read_dataset(root)
    assert set(before.cases["content"]).isdisjoint(after.cases["content"])
    assert open_cache(after, 16, tmp_path).image_file != first.image_file


def test_pixels_that_are_no_numbers(tmp_path: Path) -> None:
    def encode(pixels: np.ndarray) -> bytes:
        values = (pixels / 255).astype(np.float32)
        values[:8, :8], values[-8:, -8:], values[8:16, :8] = -np.inf, np.inf, np.nan
        return encoded(values, "TIFF")

    root = labelled(tmp_path / "data", encode)
    (warning,) = problems(root, "warning")
    assert "no numbers or infinite" in warning and "11 more such rows" in warning
    pixels = cached(read_dataset(root), tmp_path)
    assert (pixels[:, 0, 0] == 0).all() and (pixels[:, -1, -1] == 255).all() and (pixels[:, 8, 0] == 0).all()


def test_an_image_without_a_number_is_black(tmp_path: Path) -> None:
    root = labelled(tmp_path / "data", floats(1 / 255))
    write_file(root, "im03", encoded(np.full((HEIGHT, WIDTH), np.nan, np.float32), "TIFF"))
    assert any("im03 has (nearly) no contrast" in line for line in problems(root, "warning"))
    assert cached(read_dataset(root), tmp_path)[3].max() == 0


@pytest.mark.parametrize("deep", [False, True])
def test_images_without_contrast_are_one_warning(tmp_path: Path, deep: bool) -> None:
    root = labelled(tmp_path / "data", whole(12) if deep else as_png)
    for number in (4, 6, 8):
        flat = np.full((HEIGHT, WIDTH), 7 + number)
        flat[0, 0] = 8 + number
        write_file(root, f"im{number:02}", encoded(flat.astype(np.uint16 if deep else np.uint8), "PNG"))
    (warning,) = problems(root, "warning")
    assert all(word in warning for word in ("line 6", "im04 has (nearly) no contrast", "2 more such rows: lines 8, 10"))


def test_a_file_of_another_range_is_told(tmp_path: Path) -> None:
    """8-bit values among files of 16 bits would be black beside the others."""
    root = labelled(tmp_path / "data", whole(16))
    write_file(root, "im02", whole(8)(picture(2)))
    (warning,) = problems(root, "warning")
    assert "im02 is read (nearly) black" in warning and "line 4" in warning and "65535" in warning


def test_a_task_of_images_in_several_forms_is_told(tmp_path: Path) -> None:
    """Each form has a range of its own, so equal values in two files may be unlike greys."""
    root = labelled(tmp_path / "data", whole(12))
    for number in (0, 5):
        write_file(root, f"im{number:02}", as_png(picture(number)))
    (warning,) = problems(root, "warning")
    assert "has images in several forms (2 of 8 bits, 10 of whole numbers of more bits)" in warning


def test_dark_colour_of_16_bits_is_refused(tmp_path: Path) -> None:
    (line,) = problems(labelled(tmp_path / "data", deep_colour(4095)), "error")
    assert "16 bits are not used up" in line and "11 more such rows" in line


def test_white_as_zero_is_refused_where_it_cannot_be_seen(tmp_path: Path) -> None:
    inverted = {262: 0}
    root = labelled(tmp_path / "data")
    data = encoded(np.zeros((HEIGHT, WIDTH), np.uint16), "TIFF", tiffinfo=inverted)
    tag = data.index(struct.pack("<HHI", 262, 3, 1)) + 8  # Pillow writes its own value
    write_file(root, "im00", data[:tag] + b"\0\0" + data[tag + 2 :])
    (line,) = problems(root, "error")
    assert "stores white as 0" in line


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(form: str, orientation: int) -> None:
    upright = Image.fromarray(np.rint(picture(1)).astype(np.uint8))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what makes of the upright image what a camera stores
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "lossless": True} if form == "WEBP" else {"quality": 98} if form == "JPEG" else {}
    content = encoded(stored, form, exif=exif, **options)
    read = read_picture(content)
    assert read.turned == (orientation > 1) and read.image.size == (WIDTH, HEIGHT)
    with Image.open(io.BytesIO(content)) as opened:
        assert upright_size(opened) == (WIDTH, HEIGHT)
    np.testing.assert_allclose(np.asarray(read.image, int), np.asarray(upright, int), rtol=0, atol=12)


def test_turned_images_are_one_warning(tmp_path: Path) -> None:
    def sideways(pixels: np.ndarray) -> bytes:
        exif = Image.Exif()
        exif[0x0112] = 6
        return encoded(
            Image.fromarray(np.rint(pixels).astype(np.uint8)).transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif
        )

    root = labelled(tmp_path / "data", sideways)
    (warning,) = problems(root, "warning")
    assert "EXIF" in warning and "11 more such rows" in warning
    dataset = read_dataset(root)
    assert set(dataset.cases["width"]) == {WIDTH}
    assert (cached(dataset, tmp_path) == expected()).all()


@pytest.mark.parametrize("form", ["GIF", "TIFF", "PNG", "WEBP"])
def test_several_pictures_in_a_file_are_told(tmp_path: Path, form: str) -> None:
    frames = [Image.fromarray(np.rint(picture(number)).astype(np.uint8)) for number in (0, 50, 51)]
    root = labelled(tmp_path / "data")
    options = {"lossless": True} if form == "WEBP" else {}
    write_file(root, "im00", encoded(frames[0], form, save_all=True, append_images=frames[1:], **options))
    (warning,) = problems(root, "warning")
    assert "im00 holds several pictures, of which the first is read" in warning
    np.testing.assert_allclose(cached(read_dataset(root), tmp_path)[0], expected()[0], rtol=0, atol=2)


def test_transparency_is_laid_on_black(tmp_path: Path) -> None:
    layers = np.dstack([np.rint(picture(0))] * 3 + [np.full((HEIGHT, WIDTH), 255.0)]).astype(np.uint8)
    layers[:16, :, 3] = 0
    root = labelled(tmp_path / "data")
    write_file(root, "im00", encoded(layers, "PNG"))
    (warning,) = problems(root, "warning")
    assert "im00 has transparent pixels" in warning
    pixels = cached(read_dataset(root), tmp_path)[0]
    assert pixels[:8].max() == 0 and (pixels[16:] == expected()[0, 16:]).all()


@pytest.mark.parametrize("alpha", [0, 128])
def test_even_transparency_says_nothing(tmp_path: Path, alpha: int) -> None:
    root = labelled(tmp_path / "data")
    grey = np.rint(picture(0)).astype(np.uint8)
    write_file(root, "im00", encoded(np.dstack([grey] * 3 + [np.full_like(grey, alpha)]), "PNG"))
    assert (cached(good(root), tmp_path)[0] == expected()[0]).all()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_cut_files_are_refused(form: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    data = encoded(noise, form)
    with pytest.raises(ValueError, match=r"empty|truncated"):
        read_picture(data[: int(share * len(data))])


def test_large_images_are_refused_in_silence(tmp_path: Path) -> None:
    root, limit = labelled(tmp_path / "data"), Image.MAX_IMAGE_PIXELS
    for name, width in (("im00", 10_000), ("im01", 14_000)):
        write_file(root, name, encoded(Image.new("L", (width, 9_900), 90), "PNG"))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        lines = problems(root, "error")
    assert not seen and limit == Image.MAX_IMAGE_PIXELS
    (line,) = lines
    assert all(word in line for word in ("line 2", "10000 x 9900", "40 million", "smaller", "line 3"))


def test_decoding_in_threads_leaves_pillow_as_it_was() -> None:
    limit, filters, data = Image.MAX_IMAGE_PIXELS, list(warnings.filters), as_png(picture(0))
    with ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(read_picture, [data] * 200))
    assert {read.image.size for read in pictures} == {(WIDTH, HEIGHT)}
    assert limit == Image.MAX_IMAGE_PIXELS and list(warnings.filters) == filters


_PEAK = """
import resource, sys
from aggregation_lab.data.images.decode import read_picture
data = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read_picture(data)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["L", "RGB", "RGBA", "I;16"])
def test_memory_of_the_largest_image_is_bounded(tmp_path: Path, name: str) -> None:
    width = 8_000
    file = tmp_path / "large.png"
    Image.new(name, (width, LARGEST // width)).save(file, compress_level=1)
    done = subprocess.run([sys.executable, "-c", _PEAK, str(file)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16 * LARGEST + 100e6


def test_text_bombs_are_refused(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "a" * 200_000_000, zip=True)
    root = labelled(tmp_path / "data")
    write_file(root, "im00", encoded(Image.fromarray(np.rint(picture(0)).astype(np.uint8)), "PNG", pnginfo=text))
    (line,) = problems(root, "error")
    assert "line 2" in line and "without metadata" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>404</html>", "is a web page; download the file again"),
    ],
)
def test_texts_in_place_of_images_are_named(tmp_path: Path, text: bytes, words: str) -> None:
    root = labelled(tmp_path / "data")
    write_file(root, "im00", text)
    (line,) = problems(root, "error")
    assert words in line


FOREIGN = {
    "a.dcm": (b"\0" * 128 + b"DICM" + b"\0" * 40, "DICOM"),
    "b.DCM": (b"\x08\0\x05\0" * 40, "DICOM"),
    "im": (b"\0" * 128 + b"DICM" + b"\0" * 40, "DICOM"),
    "c.nii.gz": (b"\x1f\x8b" + b"\0" * 100, "NIfTI"),
    "d.nii": (b"\0" * 344 + b"n+1\0", "NIfTI"),
    "e.nrrd": (b"NRRD0004\n", "NRRD"),
    "f.mha": (b"ObjectType = Image\n", "MetaImage"),
    "g.npy": (b"\x93NUMPY\x01\0", "NumPy"),
    "h.mp4": (b"\0\0\0\x18ftypisom" + b"\0" * 40, "video"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_formats_are_named_with_a_way_out(tmp_path: Path, name: str) -> None:
    root = labelled(tmp_path / "data")
    data, form = FOREIGN[name]
    for number in (0, 1, 2):
        write_file(root, f"{number}{name}", data)
        table = root / "train/csv_files/tiny.csv"
        table.write_text(table.read_text().replace(f"im{number:02}", f"{number}{name}"))
    (line,) = problems(root, "error")
    assert all(word in line for word in (f"0{name} is a {form} file", "export its pictures as PNG", "2 more such rows"))
