"""The gallery of a report, and the gallery as a page of its own."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from aggregation_lab.errors import ResultsError
from aggregation_lab.files import write_text
from analysis.gallery.blocks import LEFT_OUT, NO_GALLERY, Gallery, of_tasks, verdicts_to_show, write_gallery
from analysis.gallery.page import SCRIPT, STYLE
from analysis.gallery.study_cases import Cases, cases
from analysis.report.folder import report_of, whole_folder
from analysis.report.page import TEMPLATES
from analysis.result import Analysis
from analysis.templates import templates

_UNREADABLE = "no pictures: the folder of the study does not say any more which images its cases are"


def report_gallery(analysis: Analysis, folder: Path, images: bool, data: Path | None = None) -> Gallery:
    """The blocks of a report, their pictures written into its folder; none where no single cases were scored. `data` is
    where the images lie, if they were moved."""
    if analysis.case_gains.empty:
        return NO_GALLERY
    chosen, heading = verdicts_to_show(analysis)
    try:
        shown = cases(analysis, data) if images else Cases(analysis.study, analysis.case_gains, None, LEFT_OUT)
    except ResultsError as error:  # the folder no longer says which images its cases are
        shown = Cases(analysis.study, analysis.case_gains, None, _UNREADABLE)
        return replace(write_gallery(shown, chosen, folder, heading=heading, images=images), faults=(str(error),))
    return write_gallery(shown, chosen, folder, heading=heading, images=images)


def write_gallery_page(
    analysis: Analysis,
    folder: Path | str,
    tasks: Sequence[str] = (),
    contrasts: Sequence[str] = (),
    *,
    source: Path | str | None = None,
    data: Path | None = None,
    each: int = 3,
    pdf: bool = False,
    progress: Callable[[str], object] = lambda task: None,
) -> tuple[Path, Sequence[str]]:
    """Write the cases of these tasks and contrasts, of all where none is named, as a folder with `index.html`.

    `each` cases at either end; with `pdf`, a figure for a paper of each contrast and task beside the page. `source` is
    that of `write_report`. Returns the page, and lines on what is missing. Raises `AgglabError` where there is nothing
    to show, or the folder cannot be written or holds something else.
    """
    folder, shown, chosen = Path(folder), cases(analysis, data), of_tasks(analysis, tasks, contrasts)
    with whole_folder(folder, report_of(analysis.study, "gallery", source, folder)) as new:
        gallery = write_gallery(shown, chosen, new, each=each, pdf=pdf, progress=progress)
        shown_on = {"study": analysis.study.manifest.study, "gallery": gallery}
        looks = {"gallery_style": STYLE, "gallery_script": SCRIPT}
        page = templates(TEMPLATES).get_template("gallery_page.html.j2").render(shown_on | looks)
        write_text(new / "index.html", page)
    return folder / "index.html", gallery.said
