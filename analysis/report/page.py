"""The page: everything it shows, gathered from an analysis for its template."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from aggregation_lab.text import enumerated
from analysis.frames import FRAMES, at_full
from analysis.gallery.blocks import NO_GALLERY, Gallery
from analysis.gallery.page import SCRIPT, STYLE
from analysis.questions.power import plan_sentence
from analysis.report import answers, checks, words
from analysis.report.citation import bibtex, cited
from analysis.report.footing import footing
from analysis.report.found import found
from analysis.report.groups import groups
from analysis.report.methods import methods
from analysis.report.page_table import MOST_ROWS, PageTable, page_table
from analysis.report.pictures import Picture
from analysis.report.reasons import why_empty
from analysis.report.trace import MOST_ANSWERS, MOST_TASKS, GainLinks, run_table, seed_tables
from analysis.result import Analysis
from analysis.settings import SCALES
from analysis.tables import paper_tables
from analysis.tables.cells import VERDICT_MARKS, count, crossing, flagged, limits, number, text
from analysis.tables.paper import Column, build, plain
from analysis.templates import templates

TEMPLATES = Path(__file__).parent / "templates"


def render(
    analysis: Analysis, figures: Mapping[str, Picture], tables: Sequence[Path], gallery: Gallery = NO_GALLERY
) -> str:
    """The page as HTML; `tables` are the written tables, relative to the page."""
    return templates(TEMPLATES).get_template("index.html.j2").render(page(analysis, figures, tables, gallery))


def page(
    analysis: Analysis, figures: Mapping[str, Picture], tables: Sequence[Path], gallery: Gallery = NO_GALLERY
) -> dict[str, Any]:
    """The template's variables."""
    paragraphs = methods(analysis)
    return {
        "study": analysis.study.manifest.study,
        "about": about(analysis),
        "alerts": checks.alerts(analysis),
        "checks": checks.checks(analysis),
        "answers": answers.answers(analysis),
        "footing": footing(analysis),
        "beyond": _beyond(analysis),
        "findings": answers.findings(analysis),
        "grids": grids(analysis, tables),
        "why": {name: why_empty(analysis, name) for name in FRAMES},
        "figures": figures,
        "gallery": gallery,
        "gallery_style": STYLE,
        "gallery_script": SCRIPT,
        "arms": _arms(analysis),
        "arms_why": _arms_why(analysis),
        "found": found(analysis),
        "groups": groups(analysis),
        "still_improving": checks.still_improving(analysis),
        "below_floor": checks.below_floor(analysis),
        "leakage": checks.leakage(analysis),
        "folds": analysis.study.manifest.folds,
        "warnings": analysis.warnings,
        "plan": plan_sentence(analysis.frames["power"]) if len(analysis.frames["power"]) else "",
        "methods": paragraphs,
        "sources": [source.reference for source in cited(" ".join(paragraphs))],
        "bibtex": bibtex(" ".join(paragraphs)),
        "seeds": seed_tables(analysis),
        "marks": VERDICT_MARKS,
        "scale": SCALES[analysis.settings.scale],
    }


def _beyond(analysis: Analysis) -> list[str]:
    """What is not on the page, and where it stands."""
    contrasts, tasks = analysis.frames["gains"]["contrast"].nunique(), analysis.frames["seed_gains"]["task"].nunique()
    sentences = []
    if contrasts > MOST_ANSWERS:
        sentences.append(f"{contrasts - MOST_ANSWERS:,} more contrasts stand in the tables only.")
    if tasks > MOST_TASKS:
        sentences.append(
            f"Gains by seed are shown of {MOST_TASKS} tasks of {tasks:,}, the surest gains; those of all stand in "
            "tables/seed_gains.csv."
        )
    return sentences


def _arms(analysis: Analysis) -> str:
    """Which arms are compared with which; empty where the study has one."""
    names = list(dict.fromkeys(analysis.frames["arm_gains"]["arm"]))
    if not names:
        return ""
    others = analysis.frames["arm_changes"]
    compared = list(dict.fromkeys(others["arm"]))
    base = others["base_arm"].iloc[0] if len(others) else names[0]
    text = f"The rest of this page is of the arm {base}."
    if not compared:
        return text
    return f"{text} Here {enumerated(compared)} {'are' if len(compared) > 1 else 'is'} compared with it."


def _arms_why(analysis: Analysis) -> str:
    """Why arms are not compared; empty where they are, or the study has one."""
    compared = len(analysis.frames["arm_gains"]) or len(analysis.study.compared_arms) < 2
    return "" if compared else why_empty(analysis, "arm_gains")


def about(analysis: Analysis) -> str:
    """What data: tasks, cases, seeds, fractions."""
    study, data = analysis.study, analysis.frames["data"]
    parts = [f"arm {study.arm} of {enumerated(study.compared_arms)}"] if len(study.compared_arms) > 1 else []
    if len(data):
        full = at_full(data)
        types = words.count(full["type"].nunique(), "type")
        parts.append(
            f"{words.count(len(full), 'task')} of {types} in {words.count(full['group'].nunique(), 'clinical group')}"
        )
        train, test = full["n_train"].sum(), full["n_test"].sum()
        of_fold = " in a fold" if study.manifest.folds > 1 else ""
        parts += [f"{train:,.0f} training cases{of_fold}"] if train > 0 else []
        parts += [f"{test:,.0f} test cases{of_fold}"] if test > 0 else []
    seeds = analysis.frames["seed_gains"]["seed"].nunique()
    parts += [words.count(seeds, "seed")] if seeds else []
    shares = enumerated([words.percent(share) for share in study.fractions])
    parts.append(f"{shares} of the training data")
    parts.append(", ".join(f"{name}: {words.aggregation(name)}" for name in study.aggregations))
    return " · ".join(parts)


def grids(analysis: Analysis, tables: Sequence[Path]) -> dict[str, PageTable]:
    """All tables of the page by name; tables without rows are missing."""
    links = GainLinks(analysis)
    written: dict[str, list[str]] = {}
    for path in tables:
        written.setdefault(path.stem, []).append(path.as_posix())
    frames, shown = analysis.frames, paper_tables(analysis)
    result = {table.name: page_table(table, links, files=written.get(table.name, ())) for table in shown}
    if len(frames["gains"]):
        result["verdicts"] = answers.verdict_counts(analysis)
    if len(frames["within"]):
        result["within_tasks"] = _within_tasks(analysis, links)
    if len(frames["influence"]):
        result["influence"] = _influence(analysis, links)
    if len(frames["excluded"]):
        result["excluded"] = _excluded(frames["excluded"])
    runs = run_table(analysis)
    return result | ({"runs": runs} if runs.rows else {})


def _within_tasks(analysis: Analysis, links: GainLinks) -> PageTable:
    """The lines of single tasks."""
    frame = analysis.frames["within"]
    rows = frame[frame["level"] == "task"].rename(columns={"name": "task"}).reset_index(drop=True)
    columns = [
        Column("task", lambda row: row["task"], "task", "task id"),
        *plain(str, "contrast", "type"),
        Column("slope [95%]", lambda row: flagged(limits(row, "slope", digits=4), row["base_improving"]), "slope"),
        Column("from n", lambda row: count(row["n_min"]), "n_min"),
        Column("to n", lambda row: count(row["n_max"]), "n_max"),
        Column("n* [99%]", crossing, "n_star"),
        *plain(text, "crossover"),
    ]
    note = (
        "slope: change of gain per doubling of the task's own training cases. n*: training cases at which the gain "
        "crosses zero, named only where the slope differs from 0."
    )
    table = build("within_tasks", "Each task's own line", rows, columns, note=note, of="within")
    return page_table(table, links, files=_files(rows, "within"))


def _influence(analysis: Analysis, links: GainLinks) -> PageTable:
    """Which single task moves the slope over tasks, the strongest first."""
    rows = analysis.frames["influence"]
    strength = rows["change_in_se"].astype(float).abs()
    rows = rows.assign(strength=-strength).sort_values(["contrast", "strength", "task"], ignore_index=True)
    columns = [
        *plain(str, "task", "contrast"),
        Column("slope without", lambda row: number(row["slope_without"], 4, signed=True), "slope_without"),
        Column("change", lambda row: number(row["change"], 4, signed=True), "change"),
        Column("in standard errors", lambda row: number(row["change_in_se"], 2, signed=True), "change_in_se"),
    ]
    table = build("influence", "Slope across tasks without one task", rows, columns)
    return page_table(table, links, files=_files(rows, "influence"))


def _files(rows: pd.DataFrame, name: str) -> list[str]:
    """The file of a frame that the page shows a part of."""
    return [f"tables/{name}.csv"] if len(rows) > MOST_ROWS else []


def _excluded(rows: pd.DataFrame) -> PageTable:
    columns = [
        *plain(str, "table"),
        Column("rows", lambda row: f"{int(row['rows']):,}", "rows"),
        *plain(str, "reason"),
    ]
    return page_table(build("excluded", "Rows left out", rows, columns))
