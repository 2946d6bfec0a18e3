"""Outlines of masks: where they lie, what they enclose, and what simplification leaves of them."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation_lab.tasks.marks import Rectangle, Region, Shares, Spot, covered
from analysis.gallery.outlines import outlines, simplified
from analysis.gallery.overlay import UNITS, overlay


def area(line: np.ndarray) -> float:
    x, y = line.T
    return abs(float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())) / 2


def disc(height: int, width: int, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return (columns - width / 2 + 0.5) ** 2 + (rows - height / 2 + 0.5) ** 2 <= radius**2


def test_the_outline_of_a_rectangle_lies_on_its_pixels_edges():
    mask = np.zeros((20, 30), bool)
    mask[4:10, 7:19] = True
    (line,) = outlines(mask, 0.0)
    assert line.min(0).tolist() == [7, 4] and line.max(0).tolist() == [19, 10]
    assert np.array_equal(line[0], line[-1])


def test_a_mask_at_the_border_and_an_empty_one():
    (line,) = outlines(np.ones((4, 6), bool), 0.0)
    assert line.min(0).tolist() == [0, 0] and line.max(0).tolist() == [6, 4]
    assert outlines(np.zeros((4, 6), bool), 0.0) == []


def test_a_ring_has_two_outlines():
    assert len(outlines(disc(60, 80, 20) & ~disc(60, 80, 8), 0.3)) == 2


@pytest.mark.parametrize("tolerance", [1.0, 2.0])
def test_a_disc_keeps_its_area_with_far_fewer_points(tolerance):
    mask = disc(200, 260, 70)
    (fine,), (coarse,) = outlines(mask, 0.0), outlines(mask, tolerance)
    assert area(coarse) == pytest.approx(float(mask.sum()), rel=0.03, abs=0)
    assert len(coarse) < len(fine) / 3


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=40), st.floats(0.1, 5))
def test_no_point_is_left_further_than_the_tolerance(points, tolerance):
    line = np.array(points, float)
    kept = simplified(line, tolerance)
    assert np.array_equal(kept[0], line[0]) and np.array_equal(kept[-1], line[-1])
    for point in line:
        assert min(to_segment(point, *pair) for pair in zip(kept[:-1], kept[1:], strict=True)) <= tolerance + 1e-6


def to_segment(point: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """Distance from the line through both, as far as the point's own place along it is not asked for."""
    along = other - one
    length = float(np.hypot(*along))
    if not length:
        return float(np.hypot(*(point - one)))
    return abs(float(along[0] * (point - one)[1] - along[1] * (point - one)[0])) / length


def test_an_overlay_has_the_target_beneath_and_the_prediction_over_it_to_scale():
    mask = np.zeros((100, 200), bool)
    mask[10:30, 20:60] = True
    drawn = overlay([Rectangle(0, 0, 200, 100)], [Region(1, mask)], 200, 100, "a <b>")
    assert f'viewBox="0 0 {UNITS} {UNITS // 2}"' in drawn and "a &lt;b&gt;" in drawn
    assert drawn.index('class="truth"') < drawn.index('class="said"')
    start = re.search(r'd="M(\d+) (\d+)l', drawn)
    scale = UNITS / 200
    assert start and 20 * scale - 2 <= int(start[1]) <= 60 * scale + 2 and 10 * scale - 2 <= int(start[2])
    assert f'width="{UNITS}.0" height="{UNITS // 2}.0"' in drawn


def test_points_are_numbered_from_one_and_numbers_stand_once():
    target, said = [Spot(0, 10, 10), Spot(1, 90, 40)], [Spot(0, 12, 11), Spot(1, 80, 42)]
    alone = overlay(None, target, 100, 50, "")
    assert re.findall(r">(\d)</text>", alone) == ["1", "2"]
    assert re.findall(r">(\d)</text>", overlay(said, target, 100, 50, "")) == ["1", "2"]


def test_numbers_stay_within_the_picture():
    """Points and structures at every edge of it."""
    places = [(1, 1), (99, 1), (1, 49), (99, 49), (50, 25)]
    numbers = overlay(None, [Spot(index, *place) for index, place in enumerate(places)], 100, 50, "")
    edges = [np.zeros((50, 100), bool) for _ in range(2)]
    edges[0][:9, -3:] = edges[1][-3:, :4] = True
    numbers += overlay(None, [Region(index, mask) for index, mask in enumerate(edges, 1)], 100, 50, "")
    found = re.findall(r'<text x="(-?\d+)" y="(-?\d+)" ([^>]*)>(\d)</text>', numbers)
    assert len(found) == 7
    for x, y, anchor, _ in found:
        left = int(x) - (12 if anchor else 0)
        assert 0 <= left <= UNITS - 24 and 26 <= int(y) <= UNITS / 2


def test_outlines_of_a_target_stand_once_under_its_name():
    mask = disc(50, 100, 20)
    alone, under = (overlay(marks, [Region(1, mask)], 100, 50, "", "name") for marks in (None, [Region(1, mask)]))
    assert re.findall(r'<path id="([^"]+)"', alone) == re.findall(r'<use href="#([^"]+)"', under) == ["name-1"]
    assert under.count("<path") == 1 and overlay([], [Region(1, mask)], 100, 50, "").count("<path") == 1


def test_probabilities_are_bars_and_the_true_class_is_outlined():
    drawn = overlay([Shares((0.25, 0.75))], [Shares((1.0, 0.0))], 100, 100, "")
    lengths = [float(each) for each in re.findall(r'class="share"[^>]* width="([\d.]+)"', drawn)]
    assert lengths[1] == pytest.approx(3 * lengths[0], rel=0.01, abs=0)
    assert drawn.count('<g class="truth">') == 1 and drawn.index('<g class="truth">') < drawn.index('class="share"')
    assert ">0.25<" in drawn and ">0.75<" in drawn


def test_an_empty_prediction_draws_nothing_but_is_one():
    drawn = overlay([], [Region(1, disc(20, 20, 5))], 20, 20, "")
    assert 'class="truth"' in drawn and "said" not in drawn


def test_what_marks_cover():
    half = np.zeros((10, 20), bool)
    half[:5] = True
    assert covered([Region(1, half), Region(2, half)], 10, 20) == 0.5
    assert covered([Rectangle(0, 0, 10, 5)], 10, 20) == 0.25
    assert np.isnan(covered([Spot(0, 1, 1)], 10, 20)) and np.isnan(covered([], 10, 20))
