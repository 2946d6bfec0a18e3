"""Whether images show anything once their values are grey levels."""

from collections import Counter
from collections.abc import Iterable, Mapping

from aggregation_lab.data.images.deep_levels import Levels
from aggregation_lab.data.images.file_scan import Scan
from aggregation_lab.data.interpretation.grey_levels import TaskLevels
from aggregation_lab.data.rows.cases import Case
from aggregation_lab.data.rows.problems import Problems

CONTRAST = 3
"""Grey levels, of 255, between the darkest and brightest 1% of an image: with no more it shows hardly anything."""
DIM = 1 / 8
"""Share of its range that a deep image must exceed somewhere, else it was saved with another range."""
TOP_BIT = 128
"""Colour images of 16 bits, of which the top 8 are read, use them up if one of a task is as bright as this."""

_EIGHT_BITS = Levels(0.0, 255.0)


def check_contrast(
    cases: Iterable[Case],
    images: Mapping[str, Scan],
    levels: Mapping[str, Levels],
    ranges: Iterable[TaskLevels],
    problems: Problems,
) -> None:
    """Report images that are (nearly) of one grey when read, one line per CSV, and unusual or several ranges of
    values."""
    cases = list(cases)
    _check_depths(cases, images, problems)
    brightest: dict[str, float] = {}
    first: dict[tuple[str, str], Case] = {}
    for case in cases:
        brightest[case.task] = max(brightest.get(case.task, 0.0), images[case.image].high)
        first.setdefault((case.row.file, case.image), case)
    for case in first.values():
        scan = images[case.image]
        if scan.fault:
            continue
        if scan.has("top_bytes") and brightest[case.task] < TOP_BIT:
            message = f"{case.image} is a colour image whose 16 bits are not used up, and only the top 8 can be read"
            problems.row_error(case.row, "image_path", f"{message}; save it with 8 bits per channel, or grey", "colour")
            continue
        fault = _fault(scan, levels.get(case.image, _EIGHT_BITS))
        if fault:
            problems.row_warning(case.row, "image_path", f"{case.image} {fault}", fault.split()[0])
    for group in ranges:
        if group.unusual:
            shown = f"images of more than 8 bits hold values from {group.levels.black:g} to {group.levels.white:g}"
            message = f"{shown}; these become black and white in all of them"
            problems.warning("task", None, ", ".join(group.tasks), message)


def _check_depths(cases: Iterable[Case], images: Mapping[str, Scan], problems: Problems) -> None:
    """Warn of tasks whose images keep their values in several forms, each of which has a range of its own."""
    depths: dict[str, Counter[str]] = {}
    for task, path in sorted({(case.task, case.image) for case in cases if not images[case.image].fault}):
        depths.setdefault(task, Counter())[images[path].depth] += 1
    for task, counts in depths.items():
        if len(counts) > 1:
            shown = ", ".join(f"{counts[depth]} of {_DEPTHS[depth]}" for depth in _DEPTHS if depth in counts)
            message = f"has images in several forms ({shown}), and each form has its own range of values"
            advice = "the same tissue may look brighter in one than in another; save all images of a task in one form"
            problems.warning("task", None, task, f"{message}: {advice}")


_DEPTHS = {"": "8 bits", "whole": "whole numbers of more bits", "float": "floating-point numbers"}


def _fault(scan: Scan, levels: Levels) -> str:
    """What is wrong with the image's contrast, "" if nothing."""
    span = levels.white - levels.black
    # a deep image with some contrast, far below the range that its task needs
    if scan.depth and scan.bright > scan.dark and scan.bright - levels.black < DIM * span:
        reach = f"99% of its pixels are at most {scan.bright:g}, the others of its task reach {levels.white:g}"
        return f"is read (nearly) black, {reach}; save all images of a task with the same range"
    if (scan.bright - scan.dark) * 255 / span <= CONTRAST:
        within = f"98% of its pixels lie within {CONTRAST} of 255 grey levels"
        return f"has (nearly) no contrast, {within}; check how it was exported"
    return ""
