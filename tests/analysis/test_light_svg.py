"""An SVG that is made lighter: what is drawn stays where it was."""

import re
import xml.etree.ElementTree as ET
from io import StringIO

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.figures.style import RC
from analysis.light_svg import light_svg

SVG = "{http://www.w3.org/2000/svg}"


def written(font: str = "path", dots: int = 50) -> str:
    """A figure with dots, a line, a hatched bar, a picture and letters."""
    with matplotlib.rc_context(RC | {"svg.fonttype": font}):
        figure = Figure(figsize=(4, 3))
        ax = figure.subplots()
        x, y = np.random.default_rng(0).uniform(0, 1, (2, dots))
        ax.scatter(x, y, c="#0072B2", alpha=0.5)
        ax.plot(np.sort(x), y, color="#D55E00")
        ax.bar([0.5], [0.3], 0.1, hatch="//", fill=False)
        ax.imshow(np.eye(3), extent=(0, 0.2, 0, 0.2))
        ax.set(title="a < b & c", xlim=(0, 1), ylim=(0, 1))
        stream = StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def places(data: str) -> np.ndarray:
    """Every place that a path names, absolute; P x 2."""
    found, at, start, letter = list[tuple[float, float]](), np.zeros(2), np.zeros(2), ""
    numbers = {"m": 2, "l": 2, "q": 4, "c": 6}
    parts = re.findall(r"[A-Za-z]|-?(?:\d+\.?\d*|\.\d+)", data)
    while parts:
        if parts[0].isalpha():
            letter = parts.pop(0)
            if letter in "zZ":
                at = start
                continue
        count = numbers[letter.lower()]
        pairs = np.array([float(parts.pop(0)) for _ in range(count)]).reshape(-1, 2)
        pairs = pairs + at if letter.islower() else pairs
        found += [tuple(pair) for pair in pairs]
        at = pairs[-1]
        if letter in "mM":
            start, letter = at, "l" if letter == "m" else "L"
    return np.array(found)


@pytest.mark.parametrize(
    "data", ["M 1.2345 2 \nL 3 4.5678 \nL 3.5 -0.001 \nz\nM 7 8 \nQ 1 2 3 4 \nC 1 1 2 2 0.25 3 \nz\n"]
)
def test_a_path_of_steps_names_the_same_places(data):
    light = light_svg(f'<svg xmlns="http://www.w3.org/2000/svg"><path d="{data}"/></svg>')
    (drawn,) = re.findall(r' d="([^"]*)"', light)
    assert places(drawn) == pytest.approx(places(data), rel=0, abs=0.0051)
    assert len(drawn) < len(data)


def test_marks_lines_and_pictures_stay_where_they_were_with_half_the_bytes():
    whole = written()
    light = light_svg(whole)
    assert len(light) < len(whole) / 2 and light == light_svg(whole)
    dots = whole.partition('id="PathCollection_1"')[2].partition('<g id="')[0]
    before = np.array(re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"', dots), float)
    root = ET.fromstring(light)
    (line,) = [part for part in root.iter(f"{SVG}path") if "marker" in part.get("style", "")]
    assert len(before) == 50 and places(line.get("d", "")) == pytest.approx(before, rel=0, abs=0.0051)
    assert [image.get("href", "")[:22] for image in root.iter(f"{SVG}image")] == ["data:image/png;base64,"]


def test_every_reference_leads_to_a_name_that_stands_once():
    root = ET.fromstring(light_svg(written()))
    names = [part.get("id") for part in root.iter() if part.get("id")]
    asked = {part.get("href", "")[1:] for part in root.iter() if part.get("href", "").startswith("#")}
    asked |= {
        name for part in root.iter() for value in part.attrib.values() for name in re.findall(r"url\(#(\w+)\)", value)
    }
    asked |= set(re.findall(r"url\(#(\w+)\)", "".join(sheet.text or "" for sheet in root.iter(f"{SVG}style"))))
    assert len(names) == len(set(names)) and asked == set(names)


def test_letters_that_are_text_stay():
    root = ET.fromstring(light_svg(written("none")))
    assert "a < b & c" in [text.text for text in root.iter(f"{SVG}text")]
