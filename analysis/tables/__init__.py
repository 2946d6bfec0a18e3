"""Result frames in, tables out: CSV for machines, Markdown, LaTeX and HTML for people."""

from collections.abc import Callable
from pathlib import Path

from aggregation_lab.files import write_text
from analysis.result import Analysis
from analysis.tables import questions, tasks
from analysis.tables.latex import latex
from analysis.tables.markup import html, markdown
from analysis.tables.paper import PaperTable

__all__ = ["TABLES", "PaperTable", "html", "latex", "markdown", "paper_tables", "write_tables"]

TABLES: dict[str, Callable[[Analysis], PaperTable | None]] = {
    "findings": questions.findings_table,
    "data": tasks.data_table,
    "scores": tasks.scores_table,
    "gains": tasks.gains_table,
    "gains_by_fraction": tasks.fractions_table,
    "group_means": questions.pooled_table,
    "types": questions.types_table,
    "scale_across": questions.across_table,
    "scale_within": questions.within_table,
    "stability": questions.stability_table,
    "guidelines": questions.guidelines_table,
    "regret": questions.regret_table,
    "ledger": questions.ledger_table,
    "power": tasks.power_table,
    "multiverse": tasks.multiverse_table,
}
"""What makes each table, in the order of a report."""

_FRAMES = {
    "gains_by_fraction": "gains",
    "group_means": "pooled",
    "types": "sensitivity",
    "scale_across": "across",
    "scale_within": "within",
}


def paper_tables(analysis: Analysis) -> list[PaperTable]:
    """All tables of an analysis; those of which the frame is empty are left out."""
    filled = {name: make for name, make in TABLES.items() if len(analysis.frames[_FRAMES.get(name, name)])}
    made = [make(analysis) for make in filled.values()]
    return [table for table in made if table is not None]


def write_tables(analysis: Analysis, folder: Path) -> list[Path]:
    """Write each table as `<name>.csv`, `.md`, `.tex` and `.html`; each file whole or not at all.

    Raises `AgglabError` where the folder cannot be written.
    """
    written = []
    for table in paper_tables(analysis):
        forms = {"csv": table.csv(), "md": markdown(table), "tex": latex(table), "html": html(table)}
        for ending, content in forms.items():
            path = folder / f"{table.name}.{ending}"
            write_text(path, content)
            written.append(path)
    return written
