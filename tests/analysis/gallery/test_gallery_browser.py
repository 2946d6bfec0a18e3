"""The gallery of a report in a real browser: opened from the disk, at two widths and on paper."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.report import write_report
from analysis.result import Analysis
from tests.analysis.report.test_report_browser import CHROMIUM, Browser

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]

MOST_BYTES = 6_000_000


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(analysed: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    said: list[str] = []
    page = write_report(analysed, tmp_path_factory.mktemp("report"), say=said.append)
    assert said == []
    return page


LOADED = "Array.from(document.querySelectorAll('.shot img')).filter(image => image.complete && image.naturalWidth > 0)"


def test_pictures_come_from_the_disk_after_the_page_without_an_error(browser, page):
    text = page.read_text(encoding="utf-8")
    assert text.count('.webp" loading="lazy"') == text.count('.webp"') > 20
    browser.resize(1280)
    browser.open(page)
    pictures = browser.run("document.querySelectorAll('.shot img').length")
    browser.until(f"{LOADED}.length === {pictures}")
    said = [
        event
        for event in browser.events
        if event["method"] in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
    ]
    asked = [
        event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"
    ]
    beside = page.parent.as_uri()
    assert said == [] and [url for url in asked if not url.startswith(("data:", beside))] == []


@pytest.mark.parametrize(("width", "fewest"), [(1280, 5), (390, 2)])
def test_panels_stand_side_by_side_and_can_be_told_apart(browser, page, width, fewest):
    browser.resize(width)
    browser.open(page)
    tops = browser.run(
        "Array.from(document.querySelector('.shots').children, shot => Math.round(shot.getBoundingClientRect().top))"
    )
    assert tops.count(tops[0]) == fewest
    wide = browser.run("document.querySelector('.shot .pic').getBoundingClientRect().width")
    assert wide >= 120 and browser.run("document.documentElement.scrollWidth <= innerWidth")
    looks = {
        which: browser.run(
            f"(() => {{ const part = document.querySelector('.pic .{which} path, .pic .{which} rect');"
            "const look = getComputedStyle(part); return [look.stroke, look.strokeDasharray]; })()"
        )
        for which in ("truth", "said")
    }
    assert looks["truth"][0] != looks["said"][0] and looks["truth"][1] != "none" and looks["said"][1] == "none"
    browser.resize(1280)


def test_a_picture_and_its_overlay_have_the_aspect_ratio_of_the_image(browser, page):
    browser.open(page)
    browser.until(f"{LOADED}.length > 20")
    ratios = browser.run(
        f"{LOADED}.map(image => {{ const box = image.getBoundingClientRect();"
        "return [box.width / box.height, image.naturalWidth / image.naturalHeight]; })"
    )
    assert all(shown == pytest.approx(own, rel=0.03, abs=0) for shown, own in ratios)


def test_the_pictures_are_printed(browser, page):
    browser.open(page)
    browser.until(f"{LOADED}.length === document.querySelectorAll('.shot img').length")
    pdf = base64.b64decode(browser.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    files = {match for match in re.findall(r"gallery/(\w{16}\.webp)", page.read_text(encoding="utf-8"))}
    assert files and len(re.findall(rb"/Subtype\s*/Image", pdf)) >= len(files)


SAME = """
(async (sources) => {
  const drawn = await Promise.all(sources.map(async source => {
    const image = new Image(); image.src = source; await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = 1200; canvas.height = Math.round(1200 * image.naturalHeight / image.naturalWidth);
    const context = canvas.getContext('2d'); context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return context.getImageData(0, 0, canvas.width, canvas.height).data;
  }));
  const ink = data => data.reduce((sum, value, at) => sum + (at % 4 < 3 ? 255 - value : 0), 0);
  let unlike = 0;
  for (let at = 0; at < drawn[0].length; at++) unlike += Math.abs(drawn[0][at] - drawn[1][at]);
  return [unlike, ink(drawn[0])];
})
"""
"""By how much two pictures differ in all, and how much is drawn in the first."""


def test_figures_that_were_made_lighter_look_as_before(browser, page):
    browser.open(page)
    names = browser.run("Array.from(document.querySelectorAll('figure[id^=figure-]'), part => part.id.slice(7))")
    assert len(names) > 5
    for name in names:
        whole = base64.b64encode((page.parent / "figures" / f"{name}.svg").read_bytes()).decode()
        shown = f"document.querySelector('#figure-{name} img').src"
        unlike, ink = browser.run(f"{SAME}(['data:image/svg+xml;base64,{whole}', {shown}])")
        assert unlike < 0.05 * ink, name  # edges of letters; a figure moved by one point has 0.13


def test_a_target_is_drawn_under_every_prediction(browser, page):
    """Its outlines stand once, and the other panels refer to them."""
    browser.open(page)
    sizes = browser.run(
        "Array.from(document.querySelectorAll('.pic .truth use'), part => [part.getBoundingClientRect().width,"
        "document.querySelector(part.getAttribute('href')).getBoundingClientRect().width,"
        "getComputedStyle(part).strokeDasharray])"
    )
    assert len(sizes) > 5
    for own, meant, dashes in sizes:
        assert own == pytest.approx(meant, rel=0.05, abs=2) and own > 10 and dashes != "none"


HEADS = """
Array.from(document.querySelectorAll('thead th button'), button => {
  const range = document.createRange(), text = button.firstChild, lines = [];
  for (const word of text.data.matchAll(/\\S+/g)) {
    range.setStart(text, word.index); range.setEnd(text, word.index + word[0].length);
    if (range.getClientRects().length > 1) lines.push(word[0]);
  }
  return lines;
}).flat()
"""
"""Words in heads of tables that are broken."""


def test_on_paper_heads_of_tables_are_whole_words(browser, page):
    browser.resize(1017)
    browser.open(page)
    browser.run("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.run(HEADS) == []
    browser.call("Emulation.setEmulatedMedia", media="")
    browser.resize(1280)


def test_the_page_and_its_pictures_are_light(page):
    assert page.stat().st_size < MOST_BYTES
    gallery = list((page.parent / "gallery").iterdir())
    pictures = [path for path in gallery if path.suffix == ".webp"]
    assert pictures and max(path.stat().st_size for path in pictures) < 30_000
