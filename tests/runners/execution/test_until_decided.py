"""Seeds in stages: what is trained between looks, what a kill leaves, and what does not go with looks.

Nothing is trained: runs get made-up tables, and the verdicts are given.
"""

import json
from collections import Counter
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from aggregation_lab.errors import StudyError
from aggregation_lab.manifest import read_manifest
from analysis.deciding.plan import planned_looks
from analysis.deciding.stopping import NO_PROSPECT, Comparison
from analysis.study import load_study
from runners.commands.study_commands import show_status
from runners.execution import until_decided
from runners.execution.time_estimate import TimeEstimate
from runners.execution.until_decided import run_until_decided
from runners.options import INTERRUPTED, EngineName, GridOptions, Rerun
from runners.planning.study_file import read_study_file
from runners.store.collect import collect
from runners.store.look_record import LookRecord, check_plan, check_without, fixed_settings, read_looks, write_looks
from runners.store.run_folder import State
from runners.store.study_folder import StudyFolder
from runners.store.verdicts_seen import Seen, note_reading, read_seen
from tests.made_study import finish, make_finished
from tests.tiny import STUDY, write_study

OPTIONS = GridOptions(device="cpu")
ENDS = {"tiny_kind": 1, "tiny_head": 1, "tiny_head_det": 2, "tiny_head_axis": 2}
"""The look at which AU against TS is decided in each task."""


class Grid:
    """A study of four seeds under TS and AU whose looks are after 2, 3 and 4 of them."""

    def __init__(self, folder: Path, data: Path, monkeypatch, **changes: object):
        self.file = write_study(folder / "study.yaml", **{"aggregations": ["TS", "AU"], "seeds": 4} | changes)
        self.data, self.folder, self.screen = data, StudyFolder(folder / "out"), StringIO()
        self.trained: list[list[str]] = []
        self.stop_after: int | None = None
        monkeypatch.setattr(until_decided, "run_study", self.train)
        monkeypatch.setattr(until_decided, "comparisons", self.read)

    def __call__(self, options: GridOptions = OPTIONS, hours: float | None = None) -> int:
        study, console = read_study_file(self.file, data=self.data), Console(file=self.screen, width=300)
        return run_until_decided(study, self.file, self.folder, options, hours, console)

    def train(self, study, file, folder, options, console) -> int:
        """In place of a grid: the chosen runs get tables, or some of them before somebody presses Ctrl-C."""
        chosen = [run for run in folder.read_plan() if any(run.matches(name) for name in options.only)]
        self.trained.append([])
        for run in chosen[: self.stop_after]:
            finish(folder.path, study, run)
            self.trained[-1].append(run.title)
        collect(folder)
        return 0 if self.stop_after is None else INTERRUPTED

    def read(self, pairs, looks, settings) -> list[Comparison]:
        """In place of verdicts: those of `ENDS`, for the pairs that there are."""
        number = len(looks.made)
        return [
            Comparison(contrast, share, pair.task, "benefit" if number >= ENDS[pair.task] else "")
            for (contrast, share), of_key in pairs.items()
            for pair in of_key
        ]

    @property
    def finished(self) -> Counter:
        """Finished runs by unit."""
        runs = self.folder.read_plan()
        states = self.folder.runs.present(runs)
        return Counter(run.labels[0].unit for run in runs if states[run.id].state is State.DONE)


@pytest.fixture
def grid(tmp_path, tiny_original, monkeypatch) -> Grid:
    return Grid(tmp_path, tiny_original, monkeypatch)


def test_what_is_decided_is_not_trained_any_more(grid, capsys):
    assert grid() == 0
    assert grid.finished == {"all": 3, "tiny_kind": 2, "tiny_head": 2, "tiny_head_det": 3, "tiny_head_axis": 3}
    assert len(grid.trained) == 2 and {title[-2:] for title in grid.trained[1]} == {"s2"}
    record = read_looks(grid.folder)
    assert record.looks.planned == (2, 3, 4) and record.looks.made == (2, 3) and record.finished and record.open == 0
    assert [{key[3] for key, _ in look} for look in record.closed] == [
        {"tiny_kind", "tiny_head"},
        {"tiny_head_det", "tiny_head_axis"},
    ]
    said = grid.screen.getvalue()
    for line in (
        "looks after 2, 3, 4 seeds, 0 of them made",
        "look 1 of 3, after 2 seeds: 10 runs to do",
        "look 1 of 3, after 2 of at most 4 seeds: closed 2 benefit; 2 of 4 comparisons are open",
        "2 of 3 looks made; 4 comparisons are closed, 0 are open; 13 of 20 planned runs were trained",
    ):
        assert line in said, line
    assert grid() == 0 and len(grid.trained) == 2, "a grid that has ended trains nothing"
    show_status(grid.folder.path, Console(file=grid.screen, width=300))
    assert "2 of 3 looks at the verdicts are made; nothing more is to be trained" in grid.screen.getvalue()
    show_status(grid.folder.path, Console(quiet=True), as_json=True)
    assert json.loads(capsys.readouterr().out)["looks"]["made"] == [2, 3]
    study = load_study(grid.folder.path)
    assert study.looks == record.looks and study.manifest.looks["finished"]
    assert [row[-1] for look in study.manifest.looks["closed"] for row in look] == ["benefit"] * 4


def test_a_grid_that_is_killed_goes_on_to_the_same_end(grid):
    grid.stop_after = 3
    assert grid() == INTERRUPTED and read_looks(grid.folder).looks.made == ()
    grid.stop_after = None
    assert grid() == 0
    assert sum(grid.finished.values()) == 13 and read_looks(grid.folder).looks.made == (2, 3)


def test_killed_between_training_and_look(grid, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(until_decided, "_look", die)
    with pytest.raises(KeyboardInterrupt):
        grid()
    monkeypatch.undo()
    monkeypatch.setattr(until_decided, "run_study", grid.train)
    monkeypatch.setattr(until_decided, "comparisons", grid.read)
    assert read_looks(grid.folder).looks.made == ()
    assert grid() == 0 and read_looks(grid.folder).looks.made == (2, 3) and len(grid.trained) == 2


def test_a_damaged_table_is_trained_again_before_the_look(grid):
    grid.stop_after = 9
    assert grid() == INTERRUPTED
    runs = grid.folder.read_plan()
    done = next(run for run in runs if grid.folder.runs.present([run])[run.id].state is State.DONE)
    grid.stop_after = None
    real = grid.train

    def damage(study, file, folder, options, console) -> int:
        code = real(study, file, folder, options, console)
        if len(grid.trained) == 2:
            (folder.runs.folder(done) / "scores.parquet").write_bytes(b"torn")
        return code

    until_decided.run_study = damage
    assert grid() == 0 and read_looks(grid.folder).looks.made == (2, 3)
    assert "is damaged and set aside; its run is trained again" in grid.screen.getvalue()


def test_runs_that_do_not_fit_into_the_hours_are_not_started(grid, monkeypatch):
    def an_hour_each(*_):
        return TimeEstimate(3600.0, 1e30, 1), "known"

    monkeypatch.setattr(until_decided, "learn_or_guess", an_hour_each)
    one = GridOptions(device="cpu", jobs=1)
    assert grid(one, hours=0.5) == 1 and grid.trained == []
    assert "--hours: 10 runs of look 1 of 3, after 2 seeds, do not fit into the 30 min" in grid.screen.getvalue()
    grid.stop_after = 10  # the first call of the grid is the last
    assert grid(one, hours=3.5) == INTERRUPTED and len(grid.trained[0]) == 3
    assert "--hours: 3 of 10 runs of look 1 of 3, after 2 seeds, fit and are started" in grid.screen.getvalue()


def test_a_run_that_fails_holds_up_the_look(grid, monkeypatch):
    def fail(*_):
        return 1

    monkeypatch.setattr(until_decided, "run_study", fail)
    assert grid() == 1 and read_looks(grid.folder).looks.made == ()
    assert "is not made before all its runs are finished" in grid.screen.getvalue()


def test_the_plan_is_fixed_and_a_plain_grid_does_not_pass_it_by(grid):
    grid.stop_after = 0
    grid()
    write_study(grid.file, aggregations=["TS", "AU"], seeds=6)
    with pytest.raises(StudyError, match=r"looks.json: its looks are planned for 4 seeds \(0 to 3\), the study has 6"):
        grid()
    with pytest.raises(StudyError, match="looks at the verdicts decide how many seeds are trained here"):
        check_without(grid.folder)
    grid.folder.looks_file.write_text(grid.folder.looks_file.read_text().replace('"made": []', '"made": [2]'))
    with pytest.raises(StudyError, match="looks.json: cannot be read .* restore it, since the looks so far cannot"):
        grid()


def test_margins_aggregations_and_training_are_fixed_with_the_seeds(tmp_path):
    def study(**changes: object):
        return read_study_file(write_study(tmp_path / "study.yaml", **{"seeds": 4} | changes))

    folder, planned = StudyFolder(tmp_path), study()
    write_looks(folder, LookRecord(planned_looks(planned.seeds), plan=fixed_settings(planned)))
    record = read_looks(folder)
    check_plan(folder, planned, record)
    check_plan(folder, study(margins={"default": 0.02}), record)
    for changes, said in {
        "margin": ({"margins": {"default": 0.4}}, 'margins {"default": 0.02} (now {"default": 0.4})'),
        "rate": ({"training": STUDY["training"] | {"learning_rate": 1e-5}}, "training.learning_rate 0.0"),
        "weights": ({"training": STUDY["training"] | {"loss_weights": {"a": 2.0}}}, "training.loss_weights none (now"),
        "aggregations": ({"aggregations": ["TS", "AU"]}, "aggregations AU, CG, TS (now AU, TS)"),
        "fractions": ({"fractions": [0.5, 1.0]}, "fractions [1.0] (now [0.5, 1.0])"),
        "base": ({"compare": {"base": {"aggregation": "CG"}}}, 'compare.base null (now "CG")'),
        "groups": ({"data": {}}, "data.groups {"),
    }.values():
        with pytest.raises(StudyError) as error:
            check_plan(folder, study(**changes), record)
        assert f"looks.json: its looks are planned with {said}" in str(error.value) and "\n" not in str(error.value)


def test_a_plan_from_before_settings_were_kept_takes_those_of_now_once(grid):
    grid.stop_after = 0
    grid()
    write_looks(grid.folder, LookRecord(read_looks(grid.folder).looks))
    grid()
    assert grid.screen.getvalue().count("did not hold the settings yet; they are fixed as they are now") == 1
    write_study(grid.file, aggregations=["TS", "AU"], seeds=4, margins={"default": 0.4})
    with pytest.raises(StudyError, match="its looks are planned with margins"):
        grid()


REFUSED = {
    "slurm": ({}, GridOptions(engine=EngineName.SLURM), None, "a grid of Slurm jobs cannot wait for looks"),
    "only": ({}, GridOptions(only=("TS",)), None, "the looks choose the runs; leave --only out"),
    "all": ({}, GridOptions(rerun=Rerun.ALL), None, "--rerun all has no meaning with looks"),
    "hours": ({}, OPTIONS, 0.0, "--hours 0: takes hours greater than 0"),
    "arms": ({"arms": {"a": {}, "b": {"training.passes": 0.2}}}, OPTIONS, None, "is for studies of one arm"),
    "found": ({"aggregations": ["TS", "AU", "found"]}, OPTIONS, None, "the groups of found are found from all seeds"),
    "one aggregation": ({"aggregations": ["TS"]}, OPTIONS, None, "aggregations: TS alone has no gain to decide"),
    "few seeds": ({"seeds": 2}, OPTIONS, None, "seeds: 2 are planned; --until-decided takes 3 or more"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_with_looks_is_one_line_and_leaves_nothing(case, tmp_path, tiny_original, monkeypatch):
    changes, options, hours, said = REFUSED[case]
    refused = Grid(tmp_path, tiny_original, monkeypatch, **changes)
    with pytest.raises(StudyError) as error:
        refused(options, hours)
    assert said in str(error.value) and "\n" not in str(error.value)
    assert not refused.folder.path.exists()


def test_verdicts_that_were_read_before_are_known_and_no_plan_is_made_after_them(tmp_path, tiny_original, monkeypatch):
    out = make_finished(tmp_path, tiny_original, aggregations=["TS", "AU"], seeds=2)
    folder = StudyFolder(out)
    assert read_seen(folder) == Seen()
    note_reading(load_study(out))
    note_reading(load_study(out))
    collect(folder)
    seen, manifest = read_seen(folder), read_manifest(out)
    assert seen.seeds == manifest.verdicts_seen == ((0, 1),)
    assert seen.margins == manifest.margins_seen == dict.fromkeys(ENDS, 0.02) and manifest.margins_named == ()
    later = Grid(tmp_path, tiny_original, monkeypatch)
    with pytest.raises(StudyError, match="its verdicts were read at 2 seeds, so looks cannot be planned"):
        later()


def test_no_prospect_is_what_the_record_says(grid, monkeypatch):
    def hopeless(pairs, looks, settings):
        return [Comparison(contrast, share, pair.task, NO_PROSPECT)
                for (contrast, share), of_key in pairs.items() for pair in of_key]  # fmt: skip

    monkeypatch.setattr(until_decided, "comparisons", hopeless)
    assert grid() == 0 and sum(grid.finished.values()) == 10
    assert "closed 4 no prospect; 0 of 4 comparisons are open" in grid.screen.getvalue()
