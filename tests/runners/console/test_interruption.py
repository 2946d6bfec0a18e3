"""A command that is asked to end does so as after Ctrl-C, wherever it is: one line, 130, and nothing left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from runners.store.folder_lock import PREPARING
from tests import ROOT
from tests.tiny import write_study
from tests.waiting import PATIENCE

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

HALF_DONE = """
import os, sys, time, types
from pathlib import Path
import aggregation_lab.__main__ as entry
from aggregation_lab.files import atomic_path

def command():
    with atomic_path(Path(sys.argv[1])):
        print("begun", flush=True)
        try:
            time.sleep(900)
        finally:
            for number in map(int, sys.argv[2:]):
                os.kill(os.getpid(), number)

sys.modules["runners.cli"] = types.SimpleNamespace(main=command)
entry.main()
"""


def as_started_by_a_terminal() -> None:
    """Whatever runs the tests may ignore what they send."""
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def under_nohup() -> None:
    as_started_by_a_terminal()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def started(*command: object, before=as_started_by_a_terminal) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Exit code and what stands on standard error."""
    errors = process.communicate(timeout=PATIENCE)[1]
    return process.returncode, errors


def test_a_grid_that_prepares_ends_in_one_line(tmp_path, tiny_original):
    study, out = write_study(tmp_path / "study.yaml"), tmp_path / "out"
    out.mkdir()
    with FileLock(out / PREPARING):
        process = started("-m", "aggregation_lab", "run-grid", study, "--data", tiny_original, "--out", out)
        assert "waiting for it" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert ended(process) == (130, "interrupted\n")


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_half_done_is_taken_away(tmp_path, number):
    process = started("-c", HALF_DONE, tmp_path / "file")
    assert process.stdout.readline() == "begun\n" and len(list(tmp_path.iterdir())) == 1
    process.send_signal(number)
    assert ended(process) == (130, "interrupted\n")
    assert not list(tmp_path.iterdir())


def test_signals_that_come_together_do_not_interrupt_the_tidying_up(tmp_path):
    process = started("-c", HALF_DONE, tmp_path / "file", int(signal.SIGTERM), int(signal.SIGHUP))
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    assert ended(process) == (130, "interrupted\n")
    assert not list(tmp_path.iterdir())


def test_a_command_under_nohup_does_not_hear_that_the_terminal_is_closed():
    listening = "import aggregation_lab.__main__ as entry, signal; entry._interrupted_by_other_signals(); "
    asked = "print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, signal.getsignal(signal.SIGTERM))"
    said = started("-c", listening + asked, before=under_nohup).communicate(timeout=PATIENCE)[0]
    assert said.startswith("True <function")


def test_a_report_is_there_at_every_moment(tmp_path, monkeypatch):
    """Also where Ctrl-C comes between the two renames that exchange it."""
    from analysis.report.folder import whole_folder

    report = tmp_path / "report"
    for _ in range(2):
        with whole_folder(report) as new:
            (new / "index.html").write_text("whole")
    rename = os.rename

    def interrupted(source: Path, target: Path) -> None:
        rename(source, target)
        if Path(source) == report:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), whole_folder(report) as new:
        (new / "index.html").write_text("newer")
    assert (report / "index.html").read_text() == "whole" and list(tmp_path.iterdir()) == [report]
