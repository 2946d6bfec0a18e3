"""DICOM: what is cut away with the region, what is no image, odd palettes and windows, what cannot be decoded."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLosslessSV1

from aggregation_lab.data.importing.documents.dicom import _undecoded
from aggregation_lab.data.importing.receipt import read_receipts
from aggregation_lab.data.importing.records import Frame
from aggregation_lab.data.importing.targets import Boxes, ClassMap, Landmarks
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import agglab, imported, mask_of, pixels_of, read, refused
from tests.aggregation_lab.data.importing.sources import write_dicom
from tests.aggregation_lab.data.importing.test_dicom import RAMP, region, shown

TWO_VIEWS = Sequence([region(0, 5, 38, 60), region(41, 5, 79, 60)])
"""Side by side in 80 x 64 pixels; the first, of 39 x 56, is the larger one by a column."""
KEPT = Frame(80, 64, (0, 5, 39, 61))
OUTSIDE = "outside the ultrasound region to which its image is cut; --no-crop keeps the whole image"


def two_views(folder: Path) -> list[str]:
    """Eight images; the masks of 0, 2, 4, 6 lie in the view that is cut away, 1 straddles, 3 reaches a little out."""
    rows = ["image,mask"]
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 80)).astype(np.uint8)
        write_dicom(folder / f"{number}.dcm", pixels, patient=f"P{number}", SequenceOfUltrasoundRegions=TWO_VIEWS)
        mask = np.zeros((64, 80), np.uint8)
        left, right = {1: (30, 60), 3: (18, 40)}.get(number, (10, 30) if number % 2 else (50, 70))
        mask[20:40, left:right] = 1
        sources.save(folder / f"{number}.png", mask)
        rows.append(f"{number}.dcm,{number}.png")
    sources.write(folder / "t.csv", "\n".join(rows))
    return ["--labels", str(folder / "t.csv")]


def test_what_a_region_cuts_away_is_no_empty_mask(capsys, tmp_path):
    options = two_views(tmp_path / "s")
    text = imported(capsys, "dicom", tmp_path / "s", tmp_path / "out", "--task", "t", *options)
    assert f"0.dcm and 4 more: more than a tenth of an area of its mask lies {OUTSIDE}" in text
    assert "3.dcm: its target reaches beyond the ultrasound region, to which it is cut" in text
    assert "0.dcm and 7 more: shows 1 more region(s) of tissue beside the largest, to which it is cut" in text
    dataset, cases = read(tmp_path / "out")
    assert sorted(int(mask_of(dataset, case).sum()) for case in cases.itertuples()) == [400, 400, 420]
    imported(capsys, "dicom", tmp_path / "s", tmp_path / "whole", "--task", "t", *options, "--no-crop")
    dataset, cases = read(tmp_path / "whole")
    assert len(cases) == 8 and all(mask_of(dataset, case).any() for case in cases.itertuples())


def test_a_small_area_in_the_other_view_is_not_hidden_by_a_large_one():
    classes = np.zeros((64, 80), np.uint8)
    classes[10:50, 2:36], classes[20:25, 50:55] = 1, 1
    with pytest.raises(ValueError, match="more than a tenth of an area"):
        ClassMap(lambda width, height: classes).write(KEPT, lambda message: None)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((20, 20, 38, 40), (20, 15, 38, 35)),
        ((20, 20, 40, 40), (20, 15, 39, 35)),  # a twentieth is cut
        ((36, 20, 70, 40), None),
        ((50, 20, 70, 40), None),
    ],
)
def test_a_box_that_a_region_cuts_by_more_than_a_tenth_is_left_out(box, expected):
    said: list[str] = []
    if expected is None:
        with pytest.raises(ValueError, match="more than a tenth of a box lies outside the ultrasound region"):
            Boxes((box, (2, 10, 8, 20))).write(KEPT, said.append)
        return
    (row,) = Boxes((box,)).write(KEPT, said.append).rows
    assert tuple(row.values()) == expected and len(said) == (box[2] > 39)


def test_a_point_outside_the_region_says_so():
    with pytest.raises(ValueError, match="a point lies outside the ultrasound region"):
        Landmarks(((10, 20), (60, 20))).write(KEPT, lambda message: None)


def test_segmentations_and_the_like_are_no_images(capsys, tmp_path):
    sources.dicom(tmp_path / "s")
    mask = np.zeros((32, 32), np.uint8)
    for name, changes in {
        "seg": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"},
        "pr": {"Modality": "PR"},
        "dose": {"Modality": "RTDOSE"},
    }.items():
        write_dicom(tmp_path / "s" / "large" / f"{name}.dcm", mask, **changes)
    assert "10 cases" in imported(capsys, "dicom", tmp_path / "s", tmp_path / "out", "--task", "t")
    assert read_receipts(tmp_path / "out")["t"].skipped == {
        "is a segmentation, and no image": ["large/seg.dcm"],
        "is a presentation state, and no image": ["large/pr.dcm"],
        "is a dose distribution, and no image": ["large/dose.dcm"],
    }


def test_a_mask_that_is_dicom_is_named(capsys, tmp_path):
    rows = ["image,mask"]
    for number in range(4):
        write_dicom(tmp_path / "s" / f"i{number}.dcm", RAMP.astype(np.uint8) + number)
        write_dicom(tmp_path / "s" / f"m{number}.dcm", np.ones(RAMP.shape, np.uint8))
        rows.append(f"i{number}.dcm,m{number}.dcm")
    sources.write(tmp_path / "t.csv", "\n".join(rows))
    line = refused(capsys, "import", "dicom", tmp_path / "s", tmp_path / "out", "--labels", tmp_path / "t.csv")
    assert "its mask is a DICOM file, which is not read as a mask; save it as PNG" in line


@pytest.mark.parametrize("wide", [2, 1])
def test_a_palette_of_8_bits_that_calls_itself_one_of_16_is_not_black(tmp_path, wide):
    """Entries of 0..255 in words, as in bytes."""
    pixels = np.tile(np.arange(0, 240, 3, dtype=np.uint8), (20, 1))
    entries = np.arange(256, dtype=np.uint16 if wide == 2 else np.uint8)
    changes = {}
    for name in ("Red", "Green", "Blue"):
        changes[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        changes[f"{name}PaletteColorLookupTableData"] = entries.tobytes()
    write_dicom(tmp_path / "a.dcm", pixels, PhotometricInterpretation="PALETTE COLOR", **changes)
    np.testing.assert_array_equal(shown(tmp_path / "a.dcm"), np.repeat(pixels[..., None], 3, axis=-1))


def test_a_lookup_table_of_8_bits_that_calls_itself_one_of_16_is_not_black(tmp_path):
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [256, 0, 16], np.arange(255, -1, -1, dtype=np.uint16).tobytes()
    pixels = np.tile(np.arange(0, 240, 3, dtype=np.uint8), (20, 1))
    write_dicom(tmp_path / "a.dcm", pixels, VOILUTSequence=Sequence([table]))
    np.testing.assert_array_equal(shown(tmp_path / "a.dcm"), 255 - pixels)


@pytest.mark.parametrize(("width", "function"), [("0", "LINEAR"), (["-1", "9"], "LINEAR"), ("0", "SIGMOID")])
def test_a_window_without_a_width_is_none(capsys, tmp_path, width, function):
    window = {"WindowCenter": "100", "WindowWidth": width, "VOILUTFunction": function}
    write_dicom(tmp_path / "a.dcm", RAMP, **window)
    np.testing.assert_array_equal(shown(tmp_path / "a.dcm"), RAMP)
    sources.dicom(tmp_path / "s", **window)
    text = imported(capsys, "dicom", tmp_path / "s", tmp_path / "out")
    assert f"has a window of width {'-1' if len(width) > 1 else '0'}, which shows nothing; its values stay" in text


def test_what_lacks_a_package_names_it_and_warnings_of_programmers_are_kept_away(capsys, tmp_path):
    """A lossless JPEG, and a file of three frames whose header names one: pydicom warns of it."""
    sources.dicom(tmp_path / "s")
    write_dicom(tmp_path / "s" / "large" / "three.dcm", np.zeros((3, 20, 24), np.uint8), NumberOfFrames=1)
    file = tmp_path / "s" / "large" / "packed.dcm"
    write_dicom(file, np.zeros((20, 24), np.uint8))
    import pydicom

    data = pydicom.dcmread(file)
    data.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    data.PixelData = encapsulate([b"\xff\xd8\xff\xc3"])
    data["PixelData"].VR = "OB"
    data.save_as(file)
    code, text = agglab(capsys, "import", "dicom", tmp_path / "s", tmp_path / "out")
    assert code == 0 and "Warning" not in text
    assert "three.dcm: holds 3 frames, its header names one; correct NumberOfFrames" in text
    assert "packed.dcm: is compressed as JPEG Lossless" in text or "packed.dcm: its pixels cannot be decoded" in text


def test_the_packages_that_pydicom_lacks_are_named_whole():
    text = (
        "Unable to decompress 'JPEG-LS Lossless Image Compression' pixel data because all plugins are missing "
        "dependencies:\n\tgdcm - requires gdcm>=3.0.10\n\tpylibjpeg - requires pylibjpeg>=2.0 and "
        "pylibjpeg-libjpeg>=2.1\n\tpyjpegls - requires numpy and pyjpegls>=1.2"
    )
    advice = "for which a package is missing; pip install pylibjpeg pylibjpeg-libjpeg"
    assert _undecoded(text) == f"is compressed as JPEG-LS Lossless Image Compression, {advice}"
    assert _undecoded("'MPEG2' is not supported").endswith("; export it without compression")


@pytest.mark.parametrize(("last", "stays"), [((79, 63), True), ((79, 60), False)])
def test_burned_in_text_stays_where_the_region_is_the_whole_image(capsys, tmp_path, last, stays):
    whole = Sequence([region(0, 0, *last)])
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 80)).astype(np.uint8)
        path = tmp_path / "s" / ("a", "b")[number // 2 % 2] / f"{number}.dcm"
        write_dicom(path, pixels, patient=f"P{number}", BurnedInAnnotation="YES", SequenceOfUltrasoundRegions=whole)
    text = agglab(capsys, "import", "dicom", tmp_path / "s", tmp_path / "out")[1]
    assert ("has burned-in text and no region that leaves it out" in text) == stays
    dataset, cases = read(tmp_path / "out")
    assert {pixels_of(dataset, case).shape for case in cases.itertuples()} == {(last[1] + 1, 80)}
