"""Figures: drawn for small and large studies, left out where there is nothing to show, the same bytes every time."""

from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from analysis.figures import FIGURES, by_name, save, write_figures
from analysis.figures.axes import interval_axis, stacked
from analysis.figures.marks import improving_marker
from analysis.figures.style import AGGREGATION_COLOURS, COLUMN, SMALL, TYPE_LOOKS, VERDICT_LOOKS, WIDE
from analysis.result import Analysis
from tests.fake_analysis import empty_analysis, fake_analysis, holey_analysis

WHOLE = fake_analysis()


gains_forest, gains_heat_map = by_name("gains_forest").draw, by_name("gains_heat_map").draw
scale_across, scale_within = by_name("scale_across").draw, by_name("scale_within").draw


def texts(figure) -> list:
    found = [text for text in figure.findobj(lambda artist: hasattr(artist, "get_fontsize")) if text.get_text()]
    return [text for text in found if text.get_visible()]


@pytest.mark.parametrize("tasks", [10, 27])
@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_a_figure_fits_its_column_and_stays_readable(figure, tasks):
    drawn, data = figure.draw(fake_analysis(tasks))
    assert drawn.get_figwidth() in (COLUMN, WIDE) and drawn.get_figheight() < 9.5
    assert len(data)
    assert min(text.get_fontsize() for text in texts(drawn)) >= SMALL
    drawn.draw_without_rendering()
    taken = drawn.get_tightbbox()
    assert min(taken.x0, taken.y0) >= -0.005, "something is cut off at the left or the bottom"
    assert taken.x1 <= drawn.get_figwidth() + 0.005 and taken.y1 <= drawn.get_figheight() + 0.005


@pytest.mark.parametrize("vertical", [False, True])
def test_gains_that_are_all_exactly_zero_have_an_axis(vertical):
    ax, zeros = Figure().subplots(), pd.Series([0.0, 0.0])
    interval_axis([ax], zeros, zeros, zeros, vertical=vertical)
    first, last = ax.get_ylim() if vertical else ax.get_xlim()
    assert first < 0 < last


@pytest.mark.slow
def test_figures_of_a_study_with_one_fraction_and_a_partition_of_ones_own(tmp_path):
    written = write_figures(fake_analysis(6, fractions=(1.0,), aggregations=("TS", "CG", "AU", "mine")), tmp_path)
    assert set(written.left_out) == {"scale_within"}
    assert {path.suffix for path in tmp_path.iterdir()} == {".pdf", ".svg", ".png", ".csv"}
    assert sorted(tmp_path.iterdir()) == sorted(path for files in written.files.values() for path in files)


def test_without_frames_every_figure_is_left_out_with_a_reason(tmp_path):
    written = write_figures(empty_analysis(), tmp_path)
    assert written.files == {} and not list(tmp_path.iterdir())
    assert set(written.left_out) == {figure.name for figure in FIGURES} and all(written.left_out.values())


@pytest.mark.slow
def test_without_intervals_points_are_still_drawn():
    holey = holey_analysis()
    for figure in FIGURES:
        drawn, data = figure.draw(holey)
        drawn.draw_without_rendering()
        assert len(data)


@pytest.mark.slow
def test_the_same_frames_give_the_same_bytes(tmp_path):
    for folder in ("first", "second"):
        save(*scale_across(WHOLE), "figure", tmp_path / folder)
    for ending in ("pdf", "svg", "png", "csv"):
        first, second = ((tmp_path / folder / f"figure.{ending}").read_bytes() for folder in ("first", "second"))
        assert first == second, ending


def test_files_have_print_resolution_embedded_fonts_and_no_date(tmp_path):
    save(*gains_heat_map(WHOLE), "figure", tmp_path)
    with Image.open(tmp_path / "figure.png") as image:
        assert image.width == round(COLUMN * 300)
    pdf = (tmp_path / "figure.pdf").read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf and b"CreationDate" not in pdf
    svg = (tmp_path / "figure.svg").read_text()
    assert "<text" not in svg and "dc:date" not in svg


def test_every_task_has_its_row_and_every_rising_base_its_arrow():
    figure, data = gains_forest(WHOLE)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    tasks = WHOLE.frames["gains"]["task"].unique()
    assert set(tasks) <= set(labels) and {"all tasks", "median, as a sample"} <= set(labels)
    arrows = sum(text.get_text() == "↗" for text in texts(figure))
    rising = data[data["base_improving"].astype(int) > 0]
    in_two_rows = rising["level"] == "overall"  # these tasks, and tasks of this kind
    assert arrows == len(rising) + in_two_rows.sum() > 0


def test_the_forest_marks_the_loss_that_is_not_ruled_out():
    figure, data = gains_forest(WHOLE)
    strokes = sorted(line.get_xdata()[0] for ax in figure.axes for line in ax.lines if line.get_marker() == "|")
    supported = data.loc[data["part"] == "task", "supported_margin"]
    np.testing.assert_allclose(strokes, sorted(-supported[supported > 0]), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("names", [("TS", "AU"), ("TS", "CG", "AU"), ("TS", "CG", "AU", "mine")])
def test_panels_of_the_forest_stand_evenly_however_many_there_are(names):
    figure, _ = gains_forest(fake_analysis(6, aggregations=names))
    figure.draw_without_rendering()
    panels = [ax.get_position() for ax in figure.axes]
    gaps = [right.x0 - left.x1 for left, right in pairwise(panels)]
    assert all(gap < 0.12 for gap in gaps) and np.ptp([panel.width for panel in panels]) < 0.01


@pytest.mark.parametrize(
    ("name", "frame", "row"),
    [
        ("type_sensitivity", "sensitivity", ["contrast", "type"]),
        ("stability", "pooled", ["contrast", "name"]),
        ("guideline_map", "guidelines", ["type", "group"]),
    ],
)
def test_rows_of_means_have_an_arrow_where_a_base_was_still_improving(name, frame, row):
    figure, _ = by_name(name).draw(WHOLE)
    arrows = sum(text.get_text() == "↗" for text in texts(figure))
    rows = WHOLE.frames[frame]
    rows = rows[rows["contrast"].str.endswith("-TS")] if "contrast" in rows else rows
    rows = rows[rows["level"] == "group"] if frame == "pooled" else rows
    rows = rows[rows["fraction"] == 1.0] if frame == "sensitivity" else rows
    assert arrows == len(rows.loc[rows["base_improving"] > 0, row].drop_duplicates()) > 0


def test_one_wide_interval_does_not_squeeze_the_others():
    """A task with eight test cases: its interval runs off the axis, the others stay readable."""
    gains = WHOLE.frames["gains"]
    wide = gains["task"] == gains["task"].iloc[3]
    moved = gains.assign(
        low_adjusted=gains["low_adjusted"].mask(wide, -0.9), high_adjusted=gains["high_adjusted"].mask(wide, 0.9)
    )
    figure, _ = gains_forest(Analysis(WHOLE.study, WHOLE.settings, {**WHOLE.frames, "gains": moved}))
    left, right = figure.axes[0].get_xlim()
    assert -0.3 < left < right < 0.3
    row = [label.get_text() for label in figure.axes[0].get_yticklabels()].index(gains["task"].iloc[3])
    heads = [
        [line.get_marker() for line in ax.lines if line.get_marker() in ("<", ">") and list(line.get_ydata()) == [row]]
        for ax in figure.axes
    ]
    assert heads == [["<", ">"], ["<", ">"]]


def heads(ax) -> set:
    """Arrow heads at the edges of an axis: marker and place."""
    return {(mark.get_marker(), mark.get_ydata()[0]) for mark in ax.lines if mark.get_marker() in ("v", "^")}


def with_band(name: str, reach: float) -> Analysis:
    return Analysis(
        WHOLE.study, WHOLE.settings, {**WHOLE.frames, name: WHOLE.frames[name].assign(low=-reach, high=reach)}
    )


def test_the_band_of_a_trend_over_arms_is_inside_its_axis():
    for ax in by_name("capacity_trend").draw(with_band("capacity_line", 0.06))[0].axes:
        low, high = ax.get_ylim()
        assert low < -0.06 and high > 0.06 and not heads(ax)


def test_a_band_that_leaves_the_axis_has_arrow_heads():
    for ax in scale_across(with_band("across_line", 9.0))[0].axes:
        low, high = ax.get_ylim()
        assert low > -9 and high < 9 and {("v", low), ("^", high)} <= heads(ax)


def test_a_type_or_group_that_only_joint_models_have_so_far_is_no_row():
    """An unfinished grid: AU and CG of detection in the abdomen are there, TS is not."""

    def without_ts(rows, column, value):
        return rows[(rows[column] != value) | (rows["contrast"] == "AU-CG")]

    frames = dict(WHOLE.frames)
    frames["sensitivity"] = without_ts(frames["sensitivity"], "type", "detection")
    frames["sensitivity"].loc[frames["sensitivity"]["contrast"] == "CG-TS", "tasks"] = 1
    frames["pooled"] = without_ts(frames["pooled"], "name", "lung")
    unfinished = Analysis(WHOLE.study, WHOLE.settings, frames)
    types, _ = by_name("type_sensitivity").draw(unfinished)
    labels = [label.get_text() for label in types.axes[0].get_yticklabels()]
    assert len(labels) == 3 and all(label.split(" (")[1].startswith("1, ") for label in labels)
    groups, _ = by_name("stability").draw(unfinished)
    assert "lung" not in [label.get_text() for label in groups.axes[0].get_yticklabels()]


def test_no_arrow_is_cut_at_the_edge_of_a_scale_figure():
    figure, data = scale_within(WHOLE)
    arrows = [line for ax in figure.axes for line in ax.lines if line.get_marker() is improving_marker()]
    rising = data.loc[data["part"] == "task", "base_improving"].astype(bool)
    assert sum(len(line.get_xdata()) for line in arrows) == rising.sum() > 0
    assert not any(line.get_clip_on() for line in arrows)


def test_heat_map_cells_say_gain_and_verdict():
    figure, data = gains_heat_map(WHOLE)
    cells = [text.get_text() for text in figure.axes[0].texts]
    assert len(cells) == len(data)
    harmed = data[data["verdict"] == "harm"]
    assert sum("▼" in cell for cell in cells) == len(harmed) > 0
    assert sum("↗" in cell for cell in cells) == data["base_improving"].sum()


def long_names(length: int = 36) -> Analysis:
    """The made-up analysis with names of tasks and groups that are as long as labels may be."""
    frames = dict(WHOLE.frames)
    for column in ("task", "other", "group"):
        for name, rows in frames.items():
            if column in rows:
                frames[name] = rows.assign(**{column: rows[column].str.ljust(length, "e")})
    return Analysis(WHOLE.study, WHOLE.settings, frames)


@pytest.mark.parametrize("name", ["gains_heat_map", "arms_heat_map", "guideline_map"])
def test_texts_inside_a_figure_do_not_meet_whatever_names_stand_beside_it(name):
    figure = by_name(name).draw(long_names())[0]
    figure.draw_without_rendering()
    rows: dict[int, list] = {}
    for text in figure.axes[0].texts:
        extent = text.get_window_extent()
        rows.setdefault(round(extent.y0), []).append((extent.x0, extent.x1))
    apart = [right[0] - left[1] for row in rows.values() for left, right in pairwise(sorted(row))]
    assert len(apart) and min(apart) > 0


def test_a_map_of_more_arms_than_fit_says_how_many_it_shows():
    gains = WHOLE.frames["arm_gains"]
    many = pd.concat([gains.assign(arm=gains["arm"] + str(place)) for place in range(5)])
    analysis = long_names()
    analysis.frames["arm_gains"] = many.assign(task=many["task"].str.ljust(36, "e"))
    figure = by_name("arms_heat_map").draw(analysis)[0]
    assert figure.get_suptitle() == "12 of 30 columns"


def test_an_axis_ends_where_no_gain_can_be():
    ax = Figure().subplots()
    interval_axis([ax], pd.Series([0.0, -0.2]), pd.Series([-3.0, -4.0]), pd.Series([3.0, 4.0]), most=1.0)
    first, last = ax.get_xlim()
    assert -1.2 < first <= -1.0 and 1.0 <= last < 1.2


def test_a_short_interval_is_drawn_on_its_mark():
    gains = WHOLE.frames["gains"]
    short = gains.assign(low_adjusted=gains["gain"] - 1e-4, high_adjusted=gains["gain"] + 1e-4, verdict="benefit")
    analysis = fake_analysis()
    analysis.frames["gains"] = short.assign(supported_margin=0.0)
    figure, data = gains_forest(analysis)
    above = [line for ax in figure.axes for line in ax.lines if line.get_zorder() == 4 and line.get_color() == "white"]
    assert len(above) >= (data["part"] == "task").sum() > 0


def test_curves_of_one_model_in_two_aggregations_can_both_be_seen():
    curves = WHOLE.frames["learning_curves"]
    analysis, (name, other) = fake_analysis(), list(dict.fromkeys(curves["aggregation"]))[:2]
    own = curves[curves["aggregation"] == name]
    analysis.frames["learning_curves"] = pd.concat([own, own.assign(aggregation=other)])
    figure, _ = by_name("learning_curves").draw(analysis)
    styles = [line.get_linestyle() for ax in figure.axes for line in ax.lines]
    assert styles.count("--") == styles.count("-") > 0


def test_panels_of_the_forest_have_room_for_their_ticks():
    assert gains_forest(WHOLE)[0].get_figwidth() == COLUMN
    figure = gains_forest(long_names())[0]
    figure.draw_without_rendering()
    assert min(ax.get_window_extent().width for ax in figure.axes) / figure.dpi > 0.85


def test_names_beside_an_affinity_map_do_not_meet():
    figure = by_name("affinity_map").draw(long_names())[0]
    figure.draw_without_rendering()
    extents = sorted(label.get_window_extent().extents[[1, 3]].tolist() for label in figure.axes[0].get_yticklabels())
    assert all(upper[0] > lower[1] - 1 for lower, upper in pairwise(extents))


def test_gains_in_pixels_share_no_axis_with_unit_free_ones():
    gains = WHOLE.frames["gains"]
    in_pixels = gains.assign(gain_unit=gains["gain_unit"].mask(gains["metric"] == "MRE", "px"))
    absolute, relative = (
        gains_heat_map(Analysis(WHOLE.study, WHOLE.settings, {**WHOLE.frames, "gains": each}))[1]
        for each in (in_pixels, gains)
    )
    assert "MRE" not in set(absolute["metric"]) and "MRE" in set(relative["metric"])


def test_scale_figures_say_which_is_observation_and_which_intervention():
    for draw, word in ((scale_across, "observation"), (scale_within, "intervention")):
        figure, data = draw(WHOLE)
        assert word in figure.axes[-1].get_xlabel() and set(data["part"]) == {"task", "line"}
        ticks = [tick.get_text() for tick in figure.axes[-1].get_xticklabels()]
        assert len(ticks) >= 2 and not any("$" in tick for tick in ticks)
        shown = [axes.get_title("right") for axes in figure.axes]
        assert "n* = 1200 [500, 2600], stops paying" in shown and "crossover: undetermined" in shown


def test_nothing_stands_above_a_guideline_map_that_shows_all_groups():
    figure, _ = by_name("guideline_map").draw(WHOLE)
    assert figure.get_suptitle() == ""


def test_undecided_advice_is_hatched_and_never_looks_like_an_aggregation():
    figure, data = by_name("guideline_map").draw(WHOLE)
    bars = [bar for container in figure.axes[0].containers for bar in container]
    assert len(bars) == len(data)
    hatched = [bar for bar in bars if bar.get_hatch()]
    assert len(hatched) == (data["advice"] == "undecided").sum() > 0
    assert not {bar.get_facecolor()[:3] for bar in hatched} & {to_rgb(each) for each in AGGREGATION_COLOURS.values()}


_DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
"""What a deuteranope sees of linear RGB: Machado, Oliveira and Fernandes (2009), severity 1."""

_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour: str, sight: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a colour as seen through `sight`."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = _XYZ @ np.clip(sight @ linear, 0, 1) / [0.9505, 1.0, 1.089]
    root = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@pytest.mark.parametrize("sight", [np.eye(3), _DEUTERANOPIA], ids=["usual", "deuteranope"])
def test_colours_of_one_kind_can_be_told_apart(sight):
    """A distance of 2.3 is just noticeable side by side (Mahy et al. 1994); 14 is several times that."""
    for colours in (
        [colour for colour, _ in VERDICT_LOOKS.values()],
        list(AGGREGATION_COLOURS.values()),
        [colour for colour, _ in TYPE_LOOKS.values()],
    ):
        seen = [lab(colour, sight) for colour in colours]
        assert min(float(np.linalg.norm(one - other)) for one, other in combinations(seen, 2)) > 14
    for looks in (VERDICT_LOOKS, TYPE_LOOKS):
        assert len({marker for _, marker in looks.values()}) == len(looks)


def test_long_contrasts_are_broken_between_their_two_models():
    assert stacked("(AU>TS)-(TS>TS)", 5) == "(AU>TS)-\n(TS>TS)"
    assert stacked("(AU>TS)-(TS>TS)", 2) == "(AU>TS)-(TS>TS)"
    assert stacked("AU-TS", 5) == "AU-TS"
