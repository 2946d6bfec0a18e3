"""An analysis as one folder to read and to cite: a page, tables, figures, claims, methods."""

from collections.abc import Callable
from pathlib import Path

from aggregation_lab.files import write_json, write_text
from aggregation_lab.storage.spreadsheet_csv import csv_text
from analysis.figures import write_figures
from analysis.report.claims import claims
from analysis.report.folder import report_of, whole_folder
from analysis.report.gallery import report_gallery
from analysis.report.methods import citations, methods_markdown
from analysis.report.page import render
from analysis.report.page_table import MOST_ROWS
from analysis.report.pictures import pictures
from analysis.result import Analysis
from analysis.tables import write_tables

__all__ = ["write_report"]


def write_report(
    analysis: Analysis,
    folder: Path | str,
    *,
    source: Path | str | None = None,
    images: bool = True,
    data: Path | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> Path:
    """Write `index.html` and beside it `tables/`, `figures/`, `gallery/`, `claims.json`, `methods.md`, `citation.bib`.

    The page opens from a disk and loads nothing but the pictures of its gallery, which lie beside it; without `images`
    there are none, and no name of a case or a folder of images leaves; `data` is where the images lie, if they were
    moved. `say` is told what could not be shown, and what to do. The same analysis gives the same bytes. The folder is
    written as a whole, over an empty one or a former report of the same arm and `source` only: the path or shipped name
    of the scores, where they come from no output folder. Returns the path of the page. Raises `AgglabError` where the
    folder cannot be written or holds something else.
    """
    folder = Path(folder)
    with whole_folder(folder, report_of(analysis.study, "report", source, folder)) as new:
        tables = write_tables(analysis, new / "tables")
        _write_long_frames(analysis, new / "tables")
        drawn = pictures(write_figures(analysis, new / "figures"), new)
        write_json(new / "claims.json", claims(analysis))
        write_text(new / "methods.md", methods_markdown(analysis))
        write_text(new / "citation.bib", citations(analysis))
        shown = report_gallery(analysis, new, images, data)
        for line in shown.said:
            say(line)
        write_text(new / "index.html", render(analysis, drawn, [path.relative_to(new) for path in tables], shown))
    return folder / "index.html"


def _write_long_frames(analysis: Analysis, folder: Path) -> None:
    """Frames without a table of their own of which the page shows a part."""
    for name in ("seed_gains", "within", "influence"):
        rows = analysis.frames[name]
        if len(rows) > MOST_ROWS:
            write_text(folder / f"{name}.csv", csv_text(rows))
