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
    assert text.count('.jpg" loading="lazy"') == text.count('.jpg"') > 20
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
    files = {match for match in re.findall(r"gallery/(\w{16}\.jpg)", page.read_text(encoding="utf-8"))}
    assert files and pdf.count(b"/DCTDecode") >= len(files)


def test_the_page_and_its_pictures_are_light(page):
    assert page.stat().st_size < MOST_BYTES
    gallery = list((page.parent / "gallery").iterdir())
    pictures = [path for path in gallery if path.suffix == ".jpg"]
    assert pictures and max(path.stat().st_size for path in pictures) < 30_000
