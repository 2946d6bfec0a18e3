"""An analysis as one folder to read and to cite: a page, tables, figures, claims, methods."""

from pathlib import Path

from aggregation_lab.files import write_json, write_text
from analysis.figures import write_figures
from analysis.pipeline import Analysis
from analysis.report.citation import BIBTEX
from analysis.report.claims import claims
from analysis.report.methods import methods_markdown
from analysis.report.page import render
from analysis.report.pictures import pictures
from analysis.tables import write_tables

__all__ = ["write_report"]


def write_report(analysis: Analysis, folder: Path | str) -> Path:
    """Write `index.html` and beside it `tables/`, `figures/`, `claims.json`, `methods.md` and `citation.bib`.

    The page stands alone: it opens from a disk and loads nothing. The same analysis gives the same bytes. Returns the
    path of the page, which is written last. Raises `AgglabError` where the folder cannot be written.
    """
    folder = Path(folder)
    tables = write_tables(analysis, folder / "tables")
    drawn = pictures(write_figures(analysis, folder / "figures"), folder)
    write_json(folder / "claims.json", claims(analysis))
    write_text(folder / "methods.md", methods_markdown(analysis))
    write_text(folder / "citation.bib", BIBTEX)
    index = folder / "index.html"
    write_text(index, render(analysis, drawn, [path.relative_to(folder) for path in tables]))
    return index
