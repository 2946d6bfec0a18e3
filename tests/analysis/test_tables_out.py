"""Tables of an analysis: what they say, their four forms, and that LaTeX sets them."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO

import numpy as np
import pandas as pd
import pytest

from aggregation_lab.errors import AgglabError
from analysis.frames import FRAMES
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.tables import TABLES, html, latex, markdown, paper_tables, write_tables
from analysis.tables.cells import interval, number, p_value
from analysis.tables.latex import escape
from tests.fake_analysis import empty_analysis, fake_analysis, holey_analysis

WHOLE = fake_analysis()


def table(name: str, analysis: Analysis = WHOLE):
    return next(each for each in paper_tables(analysis) if each.name == name)


def changed(name: str, **columns) -> Analysis:
    frames = {**WHOLE.frames, name: WHOLE.frames[name].assign(**columns)}
    return Analysis(WHOLE.study, WHOLE.settings, frames)


def test_the_made_up_frames_have_every_column_of_the_contract():
    for analysis in (WHOLE, empty_analysis(), holey_analysis()):
        assert {name: list(rows.columns) for name, rows in analysis.frames.items()} == {
            name: list(columns) for name, columns in FRAMES.items()
        }
    assert all(len(rows) for rows in WHOLE.frames.values())


@pytest.mark.parametrize("name", ["group_means", "types", "scale_across", "scale_within", "arm_means", "capacity"])
def test_a_table_of_many_p_values_says_that_they_are_not_corrected(name):
    assert "p" in table(name).frame and "p: not corrected for the number of rows." in table(name).note


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.0312, 0.012, 0.0499, "0.031 [0.012, 0.050]"),
        (-0.0312, -0.05, 0.0, "−0.031 [−0.050, 0.000]"),
        (-0.0001, -0.01, 0.01, "0.000 [−0.010, 0.010]"),
        (0.016, -0.000002, 0.031, "0.016 [−0.000002, 0.031]"),
        (0.016, -1e-17, 0.031, "0.016 [0.000, 0.031]"),
        (0.0, 0.0, 0.0, "0.000 [0.000, 0.000]"),
        (0.0004, 0.0001, 0.0004, "0.0004 [0.0001, 0.0004]"),
        (0.5, float("nan"), float("nan"), "0.500"),
        (float("nan"), 0.1, 0.2, "–"),
    ],
)
def test_an_interval_reads_as_papers_have_it(value, low, high, expected):
    assert interval(value, low, high) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-1.0, 1.0, "−0.188 [−1.000, 1.000]"),
        (-4.092, 0.7, "−0.188 [<−1, 0.700]"),
        (-0.9, 1.3, "−0.188 [−0.900, >1]"),
        (-4.092, 3.717, "−0.188 [no useful limit]"),
    ],
)
def test_a_limit_that_no_gain_can_have_is_not_shown_as_one(low, high, expected):
    assert interval(-0.188, low, high, most=1.0) == expected


def test_gains_of_scores_between_0_and_1_have_no_limits_beyond_1():
    """On a relative scale there are such gains."""
    wide, title = (
        changed("stability", worst_low=-4.1, worst_high=3.7, worst_cell="here"),
        "worst cell [95%]",
    )
    assert table("stability", wide).frame[title].str.contains("[no useful limit]", regex=False).all()
    relative = replace(wide, settings=replace(wide.settings, scale="relative"))
    assert table("stability", relative).frame[title].str.contains("[−4.100, 3.700]", regex=False).all()
    means = table("group_means", changed("pooled", low=-1.2, high=0.5)).frame["mean gain [these tasks]"]
    assert means.str.contains("[<−1, 0.500]", regex=False).all()


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0004, "<0.001"), (0.0012, "0.0012"), (0.0341, "0.034"), (0.1, "0.10"), (1.0, "1.0"), (float("nan"), "–")],
)
def test_p_has_two_significant_digits(value, expected):
    assert p_value(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0496, "0.0496"),
        (0.0504, "0.0504"),
        (0.0248, "0.0248"),
        (0.05002, "0.05002"),
        (0.024998, "0.024998"),
        (0.05, "0.0500"),
        (0.05 + 1e-15, "0.0500"),
    ],
)
def test_p_close_to_the_level_that_decides_shows_on_which_side_it_lies(value, expected):
    assert p_value(value) == expected


def test_a_change_within_the_margin_stands_beside_margin_and_p_of_that_test():
    shown = table("arm_changes", changed("arm_changes", p_equivalent_adjusted=0.0123, margin=0.02))
    assert set(shown.frame["margin"]) == {"0.020"}
    assert set(shown.frame["p within margin (0.025)"]) == {"0.012"}
    assert "may reach beyond the margin" in shown.note and "may reach beyond" in table("gains").note


def test_the_level_of_one_sided_p_values_is_in_their_title():
    halved = Analysis(WHOLE.study, Settings(alpha=0.1), WHOLE.frames)
    assert "p loss (0.025)" in table("gains").frame
    assert "p loss (0.05)" in table("gains", halved).frame


@pytest.mark.parametrize(
    ("margin", "supported", "unit", "shown"),
    [
        (0.02, 0.02004, "1", ("0.02000", "0.02004")),
        (0.02, 0.03, "1", ("0.020", "0.030")),
        (0.0125, 0.0128, "1", ("0.0125", "0.0128")),
        (0.02, 0.02, "1", ("0.020", "0.020")),
        (0.5, 0.46, "mm", ("0.50", "0.46")),
        (0.25, 1.0, "mm", ("0.25", "1.00")),
    ],
)
def test_a_margin_reads_apart_from_the_one_that_the_data_support(margin, supported, unit, shown):
    rows = table("gains", changed("gains", margin=margin, supported_margin=supported, gain_unit=unit)).frame
    assert set(zip(rows["margin"], rows["supports"], strict=True)) == {shown}


def test_a_table_without_models_of_all_training_data_does_not_speak_of_them():
    for frame in ("gains", "scores", "reference", "arm_changes", "arm_gains"):
        rows = WHOLE.frames[frame]
        half = Analysis(
            WHOLE.study, WHOLE.settings, {**WHOLE.frames, frame: rows[rows["fraction"] == 1].assign(fraction=0.5)}
        )
        assert "with all training data" in table(frame).note
        assert "with 50\u00a0% of the training data" in table(frame, half).note
        assert "all training data" not in table(frame, half).note


def test_fractions_that_are_alike_in_whole_per_cent_have_columns_of_their_own():
    shown = {each.name: each.frame for each in paper_tables(fake_analysis(4, fractions=(0.02, 0.025, 1.0)))}
    assert {"train 2%", "train 2.5%", "train 100%"} <= set(shown["data"].columns)
    assert {"gain at 2%", "gain at 2.5%"} <= set(shown["gains_by_fraction"].columns)
    assert {"2%", "2.5%", "100%"} == set(shown["group_means"]["fraction"])


def test_a_chance_that_is_not_certain_does_not_read_as_certain():
    shown = table("guidelines", changed("guidelines", chance=0.997, harm=0.004)).frame
    assert set(shown["gains"]) == {">99%"} and set(shown["harmed"]) == {"<1%"}


def test_every_table_is_made_and_named_as_listed():
    assert [each.name for each in paper_tables(WHOLE)] == list(TABLES)
    assert paper_tables(empty_analysis()) == []


def test_a_task_stands_once_in_the_scores_with_one_column_per_aggregation():
    shown = table("scores").frame
    assert list(shown.columns[-4:]) == ["TS", "CG", "AU", "ResNet18, TS"]
    assert sorted(shown["task"]) == sorted(WHOLE.frames["data"]["task"].unique())
    pixels = shown[shown["metric"] == "MRE, px ↓"]
    assert pixels["TS"].str.match(r"\d+\.\d ± \d+\.\d( |$)").all() and len(pixels)


def test_the_floor_is_a_column_of_scores_and_not_an_aggregation():
    scores = WHOLE.frames["scores"]
    floor = scores[scores["aggregation"] == "TS"].assign(aggregation="floor", verdict=None, still_improving=None)
    frames = {**WHOLE.frames, "scores": pd.concat([scores, floor], ignore_index=True)}
    shown = table("scores", Analysis(WHOLE.study, WHOLE.settings, frames)).frame
    assert list(shown["floor"]) == list(table("scores").frame["floor"])
    assert list(shown.columns[-4:]) == ["TS", "CG", "AU", "ResNet18, TS"]


def test_gains_over_a_base_that_was_still_improving_carry_the_arrow():
    full = WHOLE.frames["gains"].query("fraction == 1")
    rising = set(zip(*full.loc[full["base_improving"], ["contrast", "task"]].to_numpy().T, strict=True))
    shown = table("gains").frame
    marked = shown[shown["gain [adjusted interval]"].str.endswith("↗ 2/3")]
    assert set(zip(marked["contrast"], marked["task"], strict=True)) == rising
    by_fraction = table("gains_by_fraction").frame
    assert by_fraction["gain at 100%"].str.endswith("↗ 2/3").sum() == len(rising)
    assert (
        not table("gains", changed("gains", base_improving=False))
        .frame["gain [adjusted interval]"]
        .str.contains("↗")
        .any()
    )


@pytest.mark.parametrize(
    ("name", "title", "frame"),
    [
        ("group_means", "mean gain [these tasks]", "pooled"),
        ("types", "mean gain [95%]", "sensitivity"),
        ("scale_across", "slope [95%]", "across"),
        ("stability", "worst cell [95%]", "stability"),
        ("guidelines", "expected gain [one task]", "guidelines"),
    ],
)
def test_every_mean_of_gains_says_how_many_bases_were_still_improving(name, title, frame):
    counts = WHOLE.frames[frame]["base_improving"]
    cells = list(table(name).frame[title])
    said = [int(cell.rsplit("↗ ", 1)[1]) if "↗" in cell else 0 for cell in cells]
    assert said == list(counts) and sum(said) > 0 and "↗ and number: " in table(name).note
    assert not any("↗" in cell for cell in table(name, changed(frame, base_improving=np.nan)).frame[title])


def test_gains_in_pixels_have_one_decimal_and_their_unit():
    gains = WHOLE.frames["gains"]
    pixels = gains["metric"] == "MRE"
    unit = gains["gain_unit"].mask(pixels, "px")
    analysis = changed(
        "gains", gain=gains["gain"].mask(pixels, -1.26), low_adjusted=gains["low"].mask(pixels), gain_unit=unit
    )
    cells = table("gains", analysis).frame["gain [adjusted interval]"]
    assert (cells.str.removesuffix(" ↗ 2/3") == "−1.3 px").sum() == (pixels & (gains["fraction"] == 1)).sum()


def test_gains_have_the_change_of_the_raw_metric_and_the_margin_the_data_support():
    shown = table("gains", changed("gains", relative=-0.7966, supported_margin=0.0421)).frame
    assert set(shown["change"]) == {"−79.7%"} and set(shown["supports"]) == {"0.042"}
    assert list(shown.columns[-4:]) == ["verdict", "supports", "compute", "what would decide it"]
    assert set(table("gains", changed("gains", supported_margin=np.nan)).frame["supports"]) == {"–"}


def test_every_undecided_verdict_has_what_would_decide_it_and_no_other_has():
    shown = table("gains")
    undecided = shown.frame["verdict"] == "undecided"
    assert undecided.any() and (shown.frame.loc[undecided, "what would decide it"] != "").all()
    assert (shown.frame.loc[~undecided, "what would decide it"] == "").all() and "80 % power" in shown.note
    assert {"detectable", "more_replicates", "more_test_subjects"} <= set(shown.raw)


def test_compute_stands_beside_gains_where_it_was_not_matched():
    assert set(table("gains").frame["compute"]) == {"×0.80", "×1.00"}
    matched = table("gains", changed("gains", compute_ratio=1.05))
    assert "compute" not in matched.frame and "compute" not in matched.note


@pytest.mark.parametrize(("scale", "words"), [("relative", "as a share of the base"), ("standardised", "deviations")])
def test_notes_say_what_gains_are_measured_in(scale, words):
    measured = Analysis(WHOLE.study, Settings(scale=scale), WHOLE.frames)
    for name in ("gains", "gains_by_fraction"):
        assert words in table(name, measured).note and words not in table(name).note


def test_what_is_not_known_is_a_dash_and_what_does_not_limit_is_none():
    assert set(table("data", changed("data", n_test=0.0, subjects=0)).frame["test"]) == {"–"}
    assert set(table("data", changed("data", n_test=0.0, subjects=0)).frame["subjects"]) == {"–"}
    assert set(table("power", changed("power", limit="")).frame["limit"]) == {"none"}
    untested = changed("type_test", p=np.nan)
    assert "F =" not in table("types", untested).note and "F =" in table("types").note


def test_without_intervals_nothing_reads_as_nan():
    for each in paper_tables(holey_analysis()):
        assert not each.frame.isin(["nan", "NaN", "None"]).any(axis=None)
        assert "nan" not in " ".join(each.frame.to_numpy().ravel())


def test_csv_gives_back_every_digit():
    for each in paper_tables(WHOLE):
        back = pd.read_csv(StringIO(each.to_csv()), dtype=str)
        assert list(back.columns) == list(each.raw.columns)
        for name in each.raw.select_dtypes("number"):
            given = each.raw[name].to_numpy(float)
            np.testing.assert_array_equal([float(cell) for cell in back[name].fillna("nan")], given)


class Cells(HTMLParser):
    """Headers and cells of an HTML table, with their attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.headers, self.rows, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.open.append(tag)
        if tag == "th" and attrs["scope"] == "col":
            self.headers.append(attrs)
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append(attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_semantic_sorts_by_raw_values_and_explains_its_columns():
    files = {each.name: each for each in paper_tables(WHOLE)}
    for each in files.values():
        found = Cells(html(each))
        assert found.open == [] and all(header["title"] for header in found.headers)
        body = found.rows[1:]
        assert len(body) == len(each.frame) and {len(row) for row in body} == {len(each.frame.columns)}
        assert all(row[0]["scope"] == "row" for row in body)
    gains = files["gains"]
    place = list(gains.frame.columns).index("gain [adjusted interval]")
    values = [float(row[place]["data-sort"]) for row in Cells(html(gains)).rows[1:]]
    assert sorted(values) == sorted(WHOLE.frames["gains"].query("fraction == 1")["gain"])


def test_html_does_not_let_names_become_markup():
    evil = changed("data", group="<script>")
    assert "<script>" not in html(table("data", evil)) and "&lt;script&gt;" in html(table("data", evil))


def test_markdown_has_one_line_per_row():
    for each in paper_tables(changed("data", group="a|b")):
        lines = [line for line in markdown(each).splitlines() if line.startswith("|")]
        assert len(lines) == len(each.frame) + 2
        assert {line.replace("\\|", "").count("|") for line in lines} == {len(each.frame.columns) + 1}


def test_latex_escapes_what_latex_reads_as_commands():
    assert escape("a_b & 5% {x} −1 ± <2") == r"a\_\allowbreak{}b \& 5\% \{x\} $-$1 $\pm$ $<$2"


@pytest.mark.parametrize("tasks", [10, 27])
def test_latex_columns_fit_the_page(tasks):
    """The table is as wide as the text. Columns that do not wrap leave the others room for their longest words."""
    line, gap = 124, 1.5  # digits that 6.9 in hold at scriptsize, and the space between columns in digits
    for each in paper_tables(fake_analysis(tasks)):
        (layout,) = set(re.findall(r"\\begin\{tabularx\}\{\\textwidth\}\{@\{\}(.*)@\{\}\}", latex(each)))
        kinds = re.findall(r">\{\\hsize=([\d.]+)\\hsize\\ragged\w+\\arraybackslash\}X|[lr]", layout)
        cells = {title: [title, *each.printed[title]] for title in each.printed}
        assert len(kinds) == len(cells)
        room = line - gap * len(cells)
        room -= sum(max(map(len, cells[title])) for title, share in zip(cells, kinds, strict=True) if not share)
        shares = {title: float(share) for title, share in zip(cells, kinds, strict=True) if share}
        assert sum(shares.values()) == pytest.approx(len(shares), rel=0, abs=0.001)
        for title, share in shares.items():
            words = [word for cell in cells[title] for word in re.split(r"(?<=_)| ", cell)]
            assert max(map(len, words)) <= share * room / len(shares), (each.name, title)


def test_a_long_table_goes_on_in_another_float_without_losing_a_row():
    long = table("gains", fake_analysis(27))
    text = latex(long)
    floats = text.count(r"\begin{table*}")
    assert floats > 1 and text.count("(continued)") == floats - 1 and text.count(r"\label") == 1
    assert sum(line.endswith(r"\\") for line in text.splitlines()) == len(long.frame) + floats


@pytest.mark.slow
@pytest.mark.parametrize("analysis", [fake_analysis(27), holey_analysis()], ids=["27 tasks", "no intervals"])
def test_latex_sets_every_table_without_overfull_lines(analysis, tmp_path):
    if shutil.which("pdflatex") is None or shutil.which("kpsewhich") is None:
        pytest.skip("pdflatex is not installed")
    if not all(
        subprocess.run(["kpsewhich", f"{name}.sty"], capture_output=True).stdout
        for name in ("booktabs", "amssymb", "tabularx")
    ):
        pytest.skip("LaTeX packages booktabs, amssymb and tabularx are not installed")
    names = [path.stem for path in write_tables(analysis, tmp_path) if path.suffix == ".tex"]
    inputs = "\n".join(rf"\input{{{name}}}" for name in names)
    (tmp_path / "paper.tex").write_text(
        r"\documentclass[twocolumn]{article}\usepackage[letterpaper,margin=0.8in]{geometry}"
        rf"\usepackage{{amssymb,booktabs,tabularx}}\extrafloats{{50}}\begin{{document}}{inputs}\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout and "Float too large" not in done.stdout


def test_tables_are_written_in_four_forms_and_nothing_else_is_left(tmp_path):
    written = write_tables(WHOLE, tmp_path)
    assert sorted(written) == sorted(tmp_path.iterdir())
    assert {path.suffix for path in written} == {".csv", ".md", ".tex", ".html"}
    assert len(written) == 4 * len(TABLES)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(AgglabError, match="taken"):
        write_tables(WHOLE, tmp_path / "taken")


def test_a_number_keeps_its_decimals():
    assert [number(-1.25, 1), number(0.0311, signed=True), number(float("inf"))] == ["−1.2", "+0.031", "∞"]
