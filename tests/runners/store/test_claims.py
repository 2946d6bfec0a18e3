"""Claims: one holder at a time, whoever contends, and a dead one hinders nobody."""

import errno
import json
import os
import socket
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from aggregation_lab.errors import AgglabError
from runners.store import claims
from runners.store.claims import HEARTBEAT_LOST, Claim, check_claims, latest, living, take
from runners.store.process_identity import boot, machine
from runners.store.run_files import RunProgress
from tests.waiting import wait_for


def state(folder: Path):
    """Content of the highest claim if its holder lives."""
    return living(folder, latest(os.listdir(folder)))


def progress(step):
    return RunProgress(step=step, steps=9, loss=0.5, score=0.5, phase="training")


def claim_of(process, host=None, birth="1", namespace=None, **more):
    return json.dumps(
        {
            "host": host or socket.gethostname(),
            "namespace": machine()[1] if namespace is None else namespace,
            "process": process,
            "birth": birth,
            **more,
        }
    )


def test_one_holder_at_a_time(tmp_path):
    claim = take(tmp_path)
    assert claim is not None and take(tmp_path) is None
    with claim:
        assert state(tmp_path).process == os.getpid()
        assert take(tmp_path) is None
    assert state(tmp_path) is None
    second = take(tmp_path)
    assert second.number == 2
    assert os.listdir(tmp_path) == ["claim-2.json"]


def test_a_claim_of_a_dead_process_counts_for_nothing(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    (tmp_path / "claim-1.json").write_text(claim_of(process.pid))
    assert state(tmp_path) is None
    assert take(tmp_path).number == 2


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="only Linux tells when a process was born")
def test_a_claim_of_a_process_number_used_again_counts_for_nothing(tmp_path):
    (tmp_path / "claim-1.json").write_text(claim_of(os.getpid(), birth="1"))
    assert state(tmp_path) is None


@pytest.mark.parametrize(
    "other", [{"host": "elsewhere"}, {"namespace": "pid:[1]"}, {"boot": "of a machine with our name"}]
)
def test_a_claim_of_another_machine_or_container_lives_by_its_heartbeat(tmp_path, other):
    claim = tmp_path / "claim-1.json"
    claim.write_text(claim_of(1, **other))
    assert state(tmp_path) is not None and take(tmp_path) is None
    silent = time.time() - HEARTBEAT_LOST - 5
    os.utime(claim, (silent, silent))
    assert state(tmp_path) is None


def test_a_claim_says_which_start_of_the_machine_it_is_of(tmp_path, monkeypatch):
    with take(tmp_path):
        assert json.loads((tmp_path / "claim-1.json").read_text())["boot"] == boot() != ""
        monkeypatch.setattr(claims, "boot", lambda: "")  # a system that does not say
        assert state(tmp_path).process == os.getpid()


def test_the_clock_of_this_machine_does_not_matter(tmp_path, monkeypatch):
    (tmp_path / "claim-1.json").write_text(claim_of(1, host="elsewhere"))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_400)
    assert state(tmp_path) is not None


def test_heartbeat_carries_progress_and_finds_out_that_the_claim_is_lost(tmp_path):
    claim = take(tmp_path)
    claim.progress = progress(3)
    claim.beat()
    assert state(tmp_path).progress == progress(3) and not claim.lost
    long_ago = time.time() - 3600
    os.utime(tmp_path / "claim-1.json", (long_ago, long_ago))
    claim.beat()
    assert os.stat(tmp_path / "claim-1.json").st_mtime > long_ago + 1800
    (tmp_path / "claim-2.json").write_text(claim_of(1, host="elsewhere"))
    claim.beat()
    assert claim.lost


def test_the_thread_keeps_a_claim_alive(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BEAT_EVERY", 0.02)
    with take(tmp_path) as claim:
        claim.progress = progress(1)
        wait_for(lambda: state(tmp_path).progress == progress(1))


def test_a_contender_with_an_old_view_steps_back(tmp_path, monkeypatch):
    """It saw the first claim dead; meanwhile others took, released and took again, and old files are gone."""
    (tmp_path / "claim-1.json").write_text("")
    old = os.listdir(tmp_path)
    assert isinstance(take(tmp_path), Claim)  # claim-2, held by this process
    os.truncate(tmp_path / "claim-2.json", 0)
    assert take(tmp_path).number == 3
    assert os.listdir(tmp_path) == ["claim-3.json"]
    real, views = os.listdir, [old]
    monkeypatch.setattr(os, "listdir", lambda path: views.pop() if views else real(path))
    assert take(tmp_path) is None
    assert real(tmp_path) == ["claim-3.json"]


@pytest.mark.parametrize("at", [None, progress(1)])  # a beat that only touches the claim, and one that writes it
def test_the_claim_of_a_folder_made_anew_is_not_ours(tmp_path, at):
    folder, aside = tmp_path / "run", tmp_path / "aside"
    with take(folder) as claim:
        folder.rename(aside)
        other = take(folder)
        text = (folder / "claim-1.json").read_text()
        assert other.number == claim.number
        claim.progress = at
        claim.beat()
        assert claim.lost
        other.beat()
        assert not other.lost
    assert (folder / "claim-1.json").read_text() == text  # neither written by the first holder nor let go


def test_a_holder_whose_folder_vanished_has_lost_its_claim(tmp_path):
    folder = tmp_path / "run"
    gone, exchanged = take(folder / "1"), take(folder / "2")
    for number in "12":
        (folder / number).rename(tmp_path / number)
    (folder / "2").mkdir()  # by a contender that has no claim there yet
    for claim in (gone, exchanged):
        claim.beat()
        assert claim.lost


def test_a_full_disk_does_not_lose_a_claim(tmp_path, monkeypatch):
    claim = take(tmp_path)
    claim.progress = progress(1)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(claims.files, "temporary_file", full)
    claim.beat()
    assert not claim.lost


def test_a_folder_that_vanishes_while_it_is_claimed_is_not_to_be_had(tmp_path, monkeypatch):
    real = os.listdir

    def vanishing(path):
        names = real(path)
        os.rmdir(path)
        return names

    monkeypatch.setattr(os, "listdir", vanishing)
    assert take(tmp_path / "run") is None


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_hard_links_is_named(number, tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refused)
    for needs_links in (take, check_claims):
        with pytest.raises(
            AgglabError, match=f"^{tmp_path}: its file system has no hard links .* choose an output folder"
        ):
            needs_links(tmp_path)
        assert not os.listdir(tmp_path)


def test_a_folder_in_which_runs_can_be_claimed_is_left_as_it_was(tmp_path):
    check_claims(tmp_path)
    assert not os.listdir(tmp_path)


ROUNDS, CONTENDERS = 40, 4


def _contend(folder: Path, together) -> None:
    together.wait()
    for number in range(ROUNDS):
        claim = take(folder / str(number))
        if claim is not None:
            with open(folder / "wins.txt", "a") as wins:
                wins.write(f"{number}\n")
    together.wait()  # who ends its process lets go of its claims


@pytest.mark.slow
def test_many_contenders_one_winner(tmp_path):
    for number in range(ROUNDS):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "claim-1.json").write_text("")  # let go by somebody
    context = get_context("spawn")
    together = context.Barrier(CONTENDERS)
    processes = [context.Process(target=_contend, args=(tmp_path, together)) for _ in range(CONTENDERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    wins = (tmp_path / "wins.txt").read_text().split()
    assert sorted(wins, key=int) == [str(number) for number in range(ROUNDS)]
