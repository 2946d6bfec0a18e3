"""nnU-Net v2 raw: dataset.json, imagesTr/CASE_0000.ENDING, labelsTr/CASE.ENDING; one data set, or a folder of them.

Format: https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/dataset_format.md
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aggregation_lab.data.images.foreign_formats import ENDINGS
from aggregation_lab.data.importing.documents.nnunet import read_labels
from aggregation_lab.data.importing.files import PLAIN, Opener, as_subject
from aggregation_lab.data.importing.formats import FORMATS
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import ReadTask, Record, Report
from aggregation_lab.data.importing.source_files import need_folder, need_some, read_json, relative, without_ending
from aggregation_lab.data.importing.targets import ClassMap
from aggregation_lab.data.progress import Progress
from aggregation_lab.errors import DataError
from aggregation_lab.files import walk
from aggregation_lab.naming import clean_name
from aggregation_lab.tasks import TaskType

_JSON = "dataset.json"
_NIFTI = ENDINGS["NIfTI"]


def read(source: Path, options: ImportOptions, report: Report, progress: Progress) -> list[ReadTask]:
    """One segmentation task per data set, named as the data set is without `Dataset001_`.

    Images of imagesTs are not read, for they have no labels.
    """
    need_folder(source, "that holds dataset.json, imagesTr and labelsTr, or several such folders")
    folders = [source] if (source / _JSON).is_file() else sorted(file.parent for file in source.glob(f"*/{_JSON}"))
    need_some(folders, source, f"{_JSON}, nor a folder with one", "give the folder of an nnU-Net data set")
    return [_data_set(folder, source, options, report) for folder in folders]


def _data_set(folder: Path, source: Path, options: ImportOptions, report: Report) -> ReadTask:
    description = read_json(folder / _JSON)
    if not isinstance(description, dict):
        raise DataError(f"{folder / _JSON}: holds no object; restore the file")
    labels = read_labels(folder / _JSON, description.get("labels"))
    ending = str(description.get("file_ending", ""))
    if not ending.startswith("."):
        raise DataError(f"{folder / _JSON}: file_ending is {ending!r}; write one as in '.png'")
    channel = _channel(folder / _JSON, description, options)
    opener = _opener(ending, folder, options, report)
    values, names = options.mask_values or labels.values(), labels.classes(options.mask_values)
    if options.mask_values is None:
        labels.tell(relative(folder / _JSON, source), report)
    pairs = _pairs(folder, description, ending, channel, report)
    need_some(pairs, folder, "image of imagesTr with its labels in labelsTr", "check dataset.json's file_ending")
    records: list[Record] = []
    for case, (image, label) in sorted(pairs.items()):
        where = relative(image, source)
        try:
            pairs_of_file = opener.with_mask(image, where, None, label, values)
        except ValueError as error:
            report.skip(where, str(error))
            continue
        # slices of one volume are of one patient
        records += [
            Record(each.picture, ClassMap(load), each.subject and as_subject(case), each.unit)
            for each, load in pairs_of_file
        ]
    told = "the volumes" if any(record.subject for record in records) else ""
    return ReadTask(_task_name(folder), TaskType.SEGMENTATION, records, len(names), names, told)


def _task_name(folder: Path) -> str:
    head, _, rest = folder.name.partition("_")
    return clean_name(rest if head.startswith("Dataset") and rest else folder.name)


def _channels(description: Mapping[str, Any]) -> Mapping[str, Any]:
    """The names of the channels that dataset.json lists, by number; empty where it lists none."""
    channels = description.get("channel_names", description.get("modality"))
    return channels if isinstance(channels, dict) else {}


def _channel(file: Path, description: Mapping[str, Any], options: ImportOptions) -> int:
    channels = _channels(description)
    count, names = len(channels) or 1, list(channels.values())
    colour = [str(name).upper() for name in names] in (["R", "G", "B"], ["RED", "GREEN", "BLUE"])  # one file holds all
    if count > 1 and not colour and options.channel is None:
        shown = ", ".join(f"{number}: {name}" for number, name in channels.items())
        raise DataError(f"{file}: images have {count} channels ({shown}); choose one with --channel")
    if options.channel is not None and options.channel >= count:
        raise DataError(f"--channel {options.channel}: images of {file.parent} have {count} channel(s), counted from 0")
    return options.channel or 0


def _opener(ending: str, folder: Path, options: ImportOptions, report: Report) -> Opener:
    if ending.lower() in _NIFTI:
        FORMATS["nifti"].read  # noqa: B018  raises where nibabel is missing
        from aggregation_lab.data.importing.readers.nifti import VolumeOpener

        return VolumeOpener(options, report)
    if ending.lower() not in PLAIN.endings:
        raise DataError(
            f"{folder / _JSON}: file_ending {ending} is not read; there are {', '.join((*_NIFTI, *PLAIN.endings))}"
        )
    return PLAIN


def _pairs(
    folder: Path, description: Mapping[str, Any], ending: str, channel: int, report: Report
) -> dict[str, tuple[Path, Path]]:
    """Image and label file of each case; what has one of them only is reported."""
    listed = description.get("dataset")
    if isinstance(listed, dict) and listed:  # newer data sets may list their files
        pairs = {}
        for case, entry in listed.items():
            images = entry.get("images") if isinstance(entry, dict) else None
            if not isinstance(images, list) or len(images) <= channel or not isinstance(entry.get("label"), str):
                report.skip(str(case), "is listed in dataset.json without images or label")
                continue
            pairs[str(case)] = (folder / str(images[channel]), folder / entry["label"])
        return pairs
    absent = next((name for name in ("imagesTr", "labelsTr") if not (folder / name).is_dir()), None)
    if absent:
        raise DataError(f"{folder}: holds no folder {absent}; a data set has dataset.json, imagesTr and labelsTr")
    suffix = f"_{channel:04d}{ending}".lower()
    images = {
        without_ending(relative(file, folder / "imagesTr"), (suffix,)): file
        for file in walk(folder / "imagesTr", (suffix,))
    }
    labels = {
        without_ending(relative(file, folder / "labelsTr"), (ending.lower(),)): file
        for file in walk(folder / "labelsTr", (ending.lower(),))
    }
    numbered = re.compile(rf"_\d{{4}}{re.escape(ending)}$", re.IGNORECASE)
    every = sum(bool(numbered.search(file.name)) for file in walk(folder / "imagesTr", (ending.lower(),)))
    if every > len(images) and len(_channels(description)) < 2:
        message = f"holds channels that dataset.json does not list, and of which {suffix} is taken; list them there"
        report.remark(relative(folder / "imagesTr", folder.parent), message)
    for case in sorted(set(images) - set(labels)):
        report.skip(relative(images[case], folder.parent), "has no labels in labelsTr")
    for case in sorted(set(labels) - set(images)):
        report.skip(relative(labels[case], folder.parent), f"has no image {case}{suffix} in imagesTr")
    return {case: (images[case], labels[case]) for case in images if case in labels}
