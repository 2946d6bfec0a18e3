"""Output that goes away: closed from the start, a pipe without a reader, a full disk, a terminal that is gone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runners.execution.stop_signals import stop_signals
from runners.store.run_folder import State
from runners.store.study_folder import StudyFolder
from tests import ROOT, fake_engine
from tests.made_study import make_finished
from tests.runners.execution.test_grid import Witness, grid, undisturbed, wait_for
from tests.runners.execution.test_grid import result as result_of
from tests.tiny import planned
from tests.waiting import PATIENCE

ERROR = "agglab: standard output: cannot be written (No space left on device)\n"


@pytest.fixture(scope="module")
def out(tmp_path_factory, tiny_original) -> Path:
    return make_finished(tmp_path_factory.mktemp("made"), tiny_original)


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirected", "code", "errors"),
    [
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
        ("| true; exit ${PIPESTATUS[0]}", 0, ""),
        ("2>&1 | true; exit ${PIPESTATUS[0]}", 0, ""),
        ("> /dev/full", 1, ERROR),
        ("> /dev/full 2>&1", 1, ""),
    ],
)
def test_a_command_whose_output_is_lost_ends_well(out, redirected, code, errors):
    (out / "scoreboard.csv").unlink(missing_ok=True)
    found = shell(f"{sys.executable} -m runners.cli scores {out} {redirected}")
    assert (found.returncode, found.stderr) == (code, errors)
    assert (out / "scoreboard.csv").is_file()


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {project!r})
if __name__ == "__main__":
    from rich.console import Console
    from tests import fake_engine
    from tests.tiny import planned
    from runners.console.streams import robust_streams
    from runners.execution.pool import run_pool
    from runners.execution.progress import GridDisplay
    runs, out = [planned(name, steps=5) for name in {names!r}], Path({out!r})
    with robust_streams():
        with GridDisplay(runs, Console(), lambda: None) as progress:
            print("begins", flush=True)
            run_pool(runs, fake_engine.config(out), progress, devices=[None])
"""


def script(tmp_path: Path, *names: str) -> tuple[str, Path]:
    file, out = tmp_path / "script.py", tmp_path / "out"
    file.write_text(SCRIPT.format(project=str(ROOT), out=str(out), names=names))
    return f"PYTHONPATH={ROOT} {sys.executable} {file}", out


@pytest.mark.parametrize("redirected", [">&-", ">&- 2>&-", "2>&1 | head -c 1", "> /dev/full 2>&1"])
def test_runs_do_not_fail_when_the_output_of_their_grid_is_lost(tmp_path, redirected):
    command, out = script(tmp_path, "one", "two")
    assert shell(f"{command} {redirected}").returncode == 0
    runs = [planned(name, steps=5) for name in ("one", "two")]
    assert {status.state for status in StudyFolder(out).runs.present(runs).values()} == {State.DONE}
    assert [result_of(out, run) for run in runs] == [{"value": undisturbed(run), "resumes": 0} for run in runs]


def hang_up_counts() -> None:
    """Where `nohup` runs the tests, SIGHUP is ignored by all that they start."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_terminal_that_is_gone_stops_the_grid_in_order(tmp_path):
    command, out = script(tmp_path, "held", "two")
    runs = [planned(name, steps=5) for name in ("held", "two")]
    store = StudyFolder(out).runs
    process = subprocess.Popen(
        ["bash", "-c", f"exec env {command}"], stdout=subprocess.PIPE, start_new_session=True, preexec_fn=hang_up_counts
    )
    wait_for(lambda: fake_engine.is_held(store.folder(runs[0])))
    process.stdout.close()
    os.killpg(process.pid, signal.SIGHUP)  # as a terminal does it: to the grid and its workers
    assert process.wait(timeout=PATIENCE) == 0
    states = store.present(runs)
    assert {status.state for status in states.values()} == {State.PENDING}
    fake_engine.release(out)
    grid(runs, out, Witness())
    assert result_of(out, runs[0]) == {"value": undisturbed(runs[0]), "resumes": 1}
    assert fake_engine.trace(out, "end") == [run.id for run in runs]


def test_a_grid_under_nohup_does_not_hear_that_the_terminal_is_gone():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals() as received:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not received
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
