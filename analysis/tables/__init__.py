"""Result frames in, tables out: CSV for machines, Markdown, LaTeX and HTML for people."""

from collections.abc import Callable
from pathlib import Path

from aggregation_lab.files import write_text
from analysis.named_frames import NamedFrames
from analysis.tables import arms, collapsed, grouping, questions, reference, tasks
from analysis.tables.latex import latex
from analysis.tables.markup import html, markdown
from analysis.tables.paper import PaperTable

__all__ = ["TABLES", "PaperTable", "html", "latex", "markdown", "paper_table", "paper_tables", "write_tables"]

TABLES: dict[str, tuple[str, Callable[[NamedFrames], PaperTable | None]]] = {
    "findings": ("findings", questions.findings_table),
    "data": ("data", tasks.data_table),
    "scores": ("scores", tasks.scores_table),
    "collapsed": ("collapsed", collapsed.collapsed_table),
    "reference": ("reference", reference.reference_table),
    "gains": ("gains", tasks.gains_table),
    "gains_by_fraction": ("gains", tasks.fractions_table),
    "group_means": ("pooled", questions.pooled_table),
    "types": ("sensitivity", questions.types_table),
    "scale_across": ("across", questions.across_table),
    "scale_within": ("within", questions.within_table),
    "stability": ("stability", questions.stability_table),
    "arm_gains": ("arm_gains", arms.arm_gains_table),
    "arm_means": ("arm_means", arms.arm_means_table),
    "arm_changes": ("arm_changes", arms.arm_changes_table),
    "capacity": ("capacity", arms.capacity_table),
    "found_groups": ("found_groups", grouping.groups_table),
    "partitions": ("partitions", grouping.partitions_table),
    "prediction_errors": ("prediction_errors", grouping.errors_table),
    "predicted_gains": ("predicted_gains", grouping.predicted_table),
    "guidelines": ("guidelines", questions.guidelines_table),
    "regret": ("regret", questions.regret_table),
    "ledger": ("ledger", questions.ledger_table),
    "power": ("power", tasks.power_table),
    "multiverse": ("multiverse", tasks.multiverse_table),
}
"""Each table, in the order of a report: the frame without which there is none, and what makes it."""


def paper_table(analysis: NamedFrames, name: str) -> PaperTable | None:
    """One table of `TABLES`; None where its frame is empty, or the study has nothing to put into it."""
    frame, make = TABLES[name]
    return make(analysis) if len(analysis.frames[frame]) else None


def paper_tables(analysis: NamedFrames) -> list[PaperTable]:
    """All tables of an analysis; those of which the frame is empty are left out."""
    return [table for name in TABLES if (table := paper_table(analysis, name)) is not None]


def write_tables(analysis: NamedFrames, folder: Path) -> list[Path]:
    """Write each table as `<name>.csv`, `.md`, `.tex` and `.html`; each file whole or not at all.

    Raises `AgglabError` where the folder cannot be written.
    """
    written = []
    for table in paper_tables(analysis):
        forms = {"csv": table.to_csv(), "md": table.to_markdown(), "tex": table.to_latex(), "html": table.to_html()}
        for ending, content in forms.items():
            path = folder / f"{table.name}.{ending}"
            write_text(path, content)
            written.append(path)
    return written
