"""YOLO's data.yaml and classes.txt: names of classes, and how many keypoints an object has."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from aggregation_lab.data.importing.records import Report
from aggregation_lab.data.importing.source_files import content
from aggregation_lab.errors import DataError
from aggregation_lab.naming import clean_name

_PARTS = ("train", "val", "test")
HIGHEST = 9999
"""The highest class number that is read: a larger one is no class."""


def read_description(source: Path, report: Report) -> Mapping[str, Any]:
    """data.yaml, or another YAML file at the top that holds names; empty without one.

    That of the folder above counts where it says that `source` is a part of its data set.
    """
    files = sorted([*source.glob("*.yaml"), *source.glob("*.yml")], key=lambda file: (file.stem != "data", file.name))
    for file in files:
        value = _names_in(file)
        if value:
            return value
    above = source.parent / "data.yaml"
    try:
        value = _names_in(above) if above.is_file() else {}
    except DataError:  # it may be of another program: nothing says that it is of this data set
        report.remark("../data.yaml", "lies above SOURCE, is no YAML or cannot be read, and is not used")
        return {}
    parts = [str(value.get(part, "")).replace("\\", "/").split("/") for part in _PARTS]
    return value if any(source.name in part for part in parts) else {}


def _names_in(file: Path) -> Mapping[str, Any]:
    """A YAML file that holds names of classes; empty for another. Raises `DataError` where it cannot be read."""
    try:
        value = yaml.safe_load(content(file).decode())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: is no YAML; restore the file") from error
    return value if isinstance(value, dict) and "names" in value else {}


def class_names(description: Mapping[str, Any], source: Path, numbers: Sequence[int]) -> tuple[str, ...]:
    """Class names by their number: of data.yaml, of classes.txt, or the numbers themselves."""
    names = description.get("names")
    if isinstance(names, dict) and all(isinstance(key, int) and 0 <= key <= HIGHEST for key in names):
        names = [names.get(number, str(number)) for number in range(max(names, default=-1) + 1)]
    if names is None:
        file = next(
            (each for each in (source / "classes.txt", source / "labels" / "classes.txt") if each.is_file()), None
        )
        if file:
            lines = content(file).decode(errors="replace").rstrip().splitlines()
            names = [line.strip() or str(number) for number, line in enumerate(lines)]  # a line is a class
        else:
            names = range(max(numbers, default=0) + 1)
    if not isinstance(names, list | range) or not all(isinstance(name, str | int | float) for name in names):
        raise DataError(f"{source}: names of data.yaml is no list of class names; write names: [a, b]")
    plain = tuple(clean_name(str(name)) for name in names)
    if len(set(plain)) < len(plain):
        raise DataError(f"{source}: two classes have one name; give each its own")
    return plain


def keypoint_shape(description: Mapping[str, Any], source: Path) -> tuple[int, int]:
    """Number of keypoints and numbers per keypoint; 0, 0 without kpt_shape."""
    shape = description.get("kpt_shape")
    if shape is None:
        return 0, 0
    if (
        not isinstance(shape, list)
        or len(shape) != 2
        or not all(isinstance(each, int) for each in shape)
        or shape[1] not in (2, 3)
        or shape[0] < 1
    ):
        raise DataError(f"{source}: kpt_shape of data.yaml is {shape!r}; write [points, 2] or [points, 3]")
    return shape[0], shape[1]
