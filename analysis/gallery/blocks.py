"""Blocks of a gallery: for a verdict the cases that lose most, the middle one and those that gain most."""

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from aggregation_lab.errors import AgglabError, ResultsError
from aggregation_lab.files import write_atomic, write_bytes, write_text
from aggregation_lab.kept.study_images import none_kept
from aggregation_lab.storage.spreadsheet_csv import csv_text
from aggregation_lab.tasks import find_type
from aggregation_lab.text import near_names, printable
from analysis.figures.labels import BASE
from analysis.figures.style import RC
from analysis.frames import at_full
from analysis.gallery.figures import caption, case_figure
from analysis.gallery.page import TEMPLATES, strip_html
from analysis.gallery.paper import strips_figure
from analysis.gallery.strips import Strip
from analysis.gallery.study_cases import Cases
from analysis.light_svg import light_svg
from analysis.result import Analysis
from analysis.statistics.verdicts import BENEFIT, HARM
from analysis.tables.cells import number
from analysis.templates import templates

_TEXT = {"svg.fonttype": "none"}
"""Letters are text: as outlines they are two thirds of a figure."""
_FONT = f"'{BASE}'"
_FONTS = f"{_FONT}, Verdana, sans-serif"
"""What a browser without the font of figures takes: one as wide, or else any without serifs, which are narrower."""
MOST_BLOCKS = 30
"""Verdicts that a report shows with pictures, harm first; `agglab gallery` shows any other."""
_WITHOUT_VERDICT = 3
"""Tasks that are shown where no task has a verdict of harm or benefit."""

FILES = "gallery"
"""Folder of the pictures, beside the page."""

LEFT_OUT = "Images were left out of this report (--no-images)."
_UNREADABLE = "Pictures could not be made here; the command that wrote this page says why."


@dataclass(frozen=True)
class Gallery:
    """The blocks as HTML, what stands above them, and lines on what is missing, with the remedy.

    `faults` name files of this machine that could not be read: they are for the one who made the page.
    """

    blocks: Sequence[str] = ()
    heading: str = ""
    notes: Sequence[str] = ()
    faults: Sequence[str] = ()

    @property
    def said(self) -> list[str]:
        """Everything that is missing."""
        return [*self.notes, *self.faults]


NO_GALLERY = Gallery()
"""That of a study without scores of single cases."""


def verdicts_to_show(analysis: Analysis) -> tuple[list[dict[Hashable, Any]], str]:
    """Rows of `gains` at full data with cases to show, and what they are: harm first, then benefit, the surest first;
    where there is neither, the tasks with the largest absolute gains, once each."""
    gains = at_full(analysis.gains)
    known = set(analysis.case_gains[["contrast", "task"]].itertuples(index=False, name=None))
    gains = gains[[key in known for key in gains[["contrast", "task"]].itertuples(index=False, name=None)]]
    decided = gains[gains["verdict"].isin([HARM, BENEFIT])]
    if len(decided):
        ordered = decided.assign(harm=decided["verdict"] == HARM).sort_values(
            ["harm", "p_adjusted", "contrast", "task"], ascending=[False, True, True, True]
        )
        more = len(ordered) - MOST_BLOCKS
        rest = f", the first {MOST_BLOCKS}; `agglab gallery` shows the other {more}" if more > 0 else ""
        return ordered[:MOST_BLOCKS].to_dict("records"), f"Cases behind every verdict of harm and of benefit{rest}."
    ordered = gains.assign(size=-gains["gain"].abs()).sort_values(["size", "contrast", "task"]).drop_duplicates("task")
    heading = (
        "No task has a verdict of harm or of benefit, so these are the largest gains and losses, whatever their sign."
    )
    return ordered[:_WITHOUT_VERDICT].to_dict("records"), heading


def of_tasks(analysis: Analysis, tasks: Iterable[str], contrasts: Iterable[str]) -> list[dict[Hashable, Any]]:
    """Rows of `gains` at full data of these tasks and contrasts; all where none is named.

    Raises `ResultsError` for a name that is not there.
    """
    rows = at_full(analysis.gains)
    known = analysis.case_gains
    rows = rows.merge(known[["contrast", "task"]].drop_duplicates(), on=["contrast", "task"])
    for column, names in (("task", list(tasks)), ("contrast", list(contrasts))):
        for name in names:
            if name not in set(known[column]):
                others = near_names(name, set(known[column]))
                raise ResultsError(f"--{column} {printable(name)}: no test cases to compare{others}")
        rows = rows[rows[column].isin(names)] if names else rows
    return rows.sort_values("task", kind="stable").to_dict("records")


def write_gallery(
    cases: Cases,
    chosen: Sequence[Mapping[Hashable, Any]],
    folder: Path,
    *,
    heading: str = "",
    images: bool = True,
    each: int = 3,
    pdf: bool = False,
    progress: Callable[[str], object] = lambda task: None,
) -> Gallery:
    """Write pictures and figures of the chosen verdicts into `folder`/gallery, and give the blocks that show them.

    `each` cases at either end. What cannot be read is a note, and its block stands without pictures. With `pdf`, also a
    figure for a paper of each block.
    """
    kept = cases if images else Cases(cases.study, cases.gains, None, LEFT_OUT)
    blocks, notes, faults = [], [kept.why_no_images] if kept.why_no_images else [], list[str]()
    for number_of, row in enumerate(chosen, 1):
        progress(str(row["task"]))
        stem = re.sub("[^a-z0-9]+", "-", f"cases-{number_of:02d}-{row['task']}-{row['contrast']}".lower()).strip("-")
        block, missing, fault = _block(kept, row, folder, stem[:80], images, each, pdf)
        blocks.append(block)
        notes += [missing] if missing and missing not in notes else []
        faults += [fault] if fault and fault not in faults else []
    return Gallery(blocks, heading, notes, faults)


def _block(
    cases: Cases, row: Mapping[Hashable, Any], folder: Path, stem: str, images: bool, each: int, pdf: bool
) -> tuple[str, str, str]:
    """One block as HTML; which runs have kept no predictions; what could not be read."""
    contrast, task = str(row["contrast"]), str(row["task"])
    lacking, fault, groups = "", "", list[tuple[str, list[Strip]]]()
    try:
        rows = cases.of(contrast, task)
        if cases.images is not None:
            missing = cases.images.without_predictions(cases.runs(task))
            lacking = none_kept(missing) if missing else ""
            if len(missing) < len(cases.runs(task)):
                groups = [(title, cases.strips(part)) for title, part in ends(rows, each)]
    except AgglabError as error:
        rows, fault, groups = Cases(cases.study, cases.gains, None).of(contrast, task), str(error), []
    shown = [(title, [_written(strip, folder) for strip in strips]) for title, strips in groups]
    figure, data = case_figure(rows if images else _without_folders(rows))
    write_figure(figure, data, folder / FILES, stem)
    if pdf and groups:
        strips = [strip for _, of_group in groups for strip in of_group]
        drawn = strips_figure(strips, title=f"{task}, {contrast}")
        write_atomic(folder / f"{stem}.pdf", lambda stream: _save(drawn, stream, "pdf"))
    html = (
        templates(TEMPLATES)
        .get_template("block.html.j2")
        .render(
            block={
                "anchor": stem,
                "title": f"{task}: {row['joint']} against {row['base']}",
                "verdict": row["verdict"],
                "slug": str(row["verdict"]).replace(" ", "-"),
                "sentence": _sentence(row, rows),
                "drawn": f"{FILES}/{stem}.svg",
                "data": f"{FILES}/{stem}.csv",
                "pdf": f"{stem}.pdf" if pdf and groups else "",
                "width": round(figure.get_figwidth() * 96 * 1.4),
                "caption": caption(len(rows)),
                "groups": shown,
                "why_no_images": _UNREADABLE if fault else lacking,
            }
        )
    )
    return html, lacking, fault


def ends(rows: pd.DataFrame, each: int) -> list[tuple[str, pd.DataFrame]]:
    """Both ends and the middle of rows in the order of their gains, no case twice."""
    each = max(1, min(each, (len(rows) - 1) // 2))
    middle = (len(rows) - 1) // 2
    lowest, highest = rows[:each], rows[len(rows) - each :][::-1]
    found = [("Gain least" if (lowest["gain"] > 0).all() else "Lose most", lowest)]
    if len(rows) > 2:
        found.append(("In the middle", rows[middle : middle + 1]))
    if len(rows) > 1:
        found.append(("Lose least" if (highest["gain"] < 0).all() else "Gain most", highest))
    return found


def _written(strip: Strip, folder: Path) -> str:
    """The strip as HTML, its image written beside the page."""
    write_bytes(folder / FILES / strip.file_name, strip.picture)
    return strip_html(strip, f"{FILES}/{strip.file_name}")


def write_figure(figure: Figure, data: pd.DataFrame, folder: Path, stem: str) -> None:
    """The figure as a page shows it, and what it shows as CSV."""
    write_text(folder / f"{stem}.csv", csv_text(data))
    drawn = BytesIO()
    _save(figure, drawn, "svg")
    write_text(folder / f"{stem}.svg", light_svg(drawn.getvalue().decode().replace(_FONT, _FONTS)))


def _save(figure: Figure, stream: Any, form: str) -> None:
    """Without dates: the same figure gives the same bytes."""
    with matplotlib.rc_context(RC | _TEXT):
        figure.savefig(stream, format=form, dpi=300, metadata={"Date" if form == "svg" else "CreationDate": None})


def _without_folders(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose image folders, which may be named after patients, are numbered."""
    numbers = pd.factorize(rows["source"], sort=True)[0] + 1
    return rows.assign(
        source=[f"folder {index}" if name else "" for index, name in zip(numbers, rows["source"], strict=True)]
    )


def _sentence(row: Mapping[Hashable, Any], rows: pd.DataFrame) -> str:
    """The task's gain, how many cases are behind it, and what a case's score is."""
    low, high = row["low_adjusted"], row["high_adjusted"]
    limits = "" if pd.isna(low) or pd.isna(high) else f" [{number(low, signed=True)}, {number(high, signed=True)}]"
    losing, gaining = int((rows["gain"] < 0).sum()), int((rows["gain"] > 0).sum())
    subjects = rows["subject"].nunique()
    of = f" ({subjects:,} subject{'s' if subjects > 1 else ''})" if subjects != len(rows) else ""
    task_type = find_type(str(row["type"]))
    note = f" ({task_type.case_note})" if task_type is not None and task_type.case_note else ""
    median = number(float(rows["gain"].median()), signed=True)
    counted = f"{len(rows):,} test cases{of}, losses: {losing:,}, gains: {gaining:,}; the one in the middle {median}"
    gain = f"{number(row['gain'], signed=True)}{limits}"
    return f"Gain of the task {gain}. Of {counted}. Score of a case: {rows['score'].iloc[0]}{note}."
