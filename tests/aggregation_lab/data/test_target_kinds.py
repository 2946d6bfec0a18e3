"""Masks, labels, boxes, points in the forms other tools write: read where that is sure, else refused with a rule."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from aggregation_lab.config import TargetRules
from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import Dataset, read_dataset
from aggregation_lab.data.geometry import points_in_sides
from aggregation_lab.data.images.decode import decode_image
from aggregation_lab.data.images.masks import decode_mask, parse_values, read_mask, write_values
from aggregation_lab.scoring import case_rows
from runners.planning.study_file import read_study_file
from tests.kinds import (
    COUNT,
    HEIGHT,
    TASK,
    WIDTH,
    boxed,
    encoded,
    good,
    labelled,
    masked,
    picture,
    pointed,
    problems,
    structure,
    write_file,
)

SIZE = 32  # pixels of the cache


def binary(value: int, dtype: type = np.uint8) -> Callable[[int], np.ndarray]:
    return lambda number: (structure(number) * value).astype(dtype)


def png(pixels: Callable[[int], np.ndarray], mode: str = "") -> Callable[[int], bytes]:
    def encode(number: int) -> bytes:
        image = Image.fromarray(pixels(number))
        return encoded(image.convert(mode) if mode else image, "PNG")

    return encode


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


def rule_in(line: str) -> TargetRules:
    """The rule that a line says to write into the study file, as that file would be read."""
    name, value = re.search(r"data\.(\w+): (\[.*?\]|\{[^{}]*(?:\{[^{}]*\})?[^{}]*\})", line).groups()  # type: ignore[union-attr]
    return TargetRules.model_validate({name: yaml.safe_load(value)})


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
        "shine through",
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


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [((1, 2, 3), 3, ("count from 1", "line 4")), (("benign", "malignant"), 2, ("'benign'", "line 2")), ((1, 2), 2, ())],
)
def test_labels_that_are_no_classes_are_one_line_with_a_rule_that_works(
    tmp_path: Path, labels: tuple, classes: int, words: tuple[str, ...]
) -> None:
    root = labelled(tmp_path / "data", labels=labels, classes=classes)
    (line,) = problems(root, "error")
    assert all(word in line for word in words) and "rows of task" in line
    dataset = good(root, rules=rule_in(line))
    meant = dataset.cases["image"].str[2:].astype(int) % len(labels)
    assert (dataset.cases["label"] == meant).all()


def test_labels_and_tasks_in_another_unicode_form(tmp_path: Path) -> None:
    """The CSV is composed, the study file decomposed."""
    root = labelled(tmp_path / "data", labels=("m\u00fcde", "wach"))
    dataset = good(root, rules=TargetRules(label_values={TASK: {"mu\u0308de": 0, "wach": 1}}))
    assert dataset.cases["label"].tolist() == [0, 1] * (COUNT // 2)


def test_labels_from_one_that_fit_are_suspected(tmp_path: Path) -> None:
    root = labelled(tmp_path / "data", labels=(1, 2, 3), classes=4)
    (line,) = problems(root, "warning")
    assert "labels count from 1" in line and "num_classes to 3" in line
    assert rule_in(line).label_values == {TASK: {"1": 0, "2": 1, "3": 2}}


def test_a_label_that_the_rule_lacks_is_told(tmp_path: Path) -> None:
    root = labelled(tmp_path / "data", labels=("a", "b", "c"))
    (line,) = problems(root, "error", rules=TargetRules(label_values={TASK: {"a": 0, "b": 1}}))
    assert "'c'" in line and f"data.label_values.{TASK}" in line and "4 rows" in line


def corners(seed: int = 0, count: int = 20) -> np.ndarray:
    """N x 4 boxes in all parts of the image."""
    generator = np.random.default_rng(seed)
    low = generator.uniform((0, 0), (WIDTH - 16, HEIGHT - 12), (count, 2))
    return np.hstack([low, low + generator.uniform(4, 12, (count, 2))]).round(2)


def as_size(boxes: np.ndarray) -> np.ndarray:
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])


def as_centre(boxes: np.ndarray) -> np.ndarray:
    return np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]])


SIDES = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
BOXES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], dict]] = {
    "shares": (lambda boxes: boxes / SIDES, {"coordinates": {TASK: "normalised"}}),
    "sizes": (as_size, {"box_format": {TASK: "xywh"}}),
    "centres": (as_centre, {"box_format": {TASK: "cxcywh"}}),
    "centres in shares": (
        lambda boxes: as_centre(boxes / SIDES),
        {"coordinates": {TASK: "normalised"}, "box_format": {TASK: "cxcywh"}},
    ),
}


def check_boxes(dataset: Dataset, boxes: np.ndarray) -> None:
    order = dataset.cases["image"].str[2:].astype(int)
    np.testing.assert_allclose(np.array(dataset.cases["box"].tolist()), boxes[order], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", BOXES)
def test_boxes_of_another_form_are_one_error_and_the_rule_reads_them(tmp_path: Path, name: str) -> None:
    write, rule = BOXES[name]
    root = boxed(tmp_path / "data", write(corners()))
    (line,) = problems(root, "error")
    setting = next(iter(rule))
    assert f"data.{setting}: " in line and f"{TASK}: {rule[setting][TASK]}" in line and "19 more such rows" in line
    check_boxes(good(root, rules=TargetRules.model_validate(rule)), corners())


def test_boxes_of_two_corners_are_not_suspected(tmp_path: Path) -> None:
    for seed in range(5):
        check_boxes(good(boxed(tmp_path / str(seed), corners(seed))), corners(seed))


def test_large_boxes_of_sizes_are_suspected(tmp_path: Path) -> None:
    """Boxes that start near the corner are larger than they are far: none is inverted."""
    generator = np.random.default_rng(0)
    boxes = np.hstack([generator.uniform(2, 12, (20, 2)), generator.uniform(20, 34, (20, 2))])
    root = boxed(tmp_path / "data", boxes)
    (line,) = problems(root, "warning")
    assert "upper left quarter" in line and f"{TASK}: xywh" in line
    good(root, rules=TargetRules(box_format={TASK: "xyxy"}))
    good(root, rules=TargetRules(box_format={TASK: "xywh"}))


def test_faults_of_many_boxes_are_one_line_each(tmp_path: Path) -> None:
    boxes = corners()
    boxes[[1, 5, 7], 2] += WIDTH
    boxes[3] = boxes[3][[2, 1, 0, 3]]
    outside, inverted = sorted(problems(boxed(tmp_path / "data", boxes), "error"), key=lambda line: "inverted" in line)
    assert "line 3" in outside and "2 more such rows: lines 7, 9" in outside
    assert "line 5" in inverted and "more" not in inverted


def test_single_rows_in_shares_are_told(tmp_path: Path) -> None:
    boxes = corners()
    boxes[[4, 6]] /= SIDES
    (line,) = problems(boxed(tmp_path / "data", boxes), "warning")
    assert "line 6" in line and "1 more such row: line 8" in line and "write pixels" in line


def marks(count: int = 20) -> np.ndarray:
    """N x 2 x 2 points in all parts of the image."""
    return np.random.default_rng(1).uniform((1, 1), (WIDTH, HEIGHT), (count, 2, 2)).round(2)


def test_points_in_shares_are_an_error_and_the_rule_reads_them(tmp_path: Path) -> None:
    root = pointed(tmp_path / "data", marks() / SIDES[:2])
    (line,) = problems(root, "error")
    assert "not pixels" in line and "19 more such rows" in line
    dataset = good(root, rules=rule_in(line))
    shares = points_in_sides(dataset.cases)[dataset.cases["image"].argsort()]
    np.testing.assert_allclose(shares, marks() / SIDES[:2], rtol=0, atol=1e-6)


def test_points_in_one_quarter_are_suspected(tmp_path: Path) -> None:
    root = pointed(tmp_path / "data", marks() / 2)
    (line,) = problems(root, "warning")
    assert "upper left quarter" in line
    good(root, rules=rule_in(line))


def test_missing_points_are_told_and_left_out(tmp_path: Path) -> None:
    points = marks()
    points[[0, 4, 8], 1] = 0
    root = pointed(tmp_path / "data", points)
    (line,) = problems(root, "warning")
    assert all(word in line for word in ("line 2", "point_2_xy", "2 more such rows: lines 6, 10", "data.missing_point"))
    dataset = read_dataset(root, rules=rule_in(line))
    assert len(dataset.cases) == 17 and dataset.images.shape[0] == 17
    (line,) = map(str, dataset.warnings)
    assert "left out" in line and "2 more such rows" in line


def test_one_csv_in_shares_among_others_in_pixels(tmp_path: Path) -> None:
    """A rule for the task would not help: the CSV itself is to be corrected."""
    root = boxed(tmp_path / "data", corners())
    table = root / "train/csv_files/tiny.csv"
    head, *rows = table.read_text().splitlines()
    shares = [
        [*row.split(",")[:4], *map(repr, box)] for row, box in zip(rows, (corners() / SIDES).tolist(), strict=True)
    ]
    table.with_name("other.csv").write_text("\n".join([head, *(",".join(row) for row in shares[:10])]))
    table.write_text("\n".join([head, *rows[10:]]))
    (line,) = problems(root, "error")
    assert "other.csv" in line and "write pixels here" in line


@pytest.mark.parametrize(
    ("text", "rule"), [("", "empty"), ("[NaN, NaN]", "empty"), ("[null, null]", "empty"), ("[-1, -1]", (-1.0, -1.0))]
)
def test_other_signs_of_a_missing_point(tmp_path: Path, text: str, rule: object) -> None:
    rows = [[[float(x), float(y)] for x, y in row] for row in marks().tolist()]
    rows[3][0] = rows[6][1] = text  # type: ignore[call-overload]
    root = pointed(tmp_path / "data", rows)
    first = problems(root, "error")[0]
    assert "line 5" in first and ("data.missing_point: empty" in first) == (rule == "empty")
    assert len(read_dataset(root, rules=TargetRules(missing_point=rule)).cases) == 18  # type: ignore[arg-type]


def test_a_rule_that_finds_nothing_is_told(tmp_path: Path) -> None:
    root = pointed(tmp_path / "data", marks())
    (line,) = problems(root, "warning", rules=TargetRules(missing_point=(0.0, 0.0)))
    assert "missing_point" in line and "no point of the data is" in line


@pytest.mark.parametrize("rule", ["mask_values", "label_values", "box_format", "coordinates"])
def test_rules_for_tasks_they_do_not_fit_are_told(tmp_path: Path, rule: str) -> None:
    value = {"mask_values": {"0": 0}, "label_values": {"0": 0}, "box_format": "xywh", "coordinates": "pixels"}[rule]
    root = labelled(tmp_path / "a") if rule != "label_values" else masked(tmp_path / "a", png(binary(1)))
    (line,) = problems(root, "error", rules=TargetRules.model_validate({rule: {TASK: value}}))
    assert rule in line and "is for" in line
    (line,) = problems(root, "error", rules=TargetRules.model_validate({rule: {"nothing": value}}))
    assert "is no task of the data" in line


def test_rules_stand_in_the_study_file(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(
        "name: tiny\ndata:\n  mask_values: {a: {0: 0, 128-255: 1}}\n  label_values: {b: {1: 0, benign: 1}}\n"
        "  box_format: {c: xywh}\n  coordinates: {d: normalised}\n  missing_point: [0, 0]\n"
    )
    rules = read_study_file(file).data
    assert rules.mask_values == {"a": {"0": 0, "128-255": 1}} and rules.label_values == {"b": {"1": 0, "benign": 1}}
    assert (rules.box_format, rules.coordinates, rules.missing_point) == ({"c": "xywh"}, {"d": "normalised"}, (0, 0))


def test_deep_images_need_levels() -> None:
    with pytest.raises(ValueError, match="more than 8 bits"):
        decode_image(encoded(np.zeros((4, 4), np.uint16), "PNG"))


POINTS = {
    "round brackets": "({}, {})",
    "no brackets": "{}, {}",
    "an array's print": "[{} {}]",
    "semicolons": "{};{}",
    "text in JSON": '["{}", "{}"]',
    "one bracket more": "[[{}, {}]]",
    "NumPy's numbers": "(np.float64({}), np.float64({}))",
    "names": '{{"x": {}, "y": {}}}',
}


@pytest.mark.parametrize("name", POINTS)
def test_points_in_other_brackets_are_read(tmp_path: Path, name: str) -> None:
    texts = [[POINTS[name].format(x, y) for x, y in row] for row in marks().tolist()]
    dataset = good(pointed(tmp_path / "data", texts))
    shares = points_in_sides(dataset.cases)[dataset.cases["image"].argsort()]
    np.testing.assert_allclose(shares, marks() / SIDES[:2], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "text", ["[5, 6", "5, 6]", "(5, 6]", "5,0; 6,5", "[5, 6, 2]", "[5]", "[NaN, 3]", "[1_0, 2]", "x"]
)
def test_what_may_be_another_point_is_refused(tmp_path: Path, text: str) -> None:
    rows = [[[float(x), float(y)] for x, y in row] for row in marks().tolist()]
    rows[3][0] = text  # type: ignore[call-overload]
    (line,) = problems(pointed(tmp_path / "data", rows), "error")
    assert "line 5" in line and "write JSON text" in line


def test_points_beyond_the_number_are_told(tmp_path: Path) -> None:
    root = pointed(tmp_path / "data", marks())
    table = root / "train/csv_files/tiny.csv"
    table.write_text(table.read_text().replace(",2,../im", ",1,../im"))
    (line,) = problems(root, "warning")
    assert "point_2_xy" in line and "num_classes is 1" in line and "19 more such rows" in line


def test_a_point_outside_that_marks_a_missing_one_has_a_rule_that_works(tmp_path: Path) -> None:
    points = marks()
    points[[2, 5], 1] = -1
    root = pointed(tmp_path / "data", points)
    (line,) = problems(root, "error")
    assert len(read_dataset(root, rules=rule_in(line)).cases) == 18


def test_boxes_without_an_object_are_one_line(tmp_path: Path) -> None:
    boxes = corners()
    boxes[[2, 5]] = -1
    root = boxed(tmp_path / "data", boxes)
    (line,) = problems(root, "error")
    assert "take the row out" in line and "1 more such row" in line and not problems(root, "warning")


def test_labels_in_two_spellings_are_one_class(tmp_path: Path) -> None:
    root = labelled(tmp_path / "data", labels=("Benign", "malignant", "benign", "Malignant"))
    (line,) = problems(root, "error")
    assert good(root, rules=rule_in(line)).cases["label"].tolist() == [0, 1] * (COUNT // 2)


@pytest.mark.parametrize("text", ["NA", "-1", "unknown"])
def test_labels_that_stand_for_none_have_a_remedy(tmp_path: Path, text: str) -> None:
    (line,) = problems(labelled(tmp_path / "data", labels=(0, 1, text)), "error")
    assert "take such rows out" in line


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
    assert "shine through" in line and not problems(root, "warning")
