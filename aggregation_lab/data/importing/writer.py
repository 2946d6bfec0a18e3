"""Records of any format -> a task in the challenge's layout: images, masks, one CSV, and the receipt."""

import csv
import errno
import hashlib
import os
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from aggregation_lab.data.importing.label_names import joined_labels, own_classes
from aggregation_lab.data.importing.mask_values import encoded, is_outline
from aggregation_lab.data.importing.names_in_out import Places, safe_folder, safe_path
from aggregation_lab.data.importing.pixels import decoded, encoded_image, within
from aggregation_lab.data.importing.receipt import COMPLETE, ContentDigest, ImageEntry, Receipt, file_stem
from aggregation_lab.data.importing.records import Frame, Picture, ReadTask, Record, Report, repeated
from aggregation_lab.data.importing.subjects import Subjects
from aggregation_lab.data.importing.targets import MOST_CLASSES
from aggregation_lab.data.interpretation.box_forms import check_inverted
from aggregation_lab.data.interpretation.case_checks import SPLIT_PARTS
from aggregation_lab.data.interpretation.edges import check_scale
from aggregation_lab.data.progress import Progress
from aggregation_lab.data.rows.csv_rows import CSV_FOLDER
from aggregation_lab.errors import DataError
from aggregation_lab.files import (
    NOT_KNOWN_TO_FILE_SYSTEM,
    atomic_path,
    read_bytes,
    temporary_file,
    write_bytes,
    write_text,
)
from aggregation_lab.naming import alike
from aggregation_lab.tasks import TaskType
from aggregation_lab.text import printable

_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, *NOT_KNOWN_TO_FILE_SYSTEM}
"""The file system has no hard links, the files lie on two of them, or one has as many as it can."""

_FIRST = "holds several pictures, of which the first is taken; agglab import video takes the frames of a GIF"
_LOOKED_AT = 20
"""Masks that are enough to tell outlines from areas."""


class TaskWriter:
    """Writes one task below a train folder. With `dry`, everything is read and decoded, and nothing is written."""

    def __init__(self, train: Path, places: Places, receipt: Receipt, report: Report, *, copy: bool, dry: bool):
        self._train, self._places, self._receipt, self._report = train, places, receipt, report
        self._copy, self._dry = copy, dry
        self._rows: list[dict[str, Any]] = []
        self._digest = ContentDigest()
        self._targets: dict[str, tuple[object, ...]] = {}
        self._masks: set[str] = set()
        self._outlines: list[bool] = []
        self._folder = ""
        self.counts = dict.fromkeys(("read", "cases", "images", "linked", "copied", "made", "shared", "masks"), 0)

    def write(self, task: ReadTask, source: str, subjects: Subjects, progress: Progress) -> Receipt:
        """The receipt of the task; its CSV is the last file that is written. Raises `DataError` where nothing is left.

        `source` names the folder of its images.
        """
        self._folder = safe_folder(source)
        if task.classes is not None and task.classes > MOST_CLASSES:
            raise DataError(f"task {task.name}: has {task.classes} classes; agglab takes {MOST_CLASSES} at most")
        for group in alike(task.class_names):
            names = " and ".join(printable(name, 60) for name in group)
            self._report.remark("classes", f"{names} are written nearly alike; if they are one, give them one name")
        if task.type.needs_two_classes and (said := joined_labels(task.class_names)):
            self._report.remark("classes", said)
        shown, left_out = -1, repeated(task.records)
        for done, record in enumerate(task.records, start=1):
            try:
                if done - 1 in left_out:
                    raise ValueError(left_out[done - 1])
                shown = max(shown, self._write_record(record, task.classes, subjects))
            except ValueError as error:
                self._report.skip(record.picture.where, str(error))
            progress(f"importing {task.name}", done, len(task.records))
        self.counts["read"] = len(task.records)
        check_scale(self._report.skipped, len(task.records), self._receipt.source)
        check_inverted(self._report.skipped, len(task.records), self._receipt.source)
        if not self._rows:
            raise DataError(self._nothing(task))
        if task.type.needs_two_classes and (said := own_classes([row["mask"] for row in self._rows])):
            self._report.remark("classes", said)
        classes = task.classes if task.classes is not None else shown + 1
        if classes < task.type.fewest_classes:
            what = "mask shows an object" if task.type.masked else "case is of another class"
            raise DataError(
                f"task {task.name}: no {what}; a {task.type} task takes {task.type.fewest_classes} classes or more"
            )
        return self._finish(task, classes, subjects)

    def _nothing(self, task: ReadTask) -> str:
        reason, names = max(self._report.skipped.items(), key=lambda item: len(item[1]), default=("", []))
        count = sum(map(len, self._report.skipped.values()))
        why = f": {count} are left out, as {names[0]}: {reason}" if names else ""
        return f"{self._receipt.source}: holds nothing to import as task {task.name}{why}"

    def _write_record(self, record: Record, classes: int | None, subjects: Subjects) -> int:
        """Write image, mask and rows of a record; the greatest class that its mask shows, -1 without one.

        Raises `ValueError` with the reason where the record cannot be used.
        """
        picture = record.picture
        decoded_picture, data = decoded(picture)
        image, turned = decoded_picture.image, decoded_picture.turned
        if picture.size and picture.size != image.size:
            one, other = (f"{width} x {height}" for width, height in (image.size, picture.size))
            unturned = turned and picture.size == image.size[::-1]
            why = ", which is not turned as the image's EXIF orientation says; turn the annotation" if unturned else ""
            raise ValueError(f"its image has {one} pixels, its annotation is for {other}{why}")
        whole = (0, 0, image.width, image.height)
        crop = within(picture.crop, whole) if picture.crop else whole
        remarks = [_FIRST] if decoded_picture.frames > 1 else []
        written = record.target.write(Frame(image.width, image.height, crop, turned), remarks.append)
        shown = -1 if written.class_map is None else int(written.class_map.max())
        if written.class_map is not None and classes is not None and shown >= classes:
            raise ValueError(f"its mask holds the value {shown}; the source names classes up to {classes - 1}")
        for message in dict.fromkeys(remarks):
            self._report.remark(picture.where, message)
        if crop != whole or not data:
            image, data, ending = (*encoded_image(image.crop(crop) if crop != whole else image),)
            link = None
        else:
            ending, link = os.path.splitext(picture.file.name)[1] if picture.file else "", picture.file
        own, unit = subjects.of(record)
        path, subject = self._place_image(picture, data, ending, link, own, unit)
        cells: dict[str, Any] = {"image_path": f"../{path}", "subject_id": subject}
        pixels = hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes()).hexdigest()
        mask = ""
        if written.class_map is not None:
            mask = hashlib.sha256(written.class_map.tobytes()).hexdigest()
            if shown > 0 and len(self._outlines) < _LOOKED_AT:
                self._outlines.append(is_outline(written.class_map))
            cells["mask_path"] = f"../{self._place_mask(path, written.class_map)}"
        self._rows += [cells | dict(row) for row in written.rows]
        self._digest.add(picture.where, pixels, mask, own, list(written.rows))
        target = (mask, *(tuple(row.items()) for row in written.rows))
        if self._targets.setdefault(pixels, target) != target:
            self._report.remark(picture.where, "is a copy of another image, which has another target")
        self.counts["cases"] += len(written.rows)
        return shown

    # ---- files -------------------------------------------------------------------------------------------------------

    def _place_image(
        self, picture: Picture, data: bytes, ending: str, link: Path | None, subject: str, unit: str
    ) -> tuple[str, str]:
        """Path of the image in the train folder, and its subject, which an earlier import may know."""
        digest = hashlib.sha256(data).hexdigest()
        self.counts["images"] += 1
        known, other_subject = self._places.known(digest, subject, safe_path(picture.name))
        if known:
            self.counts["shared"] += 1
            entry = ImageEntry(digest, subject, unit) if subject else self._places.entry(known)
            self._receipt.images[known] = entry
            return known, entry.subject
        if other_subject:
            message = "is in OUT already with another subject, and becomes a file of its own; copies stay in one split"
            self._report.remark(picture.where, message)
        path = self._places.free(f"{self._folder}/images/{safe_path(picture.name)}", ending.lower(), digest)
        self._receipt.images[path] = ImageEntry(digest, subject, unit)
        linked = link is not None and not self._copy and self._link(link, self._train / path, digest)
        self.counts["linked" if linked else "copied" if link else "made"] += 1
        if not linked and not self._dry:
            write_bytes(self._train / path, data)
        return path, subject

    def _link(self, file: Path, target: Path, digest: str) -> bool:
        """Make `target` a hard link to `file`; False where the file system has none."""
        if self._dry:
            return True
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = temporary_file(target.parent, target.name)
        os.close(handle)
        temporary.unlink()
        try:
            os.link(file.resolve(), temporary)
            os.replace(temporary, target)
            return hashlib.sha256(read_bytes(target)).hexdigest() == digest
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return False
        finally:
            temporary.unlink(missing_ok=True)  # replacing a link to the same file leaves it

    def _place_mask(self, image: str, classes: Any) -> str:
        folder, _, name = image.partition("/images/")
        stem, ending = os.path.splitext(name)
        path = f"{folder}/masks/{file_stem(self._receipt.task)}/{stem}.png"
        if path.casefold() in self._masks:  # a.png and a.jpg
            path = f"{path.removesuffix('.png')}-{ending.removeprefix('.')}.png"
        self._masks.add(path.casefold())
        self.counts["masks"] += 1
        if not self._dry:
            with atomic_path(self._train / path) as temporary:
                encoded(classes).save(temporary, format="PNG")
        return path

    # ---- the table ---------------------------------------------------------------------------------------------------

    def _finish(self, task: ReadTask, classes: int, subjects: Subjects) -> Receipt:
        self._digest.add(task.name, str(task.type), classes, self._receipt.group)
        known = {row["subject_id"] for row in self._rows} - {""}
        without = [path for path, entry in self._receipt.images.items() if not entry.subject]
        subjects.note_versions(task.name, without)
        subjects.note_patients(task.name, without)
        units = {entry.subject for entry in self._receipt.images.values() if entry.unit}
        self.counts["subjects"] = len(known) + len(without)
        if self.counts["subjects"] < SPLIT_PARTS:
            message = (
                f"has {self.counts['subjects']} subject(s); a split needs {SPLIT_PARTS}, so no study can use it yet"
            )
            self._report.remark(f"task {task.name}", message)
        if len(self._outlines) >= SPLIT_PARTS and all(self._outlines):
            message = "masks mark lines around larger areas, as drawn outlines do; fill them where the area is meant"
            self._report.remark(f"task {task.name}", message)
        receipt = replace(
            self._receipt,
            type=str(task.type),
            classes=classes,
            class_names=list(task.class_names),
            subjects=subjects.words(task, len(known), len(without), len(self._receipt.images), len(units)),
            counts=self.counts,
            skipped=self._report.skipped,
            remarks=self._report.remarks,
            content=self._digest.text,
            csv=f"{CSV_FOLDER}/{csv_name(task.name, task.type)}",
            state=COMPLETE,
        )
        if not self._dry:
            write_text(self._train / receipt.csv, self._table(task, classes, bool(known)))
        return receipt

    def _table(self, task: ReadTask, classes: int, with_subjects: bool) -> str:
        common = {"task_id": task.name, "task_name": task.type.written, "num_classes": classes}
        if self._receipt.group:
            common["clinical_group"] = self._receipt.group
        rows = [common | row for row in self._rows]
        columns = [name for name in rows[0] if name != "subject_id"] + (["subject_id"] if with_subjects else [])
        stream = StringIO()
        table = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        return stream.getvalue()


def csv_name(task: str, task_type: TaskType) -> str:
    """The name of a task's CSV in csv_files: `Seg-nodules.csv`."""
    kind = next(iter(task_type.short_names), task_type.name)
    return f"{kind.title()}-{file_stem(task)}.csv"
