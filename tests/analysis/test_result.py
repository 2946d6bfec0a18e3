"""What an analysis offers: frames as attributes, tables in every form, figures where a caller wants them."""

import warnings
from collections.abc import Iterator

import matplotlib
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure, SubFigure

import analysis.figures as figures
from aggregation_lab.errors import ResultsError
from analysis.figures import FIGURES, by_name
from analysis.frames import FRAMES
from analysis.named_frames import FrameAttributes
from analysis.tables import TABLES
from tests.fake_analysis import empty_analysis, fake_analysis

WHOLE = fake_analysis()
TASKS = sorted(WHOLE.gains["task"].unique())
ONE_AXES = {
    "arms_heat_map", "gains_heat_map", "guideline_map", "partition_costs", "routing_usage", "routing_similarity",
}  # fmt: skip
NAMES = [figure.name for figure in FIGURES]


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    """Figures of the test are closed, and drawn for no screen."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pyplot.switch_backend("agg")
        yield
        pyplot.close("all")


def row_labels(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


# ---- frames ---------------------------------------------------------------------------------------------------------


def test_every_frame_is_an_attribute_with_a_type_and_is_offered():
    declared = {name for name in FrameAttributes.__annotations__ if name != "frames"}
    assert declared == set(FRAMES)
    for name in FRAMES:
        assert getattr(WHOLE, name) is WHOLE.frames[name]
    assert set(FRAMES) <= set(dir(WHOLE)) and {"table", "figure", "warnings"} <= set(dir(WHOLE))


def test_a_wrong_name_of_a_frame_says_which_is_near():
    with pytest.raises(AttributeError, match=r"no attribute gians; did you mean gains"):
        _ = WHOLE.gians
    assert not hasattr(WHOLE, "_repr_latex_")


def test_an_analysis_says_in_a_few_lines_what_it_found():
    lines = repr(WHOLE).splitlines()
    assert lines[0] == "Analysis of fake: 10 tasks under TS, CG, AU"
    counted = [sum(int(part.split()[0]) for part in line.split(": ")[1].split(", ")) for line in lines[1:4]]
    assert counted == [10, 10, 10] and lines[-1] == "1 warning: see .warnings"
    assert WHOLE._repr_html_().count("<li>") == len(lines) - 1
    assert repr(empty_analysis()).splitlines() == ["Analysis of fake: 0 tasks under TS"]


# ---- tables ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_every_form(name):
    table = WHOLE.table(name)
    assert table.name == name and len(table.frame)
    assert table._repr_html_() == table.to_html() and "<table>" in table.to_html()
    assert r"\toprule" in table.to_latex() and table.to_markdown().startswith(f"**{table.title}**")
    assert table.to_csv().splitlines()[0] == ",".join(table.raw.columns)


def test_a_table_that_is_not_there_is_one_line():
    with pytest.raises(ResultsError, match=r"^no table is called gain; did you mean gains or arm_gains\?$"):
        WHOLE.table("gain")
    with pytest.raises(ResultsError, match="^fake: nothing to put into the table gains$"):
        empty_analysis().table("gains")


# ---- figures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_new_figure_is_one_axes_or_a_figure(name):
    drawn = WHOLE.figure(name)
    assert isinstance(drawn, Axes if name in ONE_AXES else Figure)
    assert len(pyplot.get_fignums()) == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_draws_on_a_given_axes(name):
    figure, (left, right) = pyplot.subplots(1, 2, layout="constrained", figsize=(12, 7))
    before = dict(matplotlib.rcParams)
    drawn = WHOLE.figure(name, ax=left)
    assert drawn is left if name in ONE_AXES else isinstance(drawn, SubFigure)
    assert drawn.get_figure(root=True) is figure and not right.has_data() and pyplot.get_fignums() == [figure.number]
    assert dict(matplotlib.rcParams) == before
    figure.draw_without_rendering()


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_fills_a_given_figure(name):
    figure = Figure(figsize=(7, 6))
    drawn = WHOLE.figure(name, ax=figure)
    assert drawn.get_figure(root=True) is figure and list(figure.get_size_inches()) == [7, 6]
    assert pyplot.get_fignums() == []


def test_one_contrast_and_one_task_are_one_axes():
    gains = WHOLE.gains[WHOLE.gains["contrast"] == "AU-TS"]
    ax = pyplot.figure().subplots()
    assert figures.gains_forest(gains, ax=ax) is ax
    assert ax.get_title() == "AU-TS" and set(TASKS) <= set(row_labels(ax))
    assert {"benefit", "loss within margin"} <= {text.get_text() for text in ax.get_legend().get_texts()}
    assert isinstance(figures.scale_across(gains), Axes)
    assert isinstance(figures.learning_curves(WHOLE.learning_curves, tasks=TASKS[:1]), Axes)


def test_plain_frames_give_the_figure_of_the_analysis():
    by_frames = figures.stability(WHOLE.pooled, WHOLE.stability)
    of_analysis = WHOLE.figure("stability")
    labels = [[ax.get_xlabel() for ax in figure.axes] for figure in (by_frames, of_analysis)]
    assert labels[0] == labels[1] and len(labels[0]) == 4
    lines = [[line.get_color() for ax in figure.axes for line in ax.lines] for figure in (by_frames, of_analysis)]
    assert lines[0] == lines[1]


def test_a_frame_without_its_columns_is_one_line():
    with pytest.raises(ResultsError, match="^gains: the frame lacks .*verdict"):
        figures.gains_forest(WHOLE.gains.drop(columns="verdict"))


def test_figures_with_nothing_to_draw_say_what_is_missing():
    for figure in FIGURES:
        with pytest.raises(ResultsError, match="^nothing to draw: no "):
            empty_analysis().figure(figure.name)


def test_tasks_order_and_labels_are_the_callers():
    chosen = TASKS[2:6]
    order, labels = chosen[::-1], {chosen[0]: "the first", "AU-TS": "all tasks in one"}
    ax = WHOLE.figure("gains_heat_map", tasks=chosen, order=order, labels=labels)
    assert row_labels(ax) == [labels.get(task, task) for task in order]
    assert "all tasks in one" in [label.get_text() for label in ax.get_xticklabels()]
    forest = WHOLE.figure("gains_forest", tasks=chosen, labels=labels)
    assert "the first" in row_labels(forest.axes[0]) and not {chosen[0], *TASKS[:2]} & set(row_labels(forest.axes[0]))
    curves = WHOLE.figure("learning_curves", order=TASKS[::-1])
    assert [ax.get_title() for ax in curves.axes if ax.get_title()] == TASKS[::-1]
    similar = WHOLE.figure("routing_similarity", tasks=chosen, order=order)
    assert row_labels(similar) == order == [label.get_text() for label in similar.get_xticklabels()]


def test_the_order_of_types_and_groups_is_the_callers():
    types = ["regression", "detection"]
    rows = row_labels(WHOLE.figure("type_sensitivity", order=types).axes[0])
    assert [row.split(" (")[0] for row in rows] == [*types, "classification", "segmentation"]
    groups = row_labels(WHOLE.figure("stability", order=["thyroid"]).axes[0])
    assert groups[0] == "thyroid" and len(set(groups)) == len(groups) == 5
    headings = [
        row for row in row_labels(WHOLE.figure("guideline_map", order=types)) if row in WHOLE.data["type"].values
    ]
    assert headings[:2] == types


def test_a_task_stays_under_its_group_in_the_order_of_the_first():
    rows = row_labels(WHOLE.figure("gains_forest", order=["lung_3cls", "breast_lesion"]).axes[0])
    assert rows.index("lung") < rows.index("lung_3cls") < rows.index("breast") < rows.index("breast_lesion")
    assert rows[0] == "lung"


@pytest.mark.parametrize("palette", [{"benefit": "#000001"}, ["#000001"], "viridis"], ids=["mapping", "list", "name"])
def test_colours_are_the_callers(palette):
    verdicts = WHOLE.figure("gains_forest", palette=palette)
    drawn = {to_hex(line.get_markeredgecolor()) for line in verdicts.axes[0].lines if line.get_marker() == "^"}
    assert len(drawn) == 1 and (drawn == {"#000001"}) == (palette != "viridis") and drawn != {"#0072b2"}


def test_aggregations_keep_their_colours_under_labels_and_beside_a_palette():
    curves = WHOLE.figure("learning_curves", labels={"AU": "unified"}, palette={"CG": "red"})
    handles = {handle.get_label(): to_hex(handle.get_color()) for handle in curves.legends[0].legend_handles}
    by_text = dict(zip([text.get_text() for text in curves.legends[0].get_texts()], handles.values(), strict=True))
    assert by_text["unified"] == "#cc79a7" and by_text["CG"] == "#ff0000" and by_text["TS"] == "#333333"
    spread = WHOLE.figure("stability", labels={"AU": "unified"}, palette={"CG": "red"})
    colours = {to_hex(line.get_color()) for line in spread.axes[0].lines}
    assert {"#cc79a7", "#ff0000"} <= colours and "#e69f00" not in colours


WRONG = [
    (
        "gains_forest",
        {"tasks": ["brest_lesion"]},
        "tasks: nothing here is called brest_lesion; did you mean breast_lesion",
    ),
    ("gains_forest", {"order": ["lung_3"]}, "order: nothing here is called lung_3; did you mean lung_3cls"),
    ("gains_forest", {"tasks": "lung_3cls"}, "tasks: give a list of names, not one name"),
    ("gains_forest", {"labels": {"lungs": "L"}}, "labels: nothing here is called lungs; did you mean lung"),
    ("gains_forest", {"labels": dict.fromkeys(TASKS[:2], "x")}, "labels: x would stand for two names"),
    ("gains_forest", {"labels": {TASKS[0]: TASKS[1]}}, f"labels: {TASKS[1]} would stand for two names"),
    ("gains_forest", {"palette": {"harmed": "red"}}, "palette: nothing here is called harmed; did you mean harm"),
    ("gains_forest", {"palette": ["redd"]}, "palette: redd is no colour"),
    ("gains_forest", {"palette": []}, "palette: has no colour"),
    ("gains_heat_map", {"palette": "virdis"}, "palette: matplotlib has no colormap virdis; did you mean viridis"),
    ("gains_heat_map", {"palette": {"harm": "red"}}, "palette: a heat map takes the name of a colormap"),
    ("stability", {"order": ["lungs"]}, "order: nothing here is called lungs; did you mean lung"),
    ("stability", {"tasks": TASKS[:2]}, "stability takes no tasks; it takes order, labels, palette"),
    ("scale_within", {"order": TASKS[:2]}, "scale_within takes no order; it takes tasks, labels, palette"),
    ("gains_map", {}, "no figure is called gains_map; did you mean gains_heat_map"),
]


@pytest.mark.parametrize(
    ("name", "options", "line"), WRONG, ids=[f"{name}-{next(iter(how), '')}" for name, how, _ in WRONG]
)
def test_a_wrong_choice_is_one_line_with_what_is_near(name, options, line):
    with pytest.raises(ResultsError) as caught:
        WHOLE.figure(name, **options)
    assert str(caught.value).startswith(line) and "\n" not in str(caught.value)


def test_an_axes_without_a_place_in_a_grid_takes_one_panel_only():
    figure = pyplot.figure()
    free = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    assert WHOLE.figure("gains_heat_map", ax=free) is free
    with pytest.raises(ResultsError, match="^ax: "):
        WHOLE.figure("stability", ax=figure.add_axes((0.1, 0.1, 0.8, 0.8)))


def test_in_a_notebook_a_figure_is_shown_once(monkeypatch):
    """As the value of its cell; an Axes by pyplot, since a cell shows no Axes."""
    monkeypatch.setattr(matplotlib, "get_backend", lambda: "module://matplotlib_inline.backend_inline")
    assert isinstance(WHOLE.figure("gains_forest"), Figure) and pyplot.get_fignums() == []
    assert isinstance(WHOLE.figure("gains_heat_map"), Axes) and len(pyplot.get_fignums()) == 1


def test_every_public_figure_function_is_in_the_list_and_says_what_it_takes():
    assert {name for name in figures.__all__ if name in NAMES} == set(NAMES)
    for name in NAMES:
        text = by_name(name).function.__doc__ or ""
        for option in ("ax", *by_name(name).options):
            assert f"        {option}: " in text, f"{name} does not say what {option} is"
        assert "Returns the " in text and "Raises `ResultsError`" in text


def test_labels_leave_the_frames_as_they_were():
    before = {name: rows.copy() for name, rows in WHOLE.frames.items()}
    WHOLE.figure("gains_forest", labels={TASKS[0]: "another"})
    for name, rows in before.items():
        pd.testing.assert_frame_equal(WHOLE.frames[name], rows, check_exact=True)
