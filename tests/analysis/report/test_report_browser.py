"""The report in a real browser: headless Chromium, driven over its DevTools pipe, which needs no further package."""

import base64
import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.report import write_report
from analysis.report.page import render
from tests.analysis.report.test_report import emptied, traced, written
from tests.waiting import PATIENCE, wait_for

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]


class Browser:
    """One page of a Chromium that reads commands from file descriptor 3 and answers on 4, each ended by a zero byte."""

    def __init__(self, profile: Path) -> None:
        commands, self._send = os.pipe()
        receive, answers = os.pipe()
        # Out of the way of 3 and 4, which the browser's own are put on.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in (commands, answers)]
        self._process = subprocess.Popen(
            [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=lambda: [os.dup2(end, place) for end, place in zip(ends, (3, 4), strict=True)],
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (commands, answers, *ends):
            os.close(end)
        self._stream = os.fdopen(receive, "rb")
        self._session: str | None = None
        self._number = 0
        self.events: list[dict[str, Any]] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command; events that come before its answer are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        parts = bytearray()
        while (byte := self._stream.read(1)) != b"\0":
            assert byte, "the browser has gone"
            parts += byte
        return json.loads(parts)

    def open(self, page: Path) -> None:
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def run(self, script: str) -> Any:
        """The value of a script, which may be a promise."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        """Return when a condition of the page holds."""
        wait_for(lambda: self.run(condition))

    def key(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, text="\r")

    def resize(self, width: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)

    def close(self) -> None:
        self._session = None
        self.call("Browser.close")
        self._process.wait(timeout=PATIENCE)
        self._stream.close()
        os.close(self._send)


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    return written(tmp_path_factory) / "index.html"


@pytest.fixture(scope="module")
def empty_page(tmp_path_factory) -> Path:
    return write_report(emptied(), tmp_path_factory.mktemp("empty"))


def _column(table: str, column: int, attribute: str = "textContent") -> str:
    return (
        f"Array.from(document.querySelectorAll('#{table} tbody tr:not([hidden])'),"
        f" row => row.cells[{column}].{attribute})"
    )


def _heading(table: str, title: str) -> str:
    return (
        f"Array.from(document.querySelectorAll('#{table} thead button'))"
        f".find(button => button.textContent.startsWith('{title}'))"
    )


def test_opens_from_the_disk_without_an_error_and_without_any_request(browser, page):
    browser.resize(1280)
    browser.open(page)
    browser.run("new Promise(done => setTimeout(done, 500))")
    said = [
        event
        for event in browser.events
        if event["method"] in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
    ]
    assert said == []
    asked = [
        event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"
    ]
    assert asked[0] == page.as_uri()
    beside = (page.parent / "gallery").as_uri()
    assert [url for url in asked[1:] if not url.startswith(("data:", beside))] == []
    browser.until("Array.from(document.images).every(image => image.complete && image.naturalWidth > 0)")
    assert browser.run("document.images.length") > 5


def test_a_click_sorts_by_number_and_a_second_one_turns_it_round(browser, page):
    browser.open(page)
    head = _heading("table-gains", "gain")
    column = browser.run(f"{head}.closest('th').cellIndex")
    values = _column("table-gains", column, "dataset.s")
    before = [float(value) for value in browser.run(values)]
    assert before != sorted(before)
    browser.run(f"{head}.click()")
    assert [float(value) for value in browser.run(values)] == sorted(before)
    assert browser.run(f"{head}.closest('th').getAttribute('aria-sort')") == "ascending"
    browser.run(f"{head}.click()")
    assert [float(value) for value in browser.run(values)] == sorted(before, reverse=True)
    assert browser.run(f"{head}.closest('th').getAttribute('aria-sort')") == "descending"


def test_text_is_sorted_by_the_keyboard_too(browser, page):
    browser.open(page)
    before = browser.run(_column("table-gains", 0))
    browser.run(f"{_heading('table-gains', 'task')}.focus()")
    browser.key("Enter", 13)
    after = browser.run(_column("table-gains", 0))
    assert after == sorted(before) != before


def test_unknown_values_stay_last(browser, page):
    browser.open(page)
    head = _heading("table-power", "seeds to exclude")
    column = browser.run(f"{head}.closest('th').cellIndex")
    row = browser.run("document.querySelector('#table-power tbody tr:nth-child(2) td').textContent")
    browser.run(
        f"document.querySelector('#table-power tbody tr:nth-child(2)').cells[{column}].dataset.s = '7'; {head}.click()"
    )
    assert browser.run(_column("table-power", 0))[0] == row
    browser.run(f"{head}.click()")
    assert browser.run(_column("table-power", 0))[0] == row


def test_the_filter_keeps_rows_that_have_every_word(browser, page):
    browser.open(page)
    box = "document.querySelector('[data-filter=table-gains]')"
    write = "{box}.value = '{words}'; {box}.dispatchEvent(new Event('input'))"
    contrasts = browser.run(_column("table-gains", 1))
    browser.run(write.format(box=box, words="au-ts LUNG"))
    left = browser.run(_column("table-gains", 0))
    assert 0 < len(left) < len(contrasts)
    assert all("lung" in task for task in left) and set(browser.run(_column("table-gains", 1))) == {"AU-TS"}
    assert browser.run(f"{box}.closest('.tablebox').querySelector('.shown').textContent") == (
        f"{len(left)} of {len(contrasts)} rows"
    )
    browser.run(write.format(box=box, words=""))
    assert browser.run(_column("table-gains", 1)) == contrasts


def test_a_gain_leads_to_its_seeds_and_these_to_their_runs(browser, page):
    browser.open(page)
    browser.run("document.querySelector('#answers .verdicts dd a').click()")
    browser.until("location.hash.startsWith('#task-') && document.querySelector(location.hash).open")
    run = browser.run("document.querySelector(location.hash + ' tbody a[href^=\\'#run-\\']').textContent")
    browser.run("document.querySelector(location.hash + ' tbody a[href^=\\'#run-\\']').click()")
    assert browser.run("document.querySelector(':target').cells[0].textContent") == run


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_hangs_over_the_edge(browser, page, empty_page, width):
    browser.resize(width)
    for each in (page, empty_page):
        browser.open(each)
        browser.run("document.querySelectorAll('details').forEach(part => { part.open = true; })")
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        assert browser.run("document.body.getBoundingClientRect().width") <= width
    browser.resize(1280)


TABLES = """
Array.from(document.querySelectorAll('table'), table => {
  const box = table.closest('.scroll'), bar = box.offsetHeight - box.clientHeight;
  return {id: table.id, over: table.getBoundingClientRect().width - box.clientWidth,
          scrolls: getComputedStyle(box).overflowX === 'auto' && bar > 6};
})
"""
"""By how much each table is wider than its box, and whether the box has a bar to scroll with that takes room."""

OPEN = "document.querySelectorAll('details').forEach(part => { part.open = true; })"


@pytest.fixture(scope="module")
def wide_page(tmp_path_factory) -> Path:
    """A report of twelve aggregations, without its figures."""
    analysis = traced(12, ("TS", "CG", "AU", *(f"partition_{number}" for number in range(9))))
    folder = tmp_path_factory.mktemp("wide")
    (folder / "index.html").write_text(render(analysis, {}, []))
    return folder / "index.html"


@pytest.mark.parametrize("width", [1280, 390])
def test_a_table_that_does_not_fit_has_a_bar_to_scroll_with(browser, page, wide_page, width):
    browser.resize(width)
    wider = []
    for path in (page, wide_page):
        browser.open(path)
        browser.run(OPEN)
        tables = browser.run(TABLES)
        wider += [table for table in tables if table["over"] > 1]
        assert len(tables) > 20 and [table for table in wider if not table["scrolls"]] == []
    assert "table-scores" in {table["id"] for table in wider}
    browser.resize(1280)


def test_on_paper_every_table_fits(browser, page, wide_page):
    """A4 across less its margins: nobody can scroll there."""
    browser.resize(1017)
    for path in (page, wide_page):
        browser.open(path)
        browser.run(OPEN)
        browser.call("Emulation.setEmulatedMedia", media="print")
        assert [table for table in browser.run(TABLES) if table["over"] > 1] == []
        browser.call("Emulation.setEmulatedMedia", media="")
    browser.resize(1280)


def test_the_contents_stay_in_sight_on_wide_screens(browser, page):
    browser.resize(1280)
    browser.open(page)
    browser.run("document.documentElement.style.scrollBehavior = 'auto'")
    browser.run("document.querySelector('#trust').scrollIntoView()")
    assert 0 <= browser.run("document.querySelector('nav').getBoundingClientRect().top") < 100


def test_printing_opens_everything_and_hides_the_contents(browser, page, tmp_path):
    browser.resize(1280)
    browser.open(page)
    opened = "document.querySelectorAll('details[open]').length"
    browser.run(f"window.addEventListener('beforeprint', () => {{ window.opened = {opened}; }})")
    pdf = base64.b64decode(browser.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert pdf.startswith(b"%PDF-") and 10 < pages < 200
    assert browser.run("window.opened === document.querySelectorAll('details').length")
    browser.until(f"{opened} === 0")
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.run("getComputedStyle(document.querySelector('.scroll.tall')).maxHeight") == "none"
    browser.call("Emulation.setEmulatedMedia", media="")
    if shutil.which("pdftotext"):
        (tmp_path / "report.pdf").write_bytes(pdf)
        text = subprocess.run(["pdftotext", "report.pdf", "-"], cwd=tmp_path, capture_output=True, check=True).stdout
        for words in (b"clinic_a", b"What sharing a model does", b"vit_small_patch16_dinov3", b"joint run"):
            assert words in text


def test_copying_the_methods_says_so(browser, page):
    browser.open(page)
    # It says so for a moment only, which a busy machine could miss: every text of the button is kept.
    browser.run(
        "window.button = document.querySelector('[data-copy=methods-text]'); window.said = [];"
        "new MutationObserver(() => window.said.push(window.button.textContent))"
        ".observe(window.button, {childList: true, characterData: true, subtree: true});"
        "window.button.click()"
    )
    browser.until("window.said.includes('Copied')")
