"""Options with odd values: one line that names the option, exit code 2, and nothing is written."""

import os
import re
import subprocess
import sys

import pytest

from aggregation_lab import __version__
from aggregation_lab.errors import StudyError
from runners.execution.slurm.submit import check_folder, parameters
from runners.planning import cost
from runners.planning.slurm_settings import ALLOWED, SlurmSettings
from runners.store.study_folder import StudyFolder
from tests import ROOT
from tests.runners.commands.test_cli import agglab
from tests.tiny import write_study
from tests.waiting import PATIENCE

GRID = ("plan", "STUDY", "--data", "DATA", "--out", "OUT", "--device", "cpu")
ODD = [
    ((*GRID, "--jobs", "0"), "'--jobs'"),
    ((*GRID, "--jobs", "-1"), "'--jobs'"),
    ((*GRID, "--jobs", "1000000000"), "'--jobs'"),
    ((*GRID, "--jobs", "1e9"), "'--jobs'"),
    ((*GRID, "--jobs", "many"), "'--jobs'"),
    ((*GRID, "--only", ""), "--only : fits no run"),
    ((*GRID, "--only", "a\nb"), r"--only a\nb: fits no run"),
    ((*GRID, "--only", "[z-a"), "--only [z-a: fits no run"),
    ((*GRID, "--only", "*a" * 40 + "b"), "fits no run"),
    ((*GRID, "--device", "abacus"), "--device: abacus cannot be used here"),
    ((*GRID, "--device", ""), "--device:  cannot be used here"),
    ((*GRID, "--device", "meta"), "--device: meta cannot be used here"),
    ((*GRID, "--device", "hpu"), "--device: hpu cannot be used here"),
    ((*GRID, "--device", "cuda:99999999999999999999"), "--device: cuda:99999999999999999999 cannot be used here"),
    ((*GRID, "--device", "cpu\nx"), r"--device: cpu\nx cannot be used here"),
    ((*GRID, "--out", ""), "'--out': is empty; give a path"),
    ((*GRID, "--out", "FILE"), "is no folder); choose another --out"),
    ((*GRID, "--out", "FILE/below"), "is no folder); choose another --out"),
    ((*GRID, "--out", "/dev/null"), "/dev/null is no folder); choose another --out"),
    ((*GRID, "--out", "LOOP/x"), "--out"),
    ((*GRID, "--out", "~nobody-of-this-name/x"), "--out: ~nobody-of-this-name/x is no usable path"),
    ((*GRID, "--out", "x" * 5000), "--out: xxx"),
    ((*GRID, "--out", "a\nb"), r"--out: a\nb holds a character that is no text"),
    ((*GRID, "--out", "\udce9"), r"--out: \udce9 holds a character that is no text"),
    ((*GRID, "--out", "$NOT_FILLED_IN/x"), "--out: $NOT_FILLED_IN/x does not exist; variables"),
    ((*GRID, "--data", ""), "'--data': is empty; give a path"),
    ((*GRID, "--data", "FILE"), "is no folder; give the one that holds train/csv_files"),
    ((*GRID, "--data", "/dev/zero"), "--data: /dev/zero is no folder"),
    ((*GRID, "--data", "PIPE"), "is no folder; give the one that holds train/csv_files"),
    ((*GRID, "--data", "~nobody-of-this-name"), "--data: ~nobody-of-this-name is no usable path"),
    (("plan", "PIPE"), "is no regular file"),
    (("plan", "/dev/zero"), "is no regular file"),
    (("plan", "DATA"), "is no regular file"),
    (("plan", "~nobody-of-this-name/s"), "STUDY: ~nobody-of-this-name/s is no usable path"),
    (("plan", "STUDY", "--date", "x"), "No such option"),
    (("plan",), "STUDY"),
    (("plann", "STUDY"), "plann"),
    (("run-grid", "STUDY", "--engine", "abacus"), "'--engine'"),
    (("run-grid", "STUDY", "--rerun", "no"), "'--rerun'"),
    (("run-grid", "STUDY", "--engine", "slurm", "--slurm", "partition=a\nb"), "--slurm: slurm.partition: is 'a\\\\nb'"),
    (("run-grid", "STUDY", "--engine", "slurm", "--slurm", "directives.wrap=id"), "wrap is no option of sbatch"),
    (("run-grid", "STUDY", "--engine", "slurm", "--slurm", "directives.account=`id`"), "slurm.directives.account: is"),
    (("run-grid", "STUDY", "--engine", "slurm", "--out", "50%a"), "50%a holds %, which sbatch replaces in paths"),
    (("validate", "DATA", "--study", "PIPE"), "is no regular file"),
    (("phantoms", "/dev/null", "--tasks", "lung"), "/dev/null is no folder"),
    (("phantoms", "", "--tasks", "lung"), "'OUT': is empty"),
    (("status", ""), "'OUT': is empty"),
    (("phantoms", "NEW", "--tasks", "lungs"), "unknown task lungs; did you mean lung?"),
    (("phantoms", "NEW", "--tasks", ","), "it takes at least one entry"),
    (("phantoms", "NEW", "--scale", "nan"), "scale"),
    (("phantoms", "NEW", "--scale", "0"), "scale"),
    (("phantoms", "NEW", "--scale", "-1"), "--scale -1: takes a share greater than 0 and at most 1"),
    (("phantoms", "NEW", "--scale", "1.1"), "--scale 1.1: takes"),
    (
        ("run-grid", "STUDY", "--engine", "debug", "--jobs", "3"),
        "--jobs: --engine debug trains one run after the other",
    ),
    (("run-grid", "STUDY", "--dry-run", "--quiet"), "--quiet: a dry run does nothing but print"),
    (("report", "OUT", "--no-images", "--data", "DATA"), "--data: --no-images shows none"),
    (("phantoms", "NEW", "--seed", "9999999999"), "seed"),
]


@pytest.mark.parametrize(("arguments", "message"), ODD, ids=range(len(ODD)))
def test_odd_values_are_one_line_and_exit_code_2(tmp_path, tiny_original, monkeypatch, capsys, arguments, message):
    study = write_study(tmp_path / "study.yaml")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.iterdir())
    names = {"STUDY": study, "DATA": tiny_original}
    names |= {name.upper(): tmp_path / name for name in ("out", "new", "file", "loop", "pipe")}
    monkeypatch.chdir(tmp_path)
    given = []
    for argument in arguments:
        first, slash, rest = argument.partition("/")
        given.append(f"{names.get(first, first)}{slash}{rest}")
    code, _, errors = agglab(capsys, *given)
    assert code == 2, errors
    assert errors.startswith("agglab: ") and errors.removesuffix("\n").isprintable(), errors
    assert message in errors
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        ({"tasks": ["tiny_heads", "tiny_kind"]}, ["data.tasks.tiny_heads: is no task of the data"]),
        (
            {"groups": {"tiny_knd": "a"}, "laterality": ["x"]},
            ["data.groups.tiny_knd: is no", "data.laterality.x: is no"],
        ),
        ({"subjects": {"Nowhere": "(.)"}}, ["data.subjects.Nowhere: fits nothing in the data"]),
    ],
)
def test_a_study_that_names_what_the_data_lack_is_at_fault_itself(tmp_path, tiny_original, capsys, data, lines):
    study = write_study(tmp_path / "study.yaml", data=data)
    code, _, errors = agglab(
        capsys, "plan", study, "--data", tiny_original, "--out", tmp_path / "out", "--device", "cpu"
    )
    told = errors.removeprefix("agglab: ").splitlines()
    assert code == 2 and len(told) == len(lines)
    assert all(told[index].startswith(f"{study}: {line}") for index, line in enumerate(lines)), told


@pytest.mark.parametrize("text", ["", "0", "many", "-1", "1e3", "9" * 400])
def test_odd_numbers_of_slurm_are_no_limit(monkeypatch, text):
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_MEM_PER_NODE"):
        monkeypatch.delenv(name, raising=False)
    without = cost.cores()
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_MEM_PER_NODE"):
        monkeypatch.setenv(name, text)
    assert cost.cores() == without >= 1 and cost.available_bytes() > 1e6


def test_agglab_alone_shows_what_it_can(capsys):
    code, text, _ = agglab(capsys)
    assert code == 0 and "run-grid" in text


def script(settings: SlurmSettings) -> list[str]:
    """Lines of the job script that submitit makes of the settings."""
    slurm = pytest.importorskip("submitit.slurm.slurm")
    return slurm._make_sbatch_string("agglab-job", "/out/slurm", map_count=2, **parameters(settings, "x")).splitlines()


def test_a_value_stays_within_its_line_of_the_job_script():
    odd = {"comment": "a #b; c & d > e | f (g) [h] {i} 100% !", "constraint": "a100&(ib|eth)", "exclude": "n[1-4,7]"}
    plain = {name: "x" for name in odd}
    lines, others = script(SlurmSettings(directives=odd)), script(SlurmSettings(directives=plain))
    assert len(lines) == len(others)
    differing = {(one, other) for one, other in zip(lines, others, strict=True) if one != other}
    assert {other for _, other in differing} == {f"#SBATCH --{name}=x" for name in odd}
    assert all(one.startswith(f"{other.removesuffix('x')}'") for one, other in differing)


def test_no_option_that_runs_something_else_is_taken():
    assert ALLOWED.isdisjoint(
        {"wrap", "export", "export-file", "chdir", "input", "output", "error", "get-user-env", "uid"}
    )
    assert ALLOWED.isdisjoint(
        {"array", "time", "test-only", "parsable", "wait", "job-name", "prolog", "task-prolog", "bcast"}
    )


@pytest.mark.parametrize("name", ["50%a", "it's", 'a"b', "a\\b"])
def test_a_folder_that_sbatch_would_read_otherwise_is_refused(tmp_path, name):
    check_folder(StudyFolder(tmp_path / "with blanks & signs"))
    with pytest.raises(StudyError, match="which sbatch replaces in paths; choose another --out"):
        check_folder(StudyFolder(tmp_path / name / "out"))


def test_the_version_is_shown_without_loading_torch(capsys):
    code, text, _ = agglab(capsys, "--version")
    assert code == 0
    assert re.fullmatch(rf"agglab {re.escape(__version__)}, Python 3\.\d+\.\d+\S*, torch \d+\.\d+\S*\n", text)
    asked = "import sys; from runners.cli import versions; versions(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("option", ["--base", "--baseline"])
def test_the_base_has_its_former_name_too_which_help_does_not_show(option, capsys):
    code, _, errors = agglab(capsys, "analyze", "paper", option, "single")
    assert code == 1 and "--base single: no such aggregation; there are " in errors
    code, shown, _ = agglab(capsys, "analyze", "--help")
    assert code == 0 and "--base " in shown and "--baseline" not in shown
