"""Small sources of every format, written from one set of images and targets, so that what is put in is known.

`CASES` are ten images of 40 x 32 pixels or so, of five patients, each with a lesion: a rectangle of whole pixels, which
is a box, a mask, two points (its upper left and lower right corner) and a class (small or large).
"""

import base64
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("large", "small")


@dataclass(frozen=True)
class Drawn:
    """A drawn image: pixels H x W, the box (x_min, y_min, x_max, y_max) of its lesion, class index, patient."""

    name: str
    pixels: np.ndarray
    box: tuple[int, int, int, int]
    label: int
    patient: str

    @property
    def mask(self) -> np.ndarray:
        mask = np.zeros(self.pixels.shape, np.uint8)
        x_min, y_min, x_max, y_max = self.box
        mask[y_min:y_max, x_min:x_max] = 1
        return mask

    @property
    def points(self) -> tuple[tuple[int, int], ...]:
        return (self.box[0], self.box[1]), (self.box[2], self.box[3])

    @property
    def polygon(self) -> list[tuple[int, int]]:
        x_min, y_min, x_max, y_max = self.box
        return [(x_min, y_min), (x_max, y_min), (x_max, y_max), (x_min, y_max)]

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.shape[1], self.pixels.shape[0]

    def png(self) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(self.pixels).save(stream, format="PNG")
        return stream.getvalue()


def draw(count: int = 10) -> list[Drawn]:
    """Images of unlike sizes, so that a box read for another image is noticed."""
    generator = np.random.default_rng(7)
    cases = []
    for number in range(count):
        height, width = 32 + 2 * (number % 3), 40 + 4 * (number % 2)
        label = number % 2
        side = 6 if label else 14
        x, y = (int(generator.integers(2, limit - side - 4)) for limit in (width, height))
        box = (x, y, x + side, y + side - 2)
        pixels = generator.integers(20, 120, (height, width)).astype(np.uint8)
        pixels[box[1] : box[3], box[0] : box[2]] += 100
        cases.append(Drawn(f"p{number // 2}_{number % 2}", pixels, box, label, f"p{number // 2}"))
    return cases


CASES = draw()


def save(path: Path, pixels: np.ndarray | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(pixels, bytes):
        path.write_bytes(pixels)
    else:
        Image.fromarray(pixels).save(path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


Change = Callable[[Path], object]
"""Spoils a source."""


def change(file: Path, old: str, new: str) -> None:
    """Another text in a file that holds `old`."""
    text = file.read_text()
    assert old in text
    write(file, text.replace(old, new))


# ---- one function per format: writes SOURCE and gives the options of its import


def folder(root: Path) -> list[str]:
    for case in CASES:
        save(root / NAMES[case.label] / f"{case.name}.png", case.pixels)
    return ["--subject", r"/(p\d+)_"]


def table(root: Path, columns: Callable[[Drawn], dict[str, object]]) -> Path:
    """images/*.png, and table.csv beside with the columns image, subject and `columns`."""
    rows = []
    for case in CASES:
        save(root / "images" / f"{case.name}.png", case.pixels)
        save(root / "masks" / f"{case.name}.png", case.mask)
        rows.append({"image": f"images/{case.name}.png", **columns(case), "subject": case.patient})
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    write(root / "table.csv", "\n".join(lines) + "\n")
    return root / "table.csv"


def csv_labels(root: Path) -> list[str]:
    table(root, lambda case: {"label": NAMES[case.label]})
    return []


def csv_masks(root: Path) -> list[str]:
    table(root, lambda case: {"mask": f"masks/{case.name}.png"})
    return []


def csv_boxes(root: Path) -> list[str]:
    table(root, lambda case: dict(zip(("x_min", "y_min", "x_max", "y_max"), case.box, strict=True)))
    return []


def csv_points(root: Path) -> list[str]:
    names = ("point_1_x", "point_1_y", "point_2_x", "point_2_y")
    table(root, lambda case: dict(zip(names, sum(case.points, ()), strict=True)))
    return []


def masks(root: Path) -> list[str]:
    for case in CASES:
        save(root / "images" / f"{case.name}.png", case.pixels)
        save(root / "masks" / f"{case.name}_mask.png", case.mask * 255)
    return ["--subject", r"/(p\d+)_", "--mask-values", "0=0,255=1"]


def coco(root: Path) -> list[str]:
    images, annotations = [], []
    for number, case in enumerate(CASES):
        save(root / "images" / f"{case.name}.png", case.pixels)
        width, height = case.size
        images.append({"id": number, "file_name": f"{case.name}.png", "width": width, "height": height})
        x_min, y_min, x_max, y_max = case.box
        bbox = [x_min, y_min, x_max - x_min, y_max - y_min]
        keypoints = [value for x, y in case.points for value in (x, y, 2)]
        polygon = [[value for point in case.polygon for value in point]]
        entry = {"id": number, "image_id": number, "category_id": 3, "bbox": bbox, "iscrowd": 0}
        annotations.append({**entry, "keypoints": keypoints, "segmentation": polygon})
    value = {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "lesion"}]}
    write(root / "annotations" / "instances.json", json.dumps(value))
    return ["--subject", r"(p\d+)_"]


def nnunet(root: Path, ending: str = ".png") -> list[str]:
    for case in CASES:
        save(root / "imagesTr" / f"{case.name}_0000{ending}", case.pixels)
        save(root / "labelsTr" / f"{case.name}{ending}", case.mask)
    labels = {"background": 0, "lesion": 1}
    value = {"channel_names": {"0": "US"}, "labels": labels, "numTraining": len(CASES), "file_ending": ending}
    write(root / "dataset.json", json.dumps(value))
    return ["--subject", r"(p\d+)_"]


def yolo(root: Path, line: Callable[[Drawn], str] | None = None, more: str = "") -> list[str]:
    for case in CASES:
        save(root / "images" / "train" / f"{case.name}.png", case.pixels)
        write(root / "labels" / "train" / f"{case.name}.txt", (line or yolo_box)(case) + "\n")
    write(root / "data.yaml", f"path: .\ntrain: images/train\nnames:\n  0: lesion\n{more}")
    return ["--subject", r"(p\d+)_"]


def yolo_box(case: Drawn) -> str:
    (width, height), (x_min, y_min, x_max, y_max) = case.size, case.box
    centre = (x_min + x_max) / 2 / width, (y_min + y_max) / 2 / height
    return f"0 {centre[0]:.8f} {centre[1]:.8f} {(x_max - x_min) / width:.8f} {(y_max - y_min) / height:.8f}"


def yolo_segments(root: Path) -> list[str]:
    def line(case: Drawn) -> str:
        width, height = case.size
        return "0 " + " ".join(f"{x / width:.8f} {y / height:.8f}" for x, y in case.polygon)

    return yolo(root, line)


def yolo_pose(root: Path) -> list[str]:
    def line(case: Drawn) -> str:
        width, height = case.size
        return f"{yolo_box(case)} " + " ".join(f"{x / width:.8f} {y / height:.8f} 2" for x, y in case.points)

    return yolo(root, line, "kpt_shape: [2, 3]\n")


def voc(root: Path) -> list[str]:
    for case in CASES:
        save(root / "JPEGImages" / f"{case.name}.png", case.pixels)
        save(root / "SegmentationClass" / f"{case.name}.png", case.mask)
        x_min, y_min, x_max, y_max = case.box
        box = f"<xmin>{x_min}</xmin><ymin>{y_min}</ymin><xmax>{x_max}</xmax><ymax>{y_max}</ymax>"
        size = f"<size><width>{case.size[0]}</width><height>{case.size[1]}</height><depth>1</depth></size>"
        thing = f"<object><name>lesion</name><bndbox>{box}</bndbox></object>"
        text = f"<annotation><filename>{case.name}.png</filename>{size}{thing}</annotation>"
        write(root / "Annotations" / f"{case.name}.xml", text)
    return ["--subject", r"(p\d+)_"]


def medmnist(root: Path) -> list[str]:
    root.mkdir(parents=True)
    pixels = np.stack([case.pixels[:28, :28] for case in CASES])
    labels = np.array([[case.label] for case in CASES])
    parts = {"train": slice(0, 6), "val": slice(6, 8), "test": slice(8, 10)}
    arrays = {f"{part}_images": pixels[rows] for part, rows in parts.items()}
    np.savez(root / "breast.npz", **arrays, **{f"{part}_labels": labels[rows] for part, rows in parts.items()})
    return []


def labelme(root: Path, kind: str = "polygon") -> list[str]:
    for number, case in enumerate(CASES):
        shapes = [{"label": "lesion", "shape_type": "polygon", "points": case.polygon}]
        if kind == "rectangle":
            shapes = [{"label": "lesion", "shape_type": "rectangle", "points": case.points}]
        if kind == "point":
            shapes = [
                {"label": label, "shape_type": "point", "points": [point]}
                for label, point in zip(("b_right", "a_left"), reversed(case.points), strict=True)
            ]
        inside = number == 0  # the first image stands in its JSON file alone
        data = base64.b64encode(case.png()).decode() if inside else None
        if not inside:
            save(root / f"{case.name}.png", case.pixels)
        value = {"version": "5", "shapes": shapes, "imagePath": f"{case.name}.png", "imageData": data}
        write(
            root / f"{case.name}.json", json.dumps({**value, "imageWidth": case.size[0], "imageHeight": case.size[1]})
        )
    return ["--subject", r"(p\d+)_"]


def cvat(root: Path, inside: Callable[[Drawn], str] | None = None) -> list[str]:
    texts = []
    for number, case in enumerate(CASES):
        save(root / "images" / f"{case.name}.png", case.pixels)
        size = f'width="{case.size[0]}" height="{case.size[1]}"'
        texts.append(f'<image id="{number}" name="{case.name}.png" {size}>{(inside or cvat_polygon)(case)}</image>')
    write(root / "annotations.xml", f"<annotations><version>1.1</version>{''.join(texts)}</annotations>")
    return ["--subject", r"(p\d+)_"]


def cvat_polygon(case: Drawn) -> str:
    points = ";".join(f"{x},{y}" for x, y in case.polygon)
    return f'<polygon label="lesion" points="{points}" z_order="0"/>'


def cvat_box(case: Drawn) -> str:
    x_min, y_min, x_max, y_max = case.box
    return f'<box label="lesion" xtl="{x_min}" ytl="{y_min}" xbr="{x_max}" ybr="{y_max}"/>'


def cvat_mask(case: Drawn) -> str:
    x_min, y_min, x_max, y_max = case.box
    width, height = x_max - x_min, y_max - y_min
    place = f'left="{x_min}" top="{y_min}" width="{width}" height="{height}"'
    return f'<mask label="lesion" rle="0, {width * height}" {place}/>'


def cvat_points(case: Drawn) -> str:
    return '<points label="ends" points="{}"/>'.format(";".join(f"{x},{y}" for x, y in case.points))


def cvat_tag(case: Drawn) -> str:
    return f'<tag label="{NAMES[case.label]}"/>'


def dicom(root: Path, **changes: object) -> list[str]:
    for number, case in enumerate(CASES):
        path = root / NAMES[case.label] / f"{case.name}.dcm"
        write_dicom(path, case.pixels, patient=f"SECRET^{case.patient}", number=number, **changes)
    return []


def write_dicom(path: Path, pixels: np.ndarray, *, patient: str = "A", number: int = 0, **changes: object) -> None:
    """An ultrasound file: H x W or frames x H x W of 8 or 16 bits, H x W x 3 as RGB; `changes` are further elements."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(path), str(number)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.PatientID, data.PatientName, data.Modality = patient, "Name^Of", "US"
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    frames = pixels.shape[0] if pixels.ndim == 3 and not colour else 1
    data.Rows, data.Columns = pixels.shape[:2] if frames == 1 else pixels.shape[1:3]
    data.SamplesPerPixel = 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data.PlanarConfiguration = 0
    if frames > 1:
        data.NumberOfFrames = frames
    bits = pixels.dtype.itemsize * 8
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    for name, value in changes.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)


def nifti(root: Path) -> list[str]:
    """imagesTr and labelsTr would be nnU-Net's; here a table names images and masks."""
    rows = ["image,mask,subject"]
    for case in CASES:
        write_nifti(root / f"{case.name}.nii.gz", case.pixels.T[:, :, None])
        write_nifti(root / f"{case.name}_seg.nii.gz", case.mask.T[:, :, None])
        rows.append(f"{case.name}.nii.gz,{case.name}_seg.nii.gz,{case.patient}")
    write(root.parent / f"{root.name}.csv", "\n".join(rows) + "\n")
    return ["--labels", str(root.parent / f"{root.name}.csv")]


def write_nifti(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> None:
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine), path)


def video(root: Path) -> list[str]:
    for number in range(12):
        write_video(root / NAMES[number % 2] / f"clip{number}.mp4", moving(number, 24))
    return ["--step", "8"]


def moving(number: int, count: int) -> Sequence[np.ndarray]:
    """Frames of 48 x 64 in which a bright square moves over a texture of coarse blocks; no two are equal."""
    blocks = np.random.default_rng(number).integers(20, 160, (6, 8))
    texture = np.kron(blocks, np.ones((8, 8))).astype(np.uint8)
    frames = []
    for index in range(count):
        pixels = texture.copy()
        pixels[10 : 20 + number, 2 + 2 * index : 12 + 2 * index] = 220
        frames.append(pixels)
    return frames


def write_video(path: Path, frames: Sequence[np.ndarray]) -> None:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = (
            frames[0].shape[1],
            frames[0].shape[0],
            "yuv420p",
            10**6,
        )
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(np.stack([pixels] * 3, -1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
