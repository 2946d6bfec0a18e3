"""DICOM: windows, MONOCHROME1, colours, clips, regions, hashed identities; and the test files that pydicom ships."""

import re
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.readers.dicom import _DicomOpener
from aggregation_lab.data.importing.receipt import read_receipts, receipt_file
from aggregation_lab.data.importing.records import Report
from aggregation_lab.storage.sealed_json import write_sealed
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import agglab, imported, pixels_of, read, refused
from tests.aggregation_lab.data.importing.sources import CASES, write_dicom

RAMP = np.arange(0, 4096, 4, dtype=np.uint16).reshape(32, 32)
SHIPPED = Path(pydicom.data.__file__).parent / "test_files"


def shown(path: Path, **options: object) -> np.ndarray:
    """The one picture of a file as `agglab import` writes it."""
    (opened,) = _DicomOpener(ImportOptions(key=b"k", **options), Report()).open(path, path.name, None)
    return np.asarray(opened.picture.load())


def test_a_window_is_applied_and_scaled_to_8_bits(tmp_path):
    """PS3.3 C.11.2.1.2: (x - (c - 0.5)) / (w - 1) + 0.5 of the range."""
    write_dicom(tmp_path / "a.dcm", RAMP, WindowCenter=1000, WindowWidth=801)
    expected = np.clip((RAMP.astype(float) - 999.5) / 800 + 0.5, 0, 1) * 255
    np.testing.assert_allclose(shown(tmp_path / "a.dcm"), expected, rtol=0, atol=0.51)


def test_values_stay_without_a_window(tmp_path):
    write_dicom(tmp_path / "a.dcm", RAMP)
    np.testing.assert_array_equal(shown(tmp_path / "a.dcm"), RAMP)


def test_a_slope_is_applied(tmp_path):
    write_dicom(tmp_path / "a.dcm", RAMP, RescaleSlope=1, RescaleIntercept=-1000)
    np.testing.assert_array_equal(shown(tmp_path / "a.dcm"), RAMP.astype(float) - 1000)


@pytest.mark.parametrize("more", [{}, {"WindowCenter": 2048, "WindowWidth": 4096}])
def test_monochrome1_is_inverted(tmp_path, more):
    write_dicom(tmp_path / "a.dcm", RAMP, BitsStored=12, HighBit=11, PhotometricInterpretation="MONOCHROME1", **more)
    write_dicom(tmp_path / "b.dcm", 4095 - RAMP, BitsStored=12, HighBit=11, **more)
    one, other = shown(tmp_path / "a.dcm"), shown(tmp_path / "b.dcm")
    np.testing.assert_allclose(one.astype(float), other.astype(float), rtol=0, atol=1)
    assert one[0, 0] > one[-1, -1]


def test_eight_bits_of_monochrome1_stay_eight(tmp_path):
    write_dicom(tmp_path / "a.dcm", CASES[0].pixels, PhotometricInterpretation="MONOCHROME1")
    image = shown(tmp_path / "a.dcm")
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, 255 - CASES[0].pixels)


def test_colours(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8)
    write_dicom(tmp_path / "a.dcm", pixels)
    np.testing.assert_array_equal(shown(tmp_path / "a.dcm"), pixels)


def region(x_min: int, y_min: int, x_max: int, y_max: int, kind: int = 1) -> Dataset:
    """The maxima lie inside."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType = 1, kind
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x_min, y_min
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x_max, y_max
    return item


REGIONS = Sequence([region(0, 0, 5, 5), region(4, 3, 35, 29), region(0, 0, 39, 31, kind=3)])


def boxes(folder: Path) -> list[str]:
    rows = ["image,x_min,y_min,x_max,y_max"]
    for number, case in enumerate(CASES):
        write_dicom(folder / f"{case.name}.dcm", case.pixels, patient=case.patient, SequenceOfUltrasoundRegions=REGIONS)
        rows.append(f"{case.name}.dcm,10,9,{10 + 4 + number},20")
    sources.write(folder.parent / "boxes.csv", "\n".join(rows))
    return ["--labels", str(folder.parent / "boxes.csv")]


def test_the_largest_region_of_tissue_is_kept_and_targets_move_along(capsys, tmp_path):
    imported(capsys, "dicom", tmp_path / "s", tmp_path / "out", *boxes(tmp_path / "s"))
    dataset, cases = read(tmp_path / "out")
    for case in cases.itertuples():
        (number,) = [
            n for n, each in enumerate(CASES) if np.array_equal(each.pixels[3:30, 4:36], pixels_of(dataset, case))
        ]
        assert case.box == (6, 6, 10 + number, 17)


def test_or_the_whole_image_if_asked(capsys, tmp_path):
    imported(capsys, "dicom", tmp_path / "s", tmp_path / "out", *boxes(tmp_path / "s"), "--no-crop")
    dataset, cases = read(tmp_path / "out")
    shapes = {pixels_of(dataset, case).shape for case in cases.itertuples()}
    assert shapes == {case.pixels.shape for case in CASES} and {box[:2] for box in cases["box"]} == {(10, 9)}


def test_burned_in_text_that_stays_is_said(capsys, tmp_path):
    sources.dicom(tmp_path / "s", BurnedInAnnotation="YES")
    text = imported(capsys, "dicom", tmp_path / "s", tmp_path / "out")
    assert "has burned-in text and no region that leaves it out, so it stays in the image" in text


def test_frames_of_a_clip_are_cases_of_one_subject(capsys, tmp_path):
    for number in range(12):
        clip = np.stack(sources.moving(number, 9))
        path = tmp_path / "s" / ("a", "b")[number % 2] / f"{number}.dcm"
        write_dicom(path, clip, patient=f"P{number}", number=number)
    imported(capsys, "dicom", tmp_path / "s", tmp_path / "out", "--step", "4")
    dataset, cases = read(tmp_path / "out")
    assert len(cases) == 36 and cases["subject"].nunique() == 12
    found = {pixels_of(dataset, case).tobytes() for case in cases.itertuples()}
    assert found == {sources.moving(n, 9)[index].tobytes() for n in range(12) for index in (0, 4, 8)}


def test_without_a_patient_a_clip_or_its_study_stays_together(capsys, tmp_path):
    """Files without identity: studies of two clips, of two stills, clips that name no study, stills that name none."""
    for number in range(24):
        kind, study = number % 4, number // 8
        clip = np.stack(sources.moving(number, 3))
        pixels = clip if kind in (0, 2) else clip[0]
        more = {"StudyInstanceUID": f"1.2.{kind}.{study}"} if kind < 2 else {}
        path = tmp_path / "s" / ("a", "b")[number // 4 % 2] / f"{number}.dcm"
        write_dicom(path, pixels, patient="", number=number, **more)
    text = imported(capsys, "dicom", tmp_path / "s", tmp_path / "out")
    assert "names no patient, so its study counts as the subject; where a patient has several, give --subject" in text
    assert "names no patient, so its clip counts as the subject" in text
    assert "no patient (subject) is known of any image" in agglab(capsys, "validate", tmp_path / "out")[1]
    dataset, cases = read(tmp_path / "out")
    subject_of = {pixels_of(dataset, case).tobytes(): case.subject for case in cases.itertuples()}
    groups = [{subject_of[frame.tobytes()] for frame in sources.moving(number, 3)[:1]} for number in range(24)]
    for number in range(24):
        kind, study = number % 4, number // 8
        frames = sources.moving(number, 3) if kind in (0, 2) else sources.moving(number, 3)[:1]
        own = {subject_of[frame.tobytes()] for frame in frames}
        alike = [other for other in range(24) if groups[other] == own]
        same_study = [other for other in range(24) if other % 4 == kind and other // 8 == study]
        assert len(own) == 1 and alike == (same_study if kind < 2 else [number])


def test_a_table_names_single_frames(capsys, tmp_path):
    rows = ["image,frame,label"]
    for number in range(16):
        write_dicom(tmp_path / "s" / f"{number}.dcm", np.stack(sources.moving(number, 5)), patient=f"P{number}")
        rows.append(f"{number}.dcm,{number % 5},{number % 2}")
    rows.append("0.dcm,7,1")
    sources.write(tmp_path / "t.csv", "\n".join(rows))
    text = imported(capsys, "dicom", tmp_path / "s", tmp_path / "out", "--labels", tmp_path / "t.csv")
    assert "0.dcm frame 7: has no frame 7; it has 5, counted from 0" in text
    dataset, cases = read(tmp_path / "out")
    found = {pixels_of(dataset, case).tobytes(): case.label for case in cases.itertuples()}
    assert found == {sources.moving(n, 5)[n % 5].tobytes(): n % 2 for n in range(16)}


def test_no_identity_reaches_the_images_and_tables(capsys, tmp_path):
    sources.dicom(tmp_path / "s")
    imported(capsys, "dicom", tmp_path / "s", tmp_path / "out", "--task", "t")
    for file in (tmp_path / "out" / "train").rglob("*"):
        name = file.relative_to(tmp_path / "out" / "train").as_posix()
        assert not re.search("SECRET|Name|p[0-4]_", name)
        if file.is_file():
            assert b"SECRET^" not in file.read_bytes() and b"Name^Of" not in file.read_bytes()


def test_a_patient_is_one_subject_in_all_imports_of_a_folder_and_nowhere_else(capsys, tmp_path):
    sources.dicom(tmp_path / "a")
    imported(capsys, "dicom", tmp_path / "a", tmp_path / "out", "--task", "one")
    imported(capsys, "dicom", tmp_path / "a", tmp_path / "out", "--task", "two", "--classes", "small,large")
    imported(capsys, "dicom", tmp_path / "a", tmp_path / "more", "--task", "one")
    subjects = [set(read(tmp_path / "out", task)[1]["subject"]) for task in ("one", "two")]
    assert subjects[0] == subjects[1] and not subjects[0] & set(read(tmp_path / "more")[1]["subject"])
    (tmp_path / "out" / "import" / "subject.key").unlink()
    line = refused(capsys, "import", "dicom", tmp_path / "a", tmp_path / "out", "--task", "three")
    assert "is gone, so patients would get other names than before" in line


def test_patients_that_an_earlier_version_hashed_are_not_mixed_with_others(capsys, tmp_path):
    sources.dicom(tmp_path / "a")
    imported(capsys, "dicom", tmp_path / "a", tmp_path / "out", "--task", "one")
    receipt = read_receipts(tmp_path / "out")["one"]
    value = {**vars(receipt), "images": {path: vars(entry) for path, entry in receipt.images.items()}}
    del value["hashing"]  # which earlier versions did not write
    write_sealed(receipt_file(tmp_path / "out", "one"), value)
    line = refused(capsys, "import", "dicom", tmp_path / "a", tmp_path / "out", "--task", "two")
    assert "one.json: its patients were hashed in another way" in line and "import it, and this, into a new OUT" in line
    sources.folder(tmp_path / "b")
    text = imported(capsys, "folder", tmp_path / "b", tmp_path / "out", "--task", "three")  # of plain names
    assert "task one: its patients were hashed in a way that is lost, so they cannot meet those of other tasks" in text


def test_the_files_that_pydicom_ships_are_shown_or_refused_in_words(capsys, tmp_path):
    """Compressed, big-endian, palette, multi-frame, truncated files, plans and reports without pixels."""
    files = sorted(SHIPPED.glob("*.dcm"))
    assert len(files) > 40
    for number, file in enumerate(files):
        target = tmp_path / "s" / ("a", "b")[number % 2] / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    code, text = agglab(capsys, "import", "dicom", tmp_path / "s", tmp_path / "out", "--task", "t")
    assert code == 0 and "Traceback" not in text
    receipt = read_receipts(tmp_path / "out")["t"]
    assert receipt.counts["cases"] >= 30
    skipped = {name.rpartition("/")[2] for names in receipt.skipped.values() for name in names}
    assert {"rtplan.dcm", "reportsi.dcm", "waveform_ecg.dcm", "MR_truncated.dcm"} <= skipped
    assert not skipped & {"CT_small.dcm", "examples_palette.dcm", "examples_ybr_color.dcm", "SC_rgb_rle.dcm"}


def test_files_without_an_ending_are_known_by_their_beginning(capsys, tmp_path):
    sources.dicom(tmp_path / "s")
    for number, file in enumerate(sorted((tmp_path / "s").rglob("*.dcm"))):
        file.rename(file.with_name(f"IM{number:04d}"))
    (tmp_path / "s" / "large" / "VERSION").write_text("1")
    (tmp_path / "s" / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    assert "10 cases" in imported(capsys, "dicom", tmp_path / "s", tmp_path / "out", "--task", "t")
    skipped = read_receipts(tmp_path / "out")["t"].skipped
    assert [names for names in skipped.values()] == [["large/VERSION"]]
