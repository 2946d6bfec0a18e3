"""Masks in the forms other tools write: read where that is sure, else refused with a rule."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aggregation_lab.config import TargetRules
from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import Dataset, read_dataset
from aggregation_lab.data.images.decode import decode_image
from aggregation_lab.data.images.masks import decode_mask, parse_values, read_mask, write_values
from aggregation_lab.scoring import case_rows
from tests.kinds import (
    COUNT,
    HEIGHT,
    TASK,
    WIDTH,
    binary,
    encoded,
    good,
    masked,
    picture,
    png,
    problems,
    rule_in,
    structure,
    write_file,
)

SIZE = 32  # pixels of the cache


def palette(colours: list[int]) -> Callable[[int], bytes]:
    def encode(number: int) -> bytes:
        image = Image.fromarray(structure(number).astype(np.uint8)).convert("P")
        image = Image.frombytes("P", image.size, structure(number).astype(np.uint8).tobytes())
        image.putpalette(colours)
        return encoded(image, "PNG")

    return encode


def cut_out(number: int) -> bytes:
    """White where the structure is, transparent black elsewhere."""
    grey = binary(255)(number)
    return encoded(np.dstack([grey] * 4), "PNG")


CERTAIN: dict[str, Callable[[int], bytes]] = {
    "indices": png(binary(1)),
    "255": png(binary(255)),
    "truth values": png(binary(1, bool)),
    "1-bit": png(binary(255), "1"),
    "16-bit": png(binary(1, np.uint16)),
    "16-bit white": png(binary(65535, np.uint16)),
    "32-bit": lambda number: encoded(binary(255, np.int32)(number), "TIFF"),
    "float": lambda number: encoded(binary(1, np.float32)(number), "TIFF"),
    "float white": lambda number: encoded(binary(255, np.float32)(number), "TIFF"),
    "colour": png(binary(255), "RGB"),
    "colour and alpha": png(binary(255), "RGBA"),
    "colour of indices": png(binary(1), "RGB"),
    "grey and alpha": png(binary(255), "LA"),
    "cut out": cut_out,
    "palette": palette([0, 0, 0, 255, 0, 0]),
    "black and white palette": palette([0, 0, 0, 255, 255, 255]),
    "bmp": lambda number: encoded(binary(255)(number), "BMP"),
    "gif": lambda number: encoded(binary(255)(number), "GIF"),
    "gif of indices": lambda number: encoded(binary(1)(number), "GIF"),
    "tif": lambda number: encoded(binary(255)(number), "TIFF", compression="tiff_lzw"),
    "webp": lambda number: encoded(binary(255)(number), "WEBP", lossless=True),
    "one and then another": lambda number: png(binary(65535, np.uint16) if number % 2 else binary(255))(number),
}


def assert_classes(dataset: Dataset, folder: Path, classes: Callable[[int], np.ndarray]) -> None:
    """The cache and the reference of the scores both hold these class indices."""
    cache = open_cache(dataset, SIZE, folder)
    rows = ((np.arange(SIZE) + 0.5) * HEIGHT / SIZE).astype(int)
    columns = ((np.arange(SIZE) + 0.5) * WIDTH / SIZE).astype(int)
    for case in dataset.cases.itertuples():
        expected = classes(int(case.mask[2:]))
        assert (cache.masks[cache.mask_row[case.mask_content]] == expected[np.ix_(rows, columns)]).all()
    case = dataset.cases.iloc[:1]
    perfect = classes(int(case["mask"].iloc[0][2:])).astype(np.uint8)[None]
    scored = case_rows(dataset.tasks[TASK], case, perfect, dataset.root)
    assert (scored.loc[scored["quantity"] == "dice", "value"] == 1).all()


@pytest.mark.parametrize("name", CERTAIN)
def test_masks_of_two_classes_are_read(tmp_path: Path, name: str) -> None:
    dataset = good(masked(tmp_path / "data", CERTAIN[name]))
    assert set(dataset.masks["values"]) == {"0,1"}
    assert_classes(dataset, tmp_path, structure)


@pytest.mark.parametrize("form", ["GIF", "PNG"])
def test_indices_of_several_classes_survive_a_palette(form: str) -> None:
    """A writer of GIF renumbers the greys in use."""
    pixels = np.where(structure(0), 3, 0).astype(np.uint8)
    assert read_mask(encoded(pixels, form)).values == [0, 3]


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_per_pixel(bits: int) -> None:
    """Pillow spreads grey values of 2 and 4 bits over 0 to 255."""
    pixels = np.random.default_rng(0).integers(0, 2**bits, (HEIGHT, WIDTH), dtype=np.uint8)
    packed = np.packbits(np.unpackbits(pixels[..., None], axis=2)[..., -bits:].reshape(HEIGHT, -1), axis=1)
    tags = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: 1, 278: HEIGHT}
    assert (read_mask(_tiff(tags, packed.tobytes())).pixels == pixels).all()


def _tiff(tags: dict[int, int], data: bytes) -> bytes:
    """A TIFF of one strip, little-endian."""
    entries = {**tags, 273: 8, 279: len(data)}
    body = b"".join(
        number.to_bytes(2, "little")
        + (4).to_bytes(2, "little")
        + (1).to_bytes(4, "little")
        + value.to_bytes(4, "little")
        for number, value in sorted(entries.items())
    )
    directory = (8 + len(data)).to_bytes(4, "little")
    return b"II*\0" + directory + data + len(entries).to_bytes(2, "little") + body + bytes(4)


def void(number: int) -> np.ndarray:
    pixels = binary(1)(number)
    pixels[0] = 255
    return pixels


def smooth(number: int) -> bytes:
    """A lossy file of 0 and 255, with values between."""
    return encoded(binary(255)(number), "JPEG", quality=60)


UNSURE: dict[str, tuple[Callable[[int], bytes], int, Callable[[int], np.ndarray]]] = {
    "void": (png(void), 2, structure),
    "void in a palette": (lambda number: encoded(Image.fromarray(void(number)).convert("P"), "PNG"), 2, structure),
    "two conventions": (lambda number: png(binary(255 if number % 2 else 1))(number), 2, structure),
    "another white": (png(binary(200)), 2, structure),
    "counted from one": (png(lambda number: (structure(number) + 1).astype(np.uint8)), 2, structure),
    "spread": (png(binary(255)), 3, structure),
    "lossy": (smooth, 2, structure),
}


@pytest.mark.parametrize("name", UNSURE)
def test_what_is_not_sure_is_told_with_a_rule_that_works(tmp_path: Path, name: str) -> None:
    encode, classes, meaning = UNSURE[name]
    root = masked(tmp_path / "data", encode, classes)
    (line,) = problems(root, "error")
    assert "12 masks" in line or "6 masks" in line
    dataset = read_dataset(root, rules=rule_in(line))
    if name != "lossy":  # its borders are not what they were
        assert_classes(dataset, tmp_path, meaning)
    assert {int(value) for text in dataset.masks["values"] for value in text.split(",")} == {0, 1}


def test_values_that_nobody_can_guess_are_one_line(tmp_path: Path) -> None:
    root = masked(tmp_path / "data", png(lambda number: binary(1)(number) + binary(1)(number + 1)))
    (line,) = problems(root, "error")
    assert "value 2" in line and "what every value means" in line and "data.mask_values" in line


REFUSED: dict[str, tuple[Callable[[int], bytes], str]] = {
    "colours": (
        lambda number: encoded(np.dstack([binary(200)(number)] * 2 + [binary(90)(number)]), "PNG"),
        "single-channel",
    ),
    "fractions": (lambda number: encoded(binary(1, np.float32)(number) / 2, "TIFF"), "not whole numbers"),
    "no numbers": (
        lambda number: encoded(np.where(structure(number), np.nan, 0).astype(np.float32), "TIFF"),
        "whole numbers",
    ),
    "a photograph": (
        lambda number: encoded(
            np.random.default_rng(number).integers(0, 60000, (HEIGHT, WIDTH), dtype=np.uint16), "PNG"
        ),
        "different values",
    ),
    "in the alpha channel": (
        lambda number: encoded(np.dstack([np.full((HEIGHT, WIDTH), 255, np.uint8)] * 3 + [binary(255)(number)]), "PNG"),
        "transparen",
    ),
    "a stack": (
        lambda number: encoded(
            Image.fromarray(binary(1)(number)),
            "TIFF",
            save_all=True,
            append_images=[Image.fromarray(binary(2)(number))],
        ),
        "holds 2 pictures",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_masks_that_are_none_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    encode, words = REFUSED[name]
    lines = problems(masked(tmp_path / "data", encode, 3), "error")
    assert words in lines[0] and len(lines) == 1, lines
    assert "mask_path" in lines[0]


def test_palettes_that_disagree_are_refused(tmp_path: Path) -> None:
    """The same red is class 1 in one file and class 2 in another."""

    def encode(number: int) -> bytes:
        image = Image.frombytes("P", (WIDTH, HEIGHT), binary(1 + number % 2)(number).tobytes())
        image.putpalette([0, 0, 0, *([255, 0, 0] if number % 2 == 0 else [0, 255, 0]), 255, 0, 0])
        return encoded(image, "PNG")

    (line,) = problems(masked(tmp_path / "data", encode, 3), "error")
    assert all(word in line for word in ("mk01", "#ff0000 as 2", "mk00", "as 1", "single-channel"))


def test_a_palette_with_a_colour_twice_is_one_palette(tmp_path: Path) -> None:
    """Index 2 is as black as 0, as those that fill up a palette are, and some files use it."""

    def encode(number: int) -> bytes:
        pixels = np.where(structure(number) > 0, 1, 2 * (number % 2)).astype(np.uint8)
        image = Image.frombytes("P", (WIDTH, HEIGHT), pixels.tobytes())
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 0])
        return encoded(image, "PNG")

    assert problems(masked(tmp_path / "data", encode, 3), "error") == []


def test_lossy_masks_are_one_warning(tmp_path: Path) -> None:
    root = masked(tmp_path / "data", lambda number: encoded(binary(2)(number), "JPEG", quality=95), 8)
    warning = next(line for line in problems(root, "warning") if "loss" in line)
    assert "line 2" in warning and "11 more such rows" in warning and "PNG" in warning


def test_masks_without_background_are_told(tmp_path: Path) -> None:
    root = masked(tmp_path / "data", png(lambda number: (structure(number) + 1).astype(np.uint8)), 3)
    line = next(line for line in problems(root, "warning") if "background" in line)
    dataset = read_dataset(root, rules=rule_in(line))
    assert set(dataset.masks["values"]) == {"0,1"}


def test_a_mask_that_is_not_turned_with_its_image_is_told(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    root = masked(tmp_path / "data", png(binary(1)))
    for number in range(COUNT):
        pixels = np.rint(picture(number)).astype(np.uint8)
        write_file(root, f"im{number:02}", encoded(pixels, "PNG", exif=exif))
    (line,) = problems(root, "error")
    assert (
        "64 x 48" in line
        and "turn the mask as the image's EXIF orientation says" in line
        and "11 more such rows" in line
    )
    for number in range(COUNT):
        write_file(root, f"mk{number:02}", encoded(binary(1)(number), "PNG", exif=exif))
    assert not problems(root, "error")


def test_one_mask_file_means_two_things_for_two_tasks(tmp_path: Path) -> None:
    pixels = {number: binary(1)(number) + 1 * (structure(number + 1)) for number in range(COUNT)}
    root = masked(tmp_path / "data", lambda number: encoded(pixels[number].astype(np.uint8), "PNG"), 3)
    table = root / "train/csv_files/tiny.csv"
    text = table.read_text().replace(TASK, "other").replace(",3,", ",2,")
    (root / "train/csv_files/other.csv").write_text(text)
    dataset = read_dataset(root, rules=TargetRules(mask_values={"other": {"0": 0, "1-2": 1}}))
    cache = open_cache(dataset, SIZE, tmp_path)
    cases = dataset.cases.set_index(["task", "mask"])["mask_content"]
    for number in range(COUNT):
        whole, both = (cache.masks[cache.mask_row[cases[task, f"mk{number:02}"]]] for task in (TASK, "other"))
        assert ((whole > 0) == both).all() and whole.max() == 2
    assert read_dataset(root, rules=TargetRules(mask_values={"other": {"0-1": 0, "2": 1}})).masks.shape == (24, 3)


def test_rules_that_do_not_cover_the_masks_are_told(tmp_path: Path) -> None:
    root = masked(tmp_path / "data", png(void))
    (line,) = problems(root, "error", rules=TargetRules(mask_values={TASK: {"0": 0, "1": 1}}))
    assert "value 255" in line and f"data.mask_values.{TASK} does not name" in line
    (line,) = problems(root, "error", rules=TargetRules(mask_values={TASK: {"0-1": 0, "255": 2}}))
    assert "gives class 2" in line and "0 to 1" in line


def test_mappings_are_written_and_read() -> None:
    values = {0: 0, 255: 1, -1: 0}
    assert parse_values(write_values(values)) == values and parse_values("") is None
    pixels = np.array([[0, 255], [-1, 0]], np.int32)
    assert np.asarray(decode_mask(encoded(pixels, "TIFF"), values)).tolist() == [[0, 1], [0, 0]]


def test_deep_images_need_levels() -> None:
    with pytest.raises(ValueError, match="more than 8 bits"):
        decode_image(encoded(np.zeros((4, 4), np.uint16), "PNG"))


def inverted(number: int) -> np.ndarray:
    return np.where(structure(number), 0, 255).astype(np.uint8)


def test_inverted_masks_are_told_with_a_rule_that_works(tmp_path: Path) -> None:
    root = masked(tmp_path / "data", png(inverted))
    (line,) = problems(root, "warning")
    assert "inverted" in line
    assert_classes(read_dataset(root, rules=rule_in(line)), tmp_path, structure)


def test_a_value_too_many_has_a_rule_that_works(tmp_path: Path) -> None:
    root = masked(tmp_path / "data", png(lambda number: binary(2 if number == 4 else 1)(number)))
    (line,) = problems(root, "error")
    assert_classes(read_dataset(root, rules=rule_in(line)), tmp_path, structure)


def test_the_image_as_its_own_mask_is_refused(tmp_path: Path) -> None:
    root = masked(tmp_path / "data", png(binary(1)))
    table = root / "train/csv_files/tiny.csv"
    table.write_text(table.read_text().replace("../mk", "../im"))
    (line,) = problems(root, "error")
    assert "is the image itself" in line and "11 more such rows" in line


def test_photographs_as_masks_are_given_no_threshold(tmp_path: Path) -> None:
    root = masked(tmp_path / "data", png(lambda number: picture(90 + number).astype(np.uint8)))
    (line,) = problems(root, "error")
    assert "photograph" in line and "data.mask_values" not in line


def test_a_mask_of_several_images_is_told(tmp_path: Path) -> None:
    root = masked(tmp_path / "data", png(binary(1)))
    table = root / "train/csv_files/tiny.csv"
    table.write_text(table.read_text().replace("../mk03", "../mk02").replace("../mk04", "../mk02"))
    (line,) = problems(root, "warning")
    assert "mk02 is the mask of 3 different images" in line


def test_masks_that_cannot_be_read_lead_to_no_other_remark(tmp_path: Path) -> None:
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    root = masked(tmp_path / "data", lambda number: encoded(np.dstack([black, binary(255)(number)]), "PNG"))
    (line,) = problems(root, "error")
    assert "transparen" in line and not problems(root, "warning")
