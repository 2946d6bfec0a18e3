"""`--engine slurm`: a grid on a real cluster that is disturbed in every way Slurm has, and what the engine asks for."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from aggregation_lab.errors import StudyError
from runners import cli
from runners.execution import engines
from runners.execution.run_watch import Outcome
from runners.execution.slurm import job as slurm_job
from runners.execution.slurm import queue, submit
from runners.execution.slurm.job import ArrayJob
from runners.execution.slurm.queue import Queue
from runners.execution.slurm.submit import overridden, parameters
from runners.execution.worker import WorkerConfig
from runners.planning.slurm_settings import SlurmSettings
from runners.planning.study_file import read_study_file
from runners.planning.study_schema import Study
from runners.store.run_folder import State, claimed, record_failure
from runners.store.study_folder import StudyFolder
from tests import ROOT, fake_engine
from tests.runners.execution.test_grid import Witness
from tests.tiny import STUDY, planned, write_study
from tests.waiting import PATIENCE, wait_for


def test_a_section_becomes_parameters_of_submitit():
    settings = SlurmSettings(
        tasks=8,
        partition="gpu",
        hours=1.5,
        gpus=2,
        cpus=6,
        memory_gb=2.5,
        directives={"account": "lab", "mail_type": "END", "exclusive": True, "requeue": False},
    )
    assert parameters(settings, "mine") == {
        "job_name": "agglab-mine",
        "partition": "gpu",
        "time": 90,
        "gpus_per_node": 2,
        "cpus_per_task": 6,
        "mem": "2560M",
        "array_parallelism": 8,
        "stderr_to_stdout": True,
        "srun_args": ["--cpus-per-task=6"],
        "additional_parameters": {"account": "lab", "mail-type": "END", "exclusive": True},
    }


def test_what_is_not_asked_for_is_left_to_the_cluster():
    given = parameters(SlurmSettings(gpus=0), "mine")
    assert not given.keys() & {"partition", "gpus_per_node", "mem"}
    assert given["additional_parameters"] == {"requeue": True}


@pytest.mark.parametrize(
    "settings, jobs, threads",
    [({"gpus": 0, "cpus": 8}, None, 1), ({"gpus": 0, "cpus": 8}, 2, 4), ({"gpus": 1, "cpus": 8}, None, 2)],
)
def test_threads_share_the_cores_of_a_job(settings, jobs, threads):
    assert submit.threads_per_worker(SlurmSettings(**settings), jobs) == threads


def test_flags_replace_fields_of_the_section(tmp_path):
    study = read_study_file(write_study(tmp_path / "study.yaml", slurm={"hours": 2, "directives": {"account": "lab"}}))
    changed = overridden(study, ["hours=0.5", "partition=short", "directives.qos=low"]).slurm
    assert (changed.hours, changed.partition) == (0.5, "short")
    assert changed.directives == {"account": "lab", "qos": "low"}
    plain = [
        "directives.exclusive=true",
        "directives.requeue=false",
        "directives.begin=16:00",
        "directives.nice=07",
        "directives.comment=2026-13-45",
    ]
    changed = overridden(study, ["partition=", "memory_gb=", "directives.exclude=*", *plain]).slurm
    assert changed.partition is None and changed.memory_gb is None
    directives = {
        "account": "lab",
        "exclude": "*",
        "exclusive": True,
        "requeue": False,
        "begin": "16:00",
        "nice": "07",
        "comment": "2026-13-45",
    }
    assert changed.directives == directives
    assert overridden(study, ["tasks=9"]).model_dump(exclude={"slurm"}) == study.model_dump(exclude={"slurm"})


@pytest.mark.parametrize(
    "change, message",
    [
        ("hours", "--slurm hours: takes KEY=VALUE, such as hours=12 or directives.account=lab"),
        ("directives=a", "--slurm directives=a: takes one directive at a time, such as directives.account=lab"),
        ("hours=", "--slurm: slurm.hours: got nothing, it takes a valid number"),
        ("hour=3", "--slurm: slurm.hour: unknown field; did you mean hours?"),
        ("hours=0.05", "--slurm: slurm.hours: got 0.05, it takes greater than or equal to 0.1"),
        ("tasks=many", "--slurm: slurm.tasks: got 'many', it takes a valid integer"),
        ("directives.time=10", "--slurm: slurm.directives: time has a field of its own; set slurm.hours"),
        ("directives.output=log", "--slurm: slurm.directives: output is set by agglab; leave it out"),
    ],
)
def test_flags_that_mean_nothing_are_named(change, message):
    with pytest.raises(StudyError) as refused:
        overridden(Study(name="mine"), [change])
    assert str(refused.value).startswith(message)


def test_the_section_changes_no_run(tmp_path, tiny_original):
    from runners.store.prepare import plan_only

    plans = []
    for number, section in enumerate(({}, {"hours": 9, "gpus": 4, "directives": {"account": "lab"}})):
        study = read_study_file(write_study(tmp_path / f"{number}.yaml", slurm=section), data=tiny_original)
        plans.append([run.id for run in plan_only(study, StudyFolder(tmp_path / "out"), lambda *_: None).runs])
    assert plans[0] == plans[1]


def refused(capsys, *arguments: object) -> str:
    with pytest.raises(SystemExit) as exit:
        cli.main([str(argument) for argument in arguments])
    assert exit.value.code == 2
    return capsys.readouterr().err


def test_a_machine_without_slurm_is_told_so(tmp_path, tiny_original, monkeypatch, capsys):
    grid = ["run-grid", write_study(tmp_path / "s.yaml"), "--data", tiny_original, "--out", tmp_path / "out"]
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = "agglab: --engine slurm: there is no sbatch here; call it on a login node of a Slurm cluster\n"
    assert refused(capsys, *grid, "--engine", "slurm") == missing
    monkeypatch.setattr(submit, "find_spec", lambda name: None)
    missing = "agglab: --engine slurm: submitit is not installed; pip install submitit\n"
    assert refused(capsys, *grid, "--engine", "slurm") == missing
    assert not (tmp_path / "out").exists()
    assert "--slurm: needs --engine slurm" in refused(capsys, *grid, "--slurm", "hours=1")


def fake_squeue(folder: Path, script: str) -> None:
    (folder / "squeue").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "squeue").chmod(0o755)


def test_the_queue_counts_our_jobs_only(tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    fake_squeue(tmp_path, "exit 1")
    assert queue.jobs_left(StudyFolder(out)) == Queue()  # nothing was ever submitted, so nobody is asked
    (out / "slurm").mkdir(parents=True)
    for array in (9, 12):
        (out / "slurm" / f"{array}_submission.sh").touch()
    assert queue.jobs_left(StudyFolder(out)) is None
    fake_squeue(tmp_path, "printf '12|R|None\\n12|PD|Resources\\n12|PD|None\\n9|CG|None\\n77|PD|Priority\\n'")
    left = queue.jobs_left(StudyFolder(out))
    assert left == Queue({"12": 1, "9": 1}, {"12": 2}, ("Resources",)) and left.jobs == 4
    assert str(left) == "Slurm array 9: 1 running; Slurm array 12: 1 running, 2 waiting (Resources)"
    assert queue.last_message(StudyFolder(out)) == (
        "no longer watching; the jobs go on: `scancel 9 12` stops them, the same command watches again"
    )


@pytest.mark.parametrize(("folder", "jobs"), [("out", 1), ("copy", 0), ("gone", 1)])
def test_a_copied_folder_leaves_the_jobs_to_the_original(tmp_path, monkeypatch, folder, jobs):
    """A folder that is gone was renamed, or is mounted elsewhere: the jobs are those of the one that is here."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    fake_squeue(tmp_path, "echo '12|R|None'")
    slurm = tmp_path / "my out" / "slurm"
    slurm.mkdir(parents=True)
    log = shlex.quote(f"{slurm}/%A_%a_0_log.out")
    (slurm / "12_submission.sh").write_text(f"#!/bin/bash\n\n#SBATCH --array=0-1%2\n#SBATCH --output={log}\n")
    here = tmp_path / "my out"
    if folder == "copy":
        here = Path(shutil.copytree(here, tmp_path / "copy"))
    elif folder == "gone":
        here = here.rename(tmp_path / "renamed")
    assert queue.jobs_left(StudyFolder(here)) == Queue({"12": 1} if jobs else {})


def test_watching_ends_when_no_job_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(submit, "ensure_jobs", lambda *arguments: None)
    left = [Queue(running={"12": 1}), None, Queue()]
    monkeypatch.setattr(queue, "jobs_left", lambda out: left.pop(0))
    monkeypatch.setattr(engines, "ASK_EVERY", 0.0)
    runs, witness = [planned("a"), planned("b")], Witness()
    job = ArrayJob(WorkerConfig(StudyFolder(tmp_path), threads=1))
    outcome = engines.run_on_slurm(runs, Study(name="mine"), job, witness)
    assert outcome == Outcome() and not left
    assert witness.notes == [
        "Slurm array 12: 1 running",
        f"no Slurm job is left; {tmp_path}/slurm/*_0_log.out say why",
    ]


@pytest.fixture
def array(tmp_path, monkeypatch):
    """A job array of fake training with `fail_fast`, and its runs."""
    runs = [planned("held"), planned("other")]
    for name, found in {"read_plan": runs, "read_study": Study(name="mine")}.items():
        monkeypatch.setattr(StudyFolder, name, lambda folder, found=found: found)
    monkeypatch.setattr(slurm_job, "collect", lambda *arguments: None)
    queue.write_orders(StudyFolder(tmp_path), {run.id for run in runs})
    return ArrayJob(fake_engine.config(tmp_path, device="cpu", fail_fast=True), jobs=1), runs


def test_a_job_that_starts_after_a_failure_takes_nothing(array, monkeypatch):
    job, (held, other) = array
    store = job.folder.runs
    record_failure(store.folder(other), "nan")
    assert not job._work([]) and not store.folder(held).exists()
    assert replace(job, config=replace(job.config, fail_fast=False))._open_runs(store, set()) == [held]


def test_a_job_at_work_stops_at_the_failure_of_another(array):
    job, (held, other) = array
    store = job.folder.runs

    def fail():
        wait_for(lambda: fake_engine.is_held(store.folder(held)))
        record_failure(store.folder(other), "nan")
        claim.__exit__()

    with claimed(store.folder(other), other) as claim:
        assert job._open_runs(store, set()) == [held, other]
        thread = threading.Thread(target=fail)
        thread.start()
        assert not job._work([])
        thread.join()
    states = store.present([held, other])
    assert states[held.id].state is State.PENDING and "continues from its checkpoint" in states[held.id].reason


def test_runs_in_other_hands_alone_are_nothing_to_do(array):
    job, runs = array
    store = job.folder.runs
    with claimed(store.folder(runs[0]), runs[0]), claimed(store.folder(runs[1]), runs[1]):
        assert job._open_runs(store, set()) == []


@pytest.fixture(scope="session")
def cluster() -> None:
    """A Slurm cluster that takes jobs. Where CI could have started one, its absence is a failure."""
    reason = "Slurm is not installed; as root on Debian .ci/slurm starts a cluster"
    if shutil.which("sinfo"):
        command = ["sinfo", "--noheader", "--states", "idle,mixed,allocated,completing"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        if answer.returncode == 0 and answer.stdout.strip():
            return
        reason = f"Slurm takes no jobs here ({(answer.stderr or 'no node is up').strip().splitlines()[0]})"
    if os.environ.get("CI") == "true" and os.getuid() == 0 and Path("/etc/debian_version").exists():
        pytest.fail(reason)
    pytest.skip(reason)


class Grid:
    """A study of its own and processes of `run-grid` on it; `end` leaves none of them, and no job, behind."""

    def __init__(self, folder: Path, data: Path):
        section = {"tasks": 3, "gpus": 0, "cpus": 1, "hours": 1}
        training = {**STUDY["training"], "min_steps": 200}  # long enough to be disturbed in
        self.study = write_study(folder / "study.yaml", slurm=section, training=training, aggregations=["TS", "AU"])
        self.data, self.out, self.processes = data, folder / "out", list[subprocess.Popen[str]]()

    def start(self, *options: str, out: Path | None = None) -> subprocess.Popen[str]:
        words = ["run-grid", self.study, "--data", self.data, "--out", out or self.out, "--device", "cpu", *options]
        command = [sys.executable, "-m", "runners.cli", *(str(word) for word in words)]
        process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        left = queue.jobs_left(StudyFolder(self.out))
        if left and left.jobs:
            subprocess.run(["scancel", *left.arrays], check=True)


class Observed:
    """An output folder of which every look is remembered: what `done.json` said when it was first there."""

    def __init__(self, out: Path):
        self.out, self.first_results = out, dict[str, str]()

    def statuses(self):
        try:
            runs = StudyFolder(self.out).read_plan()
        except StudyError:
            return {}
        store = StudyFolder(self.out).runs
        statuses = {run.title: status for run in runs for status in [store.present([run])[run.id]]}
        for run in runs:
            if statuses[run.title].state is State.DONE:
                self.first_results.setdefault(run.title, (store.folder(run) / "done.json").read_text())
        return statuses

    def wait_for(self, condition):
        """The states of all runs at the first look at which the condition holds for them."""

        def look():
            statuses = self.statuses()
            return condition(statuses) and statuses

        return wait_for(look, pause=0.1)

    def wait_for_jobs(self, numbers):
        """Jobs of these numbers in their array that train a run, as soon as there are any."""

        def found():
            running = [status.job for status in self.statuses().values() if status.state is State.RUNNING]
            return [job for job in running if job.split("_")[1] in numbers]

        return wait_for(found, pause=0.1)


def status(capsys, out: Path) -> str:
    with pytest.raises(SystemExit):
        cli.main(["status", str(out)])
    return capsys.readouterr().out


@pytest.fixture
def grid(cluster, tmp_path, tiny_original):
    grid = Grid(tmp_path, tiny_original)
    yield grid
    grid.end()


@pytest.mark.slow
def test_cancelled_requeued_and_timed_out_jobs_end_equal_to_a_local_grid(grid, tmp_path, capsys):
    out, first, seen = grid.out, grid.start("--engine", "slurm"), Observed(grid.out)
    time_limit = ["scancel", "--signal=USR2"]  # which is what Slurm does 90 seconds before
    blows = {"0": ["scancel"], "1": ["scontrol", "requeue"], "2": time_limit}
    while blows:
        for job in seen.wait_for_jobs(blows):
            assert f"log: {queue.log_file(StudyFolder(out), job)}\n" in status(capsys, out)
            subprocess.run([*blows.pop(job.split("_")[1]), job], check=True)
    array = job.split("_")[0]

    # Stopping to watch stops nothing, and to watch again submits nothing, while jobs are left.
    first.send_signal(signal.SIGINT)
    text = first.communicate(timeout=PATIENCE)[0]
    assert first.returncode == 130 and f"the jobs go on: `scancel {array}` stops them" in text, text
    second = grid.start("--engine", "slurm", "--slurm", "tasks=2")
    seen.wait_for(lambda statuses: all(status.state is State.DONE for status in statuses.values()))
    text = second.communicate(timeout=PATIENCE)[0]
    assert second.returncode == 0 and "5 done; tables in" in text, text
    assert [file.name for file in (out / "slurm").glob("[0-9]*.sh")] == [f"{array}_submission.sh"]
    runs = {run.title: run for run in StudyFolder(out).read_plan()}
    for title, result in seen.first_results.items():
        assert (StudyFolder(out).runs.folder(runs[title]) / "done.json").read_text() == result, (
            f"{title} was trained twice"
        )
    # Each of the three let its run go with a checkpoint; killed before, a run would have started anew.
    assert pd.read_parquet(out / "runs.parquet")["resumes"].sum() == 3

    local = grid.start(out=tmp_path / "local")
    text = local.communicate(timeout=PATIENCE)[0]
    assert local.returncode == 0, text
    for table in ("scores", "cases", "curves"):
        tables = (pd.read_parquet(folder / f"{table}.parquet") for folder in (out, tmp_path / "local"))
        pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_a_refused_array_is_told_in_one_line(cluster, tmp_path, capsys):
    study = Study(name="mine", slurm=SlurmSettings(gpus=0, cpus=1, partition="nowhere"))
    with pytest.raises(StudyError) as refused:
        submit.submit(study, ArrayJob(WorkerConfig(StudyFolder(tmp_path), threads=1)), 2)
    assert str(refused.value) == (
        "--engine slurm: sbatch refuses the job array (invalid partition specified: nowhere); "
        "change the study's slurm section, or --slurm"
    )
    assert capsys.readouterr().err == "" and queue.jobs_left(StudyFolder(tmp_path)) == Queue()
