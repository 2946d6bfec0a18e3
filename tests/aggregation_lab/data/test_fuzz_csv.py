"""Whatever stands in the CSV files of a data folder: it is read, or refused with lines that a person can read."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.splits.split import draw_split
from aggregation_lab.errors import AgglabError
from tests.fuzzing import damaged, fuzzed, in_time

LABELS = "task_id,task_name,num_classes,image_path,mask,subject_id\n" + "".join(
    f"kind,classification,2,../Classification/Two/Src é/im{n}.png,{n % 2},p{n}\n" for n in range(6)
)
BOXES = "task_id,task_name,num_classes,image_path,x_min,y_min,x_max,y_max\n" + "".join(
    f'box,detection,,"../Classification/Two/Src é/im{n}.png",{n},1,{n + 9},12.5\n' for n in range(6)
)
POINTS = "task_id,task_name,num_classes,image_path,point_1_xy\n" + "".join(
    f'tip,Regression,1,../Classification/Two/Src é/im{n}.png,"[{n}, 3.5]"\n' for n in range(6)
)

ODD = st.sampled_from(
    [
        "",
        " ",
        "nan",
        "NA",
        "\u00a0",
        "\u202e",
        "\x1b[31m",
        "[/x]",
        "..",
        "/",
        "\\",
        "a\nb",
        '"',
        "'",
        ";",
        "\t",
        "1e400",
    ]
    + [
        "-1",
        "3.0",
        "003",
        "../../..",
        "C:\\a\\b.png",
        "%2e%2e/x",
        "\ufeff",
        "\0",
        "\ud7ff",
        "é",
        "e\u0301",
        "NaN",
        "[1, 2]",
    ]
    + [
        "9" * 400,
        "a" * 300,
        "[" * 3000,
        "segmentation",
        "Regression",
        "seg",
        "lung",
        "None",
        "true",
        "sep=;",
        "#",
        "~$x",
    ]
)
TEXT = st.one_of(ODD, st.text(max_size=20))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small images; the CSV files are written by each example."""
    root = tmp_path_factory.mktemp("fuzz")
    images = root / "train/Classification/Two/Src é"
    images.mkdir(parents=True)
    (root / "train/csv_files").mkdir()
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 255, (16, 24), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"im{number}.png")
    return root


def check(root: Path, files: dict[str, bytes]) -> None:
    """Read the folder with these CSV files: it succeeds, or every problem is one printable line."""
    tables = root / "train/csv_files"
    shutil.rmtree(tables)
    tables.mkdir()
    for name, data in files.items():
        (tables / name).write_bytes(data)
    problems: tuple = ()
    with in_time():
        try:
            dataset = read_dataset(root, scan_file=root / "scan.parquet")
            problems = (*dataset.warnings, *dataset.notes)
            draw_split(dataset)
        except AgglabError as error:
            problems = getattr(error, "problems", ())
            assert str(error).isprintable()
    assert all(str(problem).isprintable() for problem in problems)


SOUND = [table.encode() for table in (LABELS, BOXES, POINTS)]
PIECES = st.binary(max_size=6) | TEXT.map(lambda text: text.encode("utf-8", "surrogatepass"))


@fuzzed
@given(content=damaged(SOUND, PIECES))
def test_bytes(folder: Path, content: bytes) -> None:
    """Bytes are overwritten, put in and taken out anywhere."""
    check(folder, {"a.csv": content, "b.csv": BOXES.encode()})


@fuzzed
@given(data=st.data())
def test_cells(folder: Path, data: st.DataObject) -> None:
    """Cells of the header and of rows hold what nobody expects there."""
    lines = [line.split(",") for line in data.draw(st.sampled_from([LABELS, BOXES, POINTS])).splitlines()]
    for _ in range(data.draw(st.integers(1, 6))):
        line = lines[data.draw(st.integers(0, len(lines) - 1))]
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(TEXT)
    delimiter = data.draw(st.sampled_from([",", ",", ";", "\t", "|"]))
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = end.join(delimiter.join(line) for line in lines)
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030", "cp1252"]))
    check(folder, {"a.csv": text.encode(encoding, "replace")})


@fuzzed
@given(data=st.data())
def test_files(folder: Path, data: st.DataObject) -> None:
    """Any bytes, under any name that a folder may hold beside a sound CSV."""
    names = st.sampled_from(
        ["a.csv", "A.CSV", "._a.csv", "~$a.csv", "a (1).csv", "a.xlsx", "a.csv.gz", ".csv", "a\x1b.csv"]
    )
    content = st.one_of(st.binary(max_size=200), st.sampled_from([b"PK\x03\x04", b"", b"\xff\xfe", LABELS.encode()]))
    check(folder, {**data.draw(st.dictionaries(names, content, max_size=4)), "z.csv": LABELS.encode()})
