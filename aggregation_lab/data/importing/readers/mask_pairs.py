"""Segmentation as two folders: SOURCE/images and SOURCE/masks, or images with NAME_mask.png beside them."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from aggregation_lab.data.importing.image_lookup import MASK_FOLDER, MASK_NAME
from aggregation_lab.data.importing.mask_values import FileMap, certain_values, held_by_all
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import ReadTask, Record, Report
from aggregation_lab.data.importing.source_files import (
    PICTURES,
    need_folder,
    need_some,
    picture,
    relative,
    source_name,
    without_ending,
)
from aggregation_lab.data.importing.targets import ClassMap
from aggregation_lab.data.progress import Progress
from aggregation_lab.data.rows.file_paths import fold
from aggregation_lab.errors import DataError
from aggregation_lab.files import folders_in, walk
from aggregation_lab.tasks import TaskType

_IMAGES = re.compile("images?|imgs?|jpegimages|originals?", re.IGNORECASE)


def read(source: Path, options: ImportOptions, report: Report, progress: Progress) -> list[ReadTask]:
    """One segmentation task. Images and masks have the same name, but for an ending such as `_mask`.

    An image with several masks (`a_mask.png`, `a_mask_1.png`) is left out, for they may overlap; so are images that
    share a name (`a.png`, `a.jpg`), for the mask may be of either.
    """
    need_folder(source, "that holds images and masks")
    folders = folders_in(source)
    image_folder = options.images or _only(_IMAGES, folders, source)
    mask_folder = _only(MASK_FOLDER, folders, source)
    images: dict[str, list[Path]] = defaultdict(list)
    masks: dict[str, list[Path]] = defaultdict(list)
    if image_folder and mask_folder:
        for file in walk(image_folder, PICTURES):
            images[_key(file, image_folder)].append(file)
        for file in walk(mask_folder, PICTURES):
            masks[_key(file, mask_folder)].append(file)
    else:
        for file in walk(source, PICTURES):
            (masks if MASK_NAME.search(file.stem) else images)[_key(file, source)].append(file)
    layout = "the folders images and masks, or masks named like their image with _mask behind"
    need_some(masks, source, "masks", f"give {layout}")
    for key, members in masks.items():
        if key not in images:
            for file in members:
                report.skip(relative(file, source), "is a mask without an image of its name")
    pairs = []
    for key, files in images.items():
        count = len(masks.get(key, ()))
        if len(files) == count == 1:
            pairs.append((files[0], masks[key][0]))
            continue
        reason = f"has {count} masks, and they may overlap" if count else "has no mask"
        if len(files) > 1:
            reason = f"has a name that {len(files)} images have, so nobody knows whose their mask is"
        for file in files:
            report.skip(relative(file, source), reason)
    need_some(pairs, source, "image with a mask of its name", f"give {layout}")
    files = [mask for _, mask in pairs]
    values = options.mask_values or certain_values(files, held_by_all(files, report, progress), report)
    records = [Record(picture(image, source), ClassMap(FileMap(mask, values))) for image, mask in pairs]
    return [ReadTask(source_name(source), TaskType.SEGMENTATION, records)]


def _only(names: re.Pattern[str], folders: Sequence[Path], source: Path) -> Path | None:
    """The folder of such a name; None where there is none. Raises `DataError` where two of them hold pictures."""
    found = [folder for folder in folders if names.fullmatch(folder.name)]
    if len(found) > 1:
        found = [folder for folder in found if any(True for _ in walk(folder, PICTURES))]
    if len(found) > 1:
        shown = " and ".join(folder.name for folder in found)
        raise DataError(f"{source}: holds pictures in {shown}, and nobody knows which are meant; take the others out")
    return found[0] if found else None


def _key(file: Path, folder: Path) -> str:
    """What an image and its mask have in common, capitals and Unicode form left out."""
    return fold(MASK_NAME.sub("", without_ending(relative(file, folder))))
