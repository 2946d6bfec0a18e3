"""The tables of a data set from its cases and the scans of its files, sorted: the order of CSV rows has no effect."""

from collections.abc import Mapping, Sequence
from itertools import count

import pandas as pd

from aggregation_lab.data.images.file_scan import Scan
from aggregation_lab.data.interpretation.mask_classes import TaskMasks
from aggregation_lab.data.rows.cases import Case


def case_table(
    cases: Sequence[Case], images: Mapping[str, Scan], masks: TaskMasks, subject_of: Mapping[str, str]
) -> pd.DataFrame:
    """One row per case, sorted by its target."""
    ordered = sorted(
        cases, key=lambda case: (case.task, case.image, case.mask, case.label, case.box or (), case.points or ())
    )
    plain = {f"{case.task}/{case.image}" for case in ordered}
    used: set[str] = set()
    records = []
    for case in ordered:
        name = _free_name(f"{case.task}/{case.image}", plain, used)
        used.add(name)
        image = images[case.image]
        records.append(
            {
                "case": name,
                "task": case.task,
                "image": case.image,
                "mask": case.mask,
                "label": case.label,
                "box": case.box,
                "points": case.points,
                "height": image.height,
                "width": image.width,
                "subject": subject_of[case.image],
                "content": image.content,
                "mask_content": masks[case.task][case.mask].content if case.mask else "",
            }
        )
    return pd.DataFrame(records).astype({"box": object, "points": object})


def _free_name(name: str, plain: set[str], used: set[str]) -> str:
    """`name`, or `name`#2, #3 ... where it is used already; never the name of another case."""
    numbered = (f"{name}#{number}" for number in count(2))
    return name if name not in used else next(other for other in numbered if other not in plain and other not in used)


def image_table(images: Mapping[str, Scan]) -> pd.DataFrame:
    """One row per distinct content of the image files."""
    fields = ("height", "width", "grey", "thumbnail")
    rows = [(scan.content, path, *(getattr(scan, name) for name in fields)) for path, scan in sorted(images.items())]
    table = pd.DataFrame(rows, columns=["content", "image", *fields])
    return table.drop_duplicates("content").sort_values("content", ignore_index=True)


def mask_table(masks: TaskMasks) -> pd.DataFrame:
    """One row per distinct content of the masks, read as classes."""
    paths = sorted((path, scan.content, scan.values) for scans in masks.values() for path, scan in scans.items())
    rows = [(content, path, values) for path, content, values in paths]
    table = pd.DataFrame(rows, columns=["mask_content", "mask", "values"])
    return table.drop_duplicates("mask_content").sort_values("mask_content", ignore_index=True)
