"""NIfTI: slices by choice, volumes as subjects, values and orientation kept; and the files that nibabel ships."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from aggregation_lab.data.importing.receipt import read_receipts
from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import agglab, imported, mask_of, pixels_of, read, refused
from tests.aggregation_lab.data.importing.sources import write_nifti

SHIPPED = Path(nibabel.__file__).parent / "tests" / "data"


def volume(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and classes, 30 x 26 x 7; slice z >= 2 marks z x 4 pixels."""
    values = np.random.default_rng(number).integers(0, 200, (30, 26, 7)).astype(np.uint8)
    classes = np.zeros(values.shape, np.uint8)
    for z in range(2, 6):
        classes[4 : 4 + z, 5:9, z] = 1
    return values, classes


def nnunet(root: Path, count: int = 5) -> None:
    for number in range(count):
        values, classes = volume(number)
        write_nifti(root / "imagesTr" / f"c{number}_0000.nii.gz", values)
        write_nifti(root / "labelsTr" / f"c{number}.nii.gz", classes)
    text = '{"channel_names": {"0": "US"}, "labels": {"background": 0, "x": 1}, "file_ending": ".nii.gz"}'
    sources.write(root / "dataset.json", text)


def moved(distance: float) -> np.ndarray:
    """Voxels of 0.5 x 0.5 x 2 mm, of which the first lies so many mm beside 10, 10, 10."""
    affine = np.diag([0.5, 0.5, 2, 1])
    affine[:3, 3] = 10 + distance, 10, 10
    return affine


SLICES = {
    "all": ((), range(7)),
    "labelled": ((), range(2, 6)),
    "largest": ((), [5]),
    "middle": ((), [3]),
    "every third": (("--step", "3"), [0, 3, 6]),
}


@pytest.mark.parametrize("name", SLICES)
def test_slices_of_a_volume(capsys, tmp_path, name):
    more, expected = SLICES[name]
    nnunet(tmp_path / "Dataset003_x")
    choice = "all" if more else name
    imported(capsys, "nnunet", tmp_path / "Dataset003_x", tmp_path / "out", "--slices", choice, *more)
    dataset, cases = read(tmp_path / "out", "x")
    assert len(cases) == 5 * len(expected) and cases["subject"].nunique() == 5
    for number in range(5):
        values, classes = volume(number)
        for z in expected:
            (case,) = [
                case
                for case in cases[cases["image"].str.contains(f"/c{number}_")].itertuples()
                if np.array_equal(pixels_of(dataset, case), values[:, :, z].T)
            ]
            np.testing.assert_array_equal(mask_of(dataset, case), classes[:, :, z].T)


def test_a_volume_needs_a_choice(capsys, tmp_path):
    nnunet(tmp_path / "s")
    line = refused(capsys, "import", "nnunet", tmp_path / "s", tmp_path / "out")
    assert "is a volume of 7 slices; give --slices all, labelled, largest or middle" in line


def test_labelled_slices_need_masks(capsys, tmp_path):
    for number in range(4):
        write_nifti(tmp_path / "s" / ("a", "b")[number % 2] / f"{number}.nii", volume(number)[0])
    line = refused(capsys, "import", "nifti", tmp_path / "s", tmp_path / "out", "--slices", "labelled")
    assert "has no mask, so --slices labelled chooses nothing" in line


def test_a_mask_of_another_orientation_is_left_out(capsys, tmp_path):
    nnunet(tmp_path / "s")
    write_nifti(tmp_path / "s" / "labelsTr" / "c0.nii.gz", volume(0)[1], np.diag([-1, 1, 1, 1]))
    text = imported(capsys, "nnunet", tmp_path / "s", tmp_path / "out", "--slices", "middle", "--task", "x")
    assert "c0_0000.nii.gz: has the orientation RAS, its mask LAS" in text


@pytest.mark.parametrize(
    ("image", "mask", "left_out"),
    [
        (np.diag([3.0, 3, 1, 1]), np.eye(4), False),  # what writes arrays alone writes the second
        (np.diag([3.0, 3, 1, 1]), np.diag([0.3, 0.3, 1, 1]), True),
        (moved(0), moved(20), True),
        (moved(0), moved(0.1), None),
    ],
)
def test_a_mask_that_lies_elsewhere_is_left_out_or_noted(capsys, tmp_path, image, mask, left_out):
    nnunet(tmp_path / "s")
    values, classes = volume(0)
    write_nifti(tmp_path / "s" / "imagesTr" / "c0_0000.nii.gz", values, image)
    write_nifti(tmp_path / "s" / "labelsTr" / "c0.nii.gz", classes, mask)
    text = imported(capsys, "nnunet", tmp_path / "s", tmp_path / "out", "--slices", "middle", "--task", "x")
    assert len(read(tmp_path / "out")[1]) == (4 if left_out else 5)
    assert ("c0_0000.nii.gz: has voxels of" in text) == (left_out is not None)
    assert ("resample the mask to its image" in text) == bool(left_out)
    assert ("see that the voxels of both show the same places" in text) == (left_out is False)


@pytest.mark.parametrize(("kind", "mode"), [(np.uint8, "L"), (np.int16, "I;16"), (np.float32, "F")])
def test_values_stay_as_they_are(capsys, tmp_path, kind, mode):
    for number in range(12):
        values = volume(number)[0][:, :, :1].astype(kind) * (3 if kind != np.uint8 else 1) + (0.5 if mode == "F" else 0)
        write_nifti(tmp_path / "s" / ("a", "b")[number % 2] / f"{number}.nii", values.astype(kind))
    imported(capsys, "nifti", tmp_path / "s", tmp_path / "out", "--task", "t")
    dataset, cases = read(tmp_path / "out")
    wanted = volume(0)[0][:, :, 0].T.astype(float) * (3 if kind != np.uint8 else 1) + (0.5 if mode == "F" else 0)
    assert any(np.array_equal(pixels_of(dataset, case), wanted) for case in cases.itertuples())


def test_the_files_that_nibabel_ships(capsys, tmp_path):
    for name, folder in (("anatomical.nii", "a"), ("resampled_anat_moved.nii", "b"), ("standard.nii.gz", "b")):
        target = tmp_path / "s" / folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((SHIPPED / name).read_bytes())
    (tmp_path / "s" / "a" / "example4d.nii.gz").write_bytes((SHIPPED / "example4d.nii.gz").read_bytes())
    code, text = agglab(capsys, "import", "nifti", tmp_path / "s", tmp_path / "out", "--slices", "all", "--task", "t")
    assert code == 0
    receipt = read_receipts(tmp_path / "out")["t"]
    assert "example4d.nii.gz: has more than three dimensions (" in text
    assert "); save each of its volumes as a file of its own" in text
    slices = nibabel.load(SHIPPED / "anatomical.nii").shape[2]
    assert slices > 5 and receipt.counts["cases"] > slices


def test_masks_of_0_and_255_are_two_classes(capsys, tmp_path):
    options = sources.nifti(tmp_path / "s")
    for case in sources.CASES:
        write_nifti(tmp_path / "s" / f"{case.name}_seg.nii.gz", (case.mask * 255).T[:, :, None])
    text = imported(capsys, "nifti", tmp_path / "s", tmp_path / "out", *options)
    assert "num_classes 2" in text and "the values 0 and 255 are read as the classes 0 and 1" in text
