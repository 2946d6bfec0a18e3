"""The page of a study: what it is told of runs and curves, and to whom."""

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from aggregation_lab import results
from aggregation_lab.errors import StudyError
from aggregation_lab.storage.sealed_json import write_sealed
from analysis.deciding.plan import planned_looks
from runners.planning.study_schema import Study
from runners.store.identity import Identity
from runners.store.look_record import LookRecord, write_looks
from runners.store.run_files import RunProgress
from runners.store.run_folder import claimed, record_failure
from runners.store.study_folder import StudyFolder
from runners.watch.overview import Curves, overview
from runners.watch.server import WatchServer
from tests.tiny import planned

DONE, FAILED, WAITING, AT_WORK = (planned(name, steps=10) for name in ("done", "failed", "waiting", "at_work"))


def finish(folder: Path, run_id: str, scores: list[float]) -> None:
    write_sealed(folder / "done.json", {"run": run_id, "seconds": 100.0})
    rows = [
        {"run": run_id, "task": "done", "type": "classification", "fraction": 1.0, "seed": 0, "step": step}
        | {"images_seen": 10 * step, "loss": 1.0, "score": score, "still_improving": False}
        for step, score in enumerate(scores, 1)
    ]
    table = results.RUN_TABLES["curves"]
    results.write_table(results.append([pd.DataFrame(rows)], table), table, folder / "curves.parquet")


@pytest.fixture
def study(tmp_path) -> Iterator[StudyFolder]:
    """One run finished, one failed, one at work with half its steps done, one waiting; all take as long."""
    folder = StudyFolder(tmp_path)
    Identity(Study(name="watched")).write(folder.identity_file)
    folder.write_plan([DONE, FAILED, WAITING, AT_WORK])
    for run in (DONE, FAILED, AT_WORK):
        folder.runs.folder(run).mkdir(parents=True)
    finish(folder.runs.folder(DONE), DONE.id, [0.25, float("nan"), 0.75])
    record_failure(folder.runs.folder(FAILED), "no memory")
    with claimed(folder.runs.folder(AT_WORK), AT_WORK) as claim:
        assert claim is not None
        claim.progress = RunProgress(step=5, steps=10, loss=float("nan"), score=0.5, phase="training")
        claim.beat()
        yield folder


def test_runs_are_told_by_state_with_the_time_that_is_left(study):
    found = overview(study)
    assert (found["study"], found["runs"]) == ("watched", 4)
    assert found["states"] == {"done": 1, "failed": 1, "pending": 1, "running": 1}
    rows = {row["state"]: row for row in found["unfinished"]}
    assert rows["failed"]["reason"] == "no memory"
    at_work = rows["running"]
    assert (at_work["step"], at_work["steps"], at_work["loss"], at_work["score"]) == (5, 10, None, 0.5)
    # 100 s a run by the finished one; half of one is left, and one waits; one worker
    assert found["seconds_left"] == pytest.approx(150, rel=1e-6, abs=0)
    assert found["left_until"] == "all planned runs are trained"
    json.dumps(found, allow_nan=False)


def test_the_time_left_is_until_the_next_look_where_looks_decide(study):
    looks = planned_looks((0, 1, 2))
    write_looks(study, LookRecord(replace(looks, made=looks.planned[:1]), open=0))
    found = overview(study)
    # nothing more is to be trained but what is under way
    assert found["seconds_left"] == pytest.approx(50, rel=1e-6, abs=0)
    assert found["left_until"] == "the next look at the verdicts"


def test_runs_on_another_device_tell_nothing_of_the_time_left(study):
    done = study.runs.folder(DONE) / "done.json"
    write_sealed(done, {"run": DONE.id, "seconds": 100.0, "device": "cuda"})
    assert overview(study)["seconds_left"] is None


def test_curves_are_of_finished_runs_and_read_once(study, monkeypatch):
    curves, reads, read = Curves(study), [], results.read_table
    monkeypatch.setattr(results, "read_table", lambda *given: reads.append(1) or read(*given))
    found = curves.by_task()
    assert curves.by_task() == found and len(reads) == 1
    points = [[10, 0.25], [20, None], [30, 0.75]]
    assert found == {"done": [{"models": ["TS"], "fraction": 1.0, "seed": 0, "points": points}]}


def test_a_damaged_curve_is_left_out(study):
    (study.runs.folder(DONE) / "curves.parquet").write_bytes(b"damaged")
    assert Curves(study).by_task() == {}


@pytest.fixture
def server(study) -> Iterator[WatchServer]:
    with WatchServer(study, 0) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def ask(server: WatchServer, path: str, host: str | None = None, method: str = "GET") -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    found = answer.status, answer.headers["Content-Type"] or "", answer.read()
    connection.close()
    return found


def test_the_page_and_what_it_asks_for_are_served(server, study):
    code, kind, page = ask(server, "/")
    assert code == 200 and kind.startswith("text/html")
    assert b"http://" not in page.replace(b"http://www.w3.org/2000/svg", b"") and b"https://" not in page
    code, kind, body = ask(server, "/state.json")
    assert (code, kind) == (200, "application/json") and json.loads(body)["states"]["done"] == 1
    assert list(json.loads(ask(server, "/curves.json")[2])) == ["done"]
    study.plan_file.unlink()
    code, _, body = ask(server, "/state.json")
    assert code == 503 and "is not planned yet" in json.loads(body)["error"]


def test_only_this_machine_and_nothing_but_the_study(server):
    assert server.server_address[0] == "127.0.0.1"
    assert ask(server, "/state.json", host=f"localhost:{server.server_port}")[0] == 200
    assert ask(server, "/state.json", host="elsewhere.example:80")[0] == 403
    assert ask(server, "/study.json")[0] == 404 and ask(server, "/../study.json")[0] == 404
    assert ask(server, "/", method="POST")[0] == 501


def test_a_folder_that_is_no_study_is_refused(tmp_path):
    with pytest.raises(StudyError, match="is not the output of a study"):
        overview(StudyFolder(tmp_path))
