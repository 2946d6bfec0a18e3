"""Names of any kind in what is drawn, written and printed: readable, told apart, and obeyed by no program."""

import warnings
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from analysis.external import read_scores
from analysis.figures import FIGURES
from analysis.figures.labels import LONGEST, label, labels
from analysis.figures.selection import MOST_CONTRASTS, MOST_TASKS
from analysis.pipeline import analyse
from analysis.report.page import render
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.tables import latex, markdown, paper_tables
from runners.commands.opened_scores import say_plainly

TASKS = ["cost $5 vs $6", "^_\\{}%#&~<i>", "=cmd|'/C x'!A0", "[bracket", "*star", "甲状腺", "a|b`c`", "y" * 150, "NA"]
ARMS = ["TS", "_own", "a-b", "[/x] $z$", "=AU"]


def analysed(folder, tasks, arms, seeds: int = 2) -> Analysis:
    random = np.random.default_rng(0)
    rows = [
        (task, arm, seed, 0.6 + 0.01 * arms.index(arm) + random.normal(0, 0.01), 100 * (place + 1), "seg$ type_", "_g")
        for place, task in enumerate(tasks)
        for arm in arms
        for seed in range(seeds)
    ]
    path = folder / "scores.json"
    columns = ["task", "aggregation", "seed", "value", "n_train", "type", "group"]
    pd.DataFrame(rows, columns=columns).to_json(path, orient="records")
    return analyse(read_scores(path), Settings(draws=50))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return analysed(tmp_path_factory.mktemp("odd"), TASKS, ARMS)


@pytest.mark.slow
def test_every_figure_is_drawn_without_a_warning_and_its_numbers_keep_the_names(odd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in FIGURES:
            drawn = figure.draw(odd)
            if drawn is None:
                continue
            picture, data = drawn
            picture.draw_without_rendering()
            if figure.name == "gains_forest":
                shown = {text.get_text() for text in picture.axes[0].get_yticklabels()}
                assert {"cost $5 vs $6", "^_\\{}%#&~<i>", "[bracket"} <= shown
                assert set(TASKS) <= set(data["task"])
            if figure.name == "stability":
                assert "_own-TS" in {text.get_text() for text in picture.legends[0].get_texts()}


def test_labels_are_short_and_told_apart():
    long = ["x" * 80 + end for end in ("a", "b")] + ["x" * 30 + middle + "x" * 40 for middle in ("1", "2")]
    found = labels([*long, "plain", "\u9999\U0001f642"])
    assert len(set(found.values())) == 6 and all(len(shown) <= LONGEST for shown in found.values())
    assert found["plain"] == "plain" and label("a\nb") == r"a\nb"


def test_no_cell_is_a_formula_and_every_table_reads_back(odd):
    for table in paper_tables(odd):
        text = pd.read_csv(__import__("io").StringIO(table.to_csv()), dtype=str, keep_default_na=False)
        for column in text:
            numeric = pd.to_numeric(text[column], errors="coerce").notna()
            assert not text.loc[~numeric, column].str.match(r"[=+\-@\t\r]").any(), (table.name, column)


def test_latex_rows_begin_with_no_argument_and_markdown_keeps_its_columns(odd):
    for table in paper_tables(odd):
        lines = latex(table).splitlines()
        assert not any(line.startswith(("[", "*")) for line in lines)
        rows = [line for line in markdown(table).splitlines() if line.startswith("|")]
        bars = {len(line.replace("\\|", "").split("|")) for line in rows}
        assert len(bars) == 1, table.name


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_shows_names_as_they_are(odd):
    page = _Text()
    page.feed(render(odd, {}, []))
    assert "i" not in page.tags
    for task in TASKS:
        assert any(task in words for words in page.words)


def test_nothing_printed_is_obeyed(capsys):
    say_plainly(Console(width=100), "task [/x] \x1b[31m\u202ename")
    assert capsys.readouterr().out == "task [/x] \\x1b[31m\\u202ename\n"


@pytest.mark.slow
def test_very_many_tasks_and_arms_fit_a_page(tmp_path):
    many = analysed(tmp_path, [f"t{place:03d}" for place in range(240)], ["TS", "AU"])
    drawn = next(figure for figure in FIGURES if figure.name == "gains_forest").draw(many)
    assert drawn is not None and drawn[1]["task"].nunique() == MOST_TASKS
    assert drawn[0].get_suptitle() == f"{MOST_TASKS} of 240 tasks, the surest gains"
    page = render(many, {}, [])
    assert len(page) < 2e6 and "Gains by seed are shown of 200 tasks of 240" in page
    arms = analysed(tmp_path, ["a", "b"], ["TS", *(f"arm{place:02d}" for place in range(30))])
    drawn = next(figure for figure in FIGURES if figure.name == "gains_heat_map").draw(arms)
    assert drawn is not None and drawn[1]["contrast"].nunique() == MOST_CONTRASTS
    assert "6 more contrasts stand in the tables only." in render(arms, {}, [])
