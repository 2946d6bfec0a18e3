"""Names of tasks, groups and units: any that can be shown works everywhere, and none is obeyed by a terminal."""

import io
import re
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aggregation_lab.aggregation import clinically_grouped, task_specific
from aggregation_lab.config import ModelConfig
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.splits.split import draw_split
from aggregation_lab.errors import DataError, StudyError
from aggregation_lab.model.m2dino import build_m2dino
from aggregation_lab.naming import alike, clean_name, name_fault
from aggregation_lab.tasks import Task, TaskType, near_type, read_type
from aggregation_lab.text import escaped
from runners.commands.scoreboard import on_screen
from runners.console.terminal import Terminal
from runners.execution.progress import say, say_warnings
from runners.planning.plan import PlannedRun, select
from runners.planning.study_file import parse_study
from tests.tiny import planned

AWKWARD = ["thyroid.v2", "..", ".", "keys", "type", "training", "T_destination", "forward", "[/x]", "a+b", "NA", "null"]
AWKWARD += [
    "floor",
    "TS",
    "default",
    "-x",
    "CON",
    "$a_b$ %s {0}",
    "<b>&",
    "a|b",
    "甲状腺 #1",
    "é" * 99,
    "~6161",
    ":heart:",
]


def task(name: str, group: str = "g") -> Task:
    return Task(name, TaskType.CLASSIFICATION, 2, group)


def test_a_model_takes_tasks_of_any_name() -> None:
    config = ModelConfig(encoder="vit_tiny_patch16_dinov3_qkvb", head_width=8)
    tasks = [task(name) for name in AWKWARD]
    model = build_m2dino(config, tasks)
    model.eval()
    images = torch.zeros(2, 3, 32, 32)
    names = [one.name for one in tasks]
    output = model(images, torch.tensor([0, len(names) - 1]), [(names[0], slice(0, 1)), (names[-1], slice(1, 2))])
    assert set(output) == {names[0], names[-1]}
    other = build_m2dino(config, tasks, seed=1)
    other.load_state_dict(model.state_dict())
    for name in names:
        for one, two in zip(model.heads[name].parameters(), other.heads[name].parameters(), strict=True):
            assert torch.equal(one, two)
    assert sum(1 for _ in model.heads.children()) == len(names)


def test_a_plain_name_stays_readable_in_a_checkpoint() -> None:
    model = build_m2dino(ModelConfig(encoder="vit_tiny_patch16_dinov3_qkvb", head_width=8), [task("lung_2cls")])
    assert any(key.startswith("heads.lung_2cls.") for key in model.state_dict())


@pytest.mark.parametrize("name", AWKWARD)
def test_a_run_of_any_name_has_a_plain_folder_and_is_found_by_it(name: str) -> None:
    run, other = planned(name), planned("other")
    assert name_fault(name) == ""
    assert (
        re.fullmatch(r"[A-Za-z0-9_]{1,60}-f1-s0-\w+", run.folder_name) and run.folder_name.rsplit("-", 1)[-1] == run.id
    )
    assert select([run, other], [name])[0] == run
    assert PlannedRun.from_json(run.to_json()).folder_name == run.folder_name


def test_a_name_with_brackets_is_a_pattern_that_fits_itself() -> None:
    run = planned("[a-c] x")
    assert run.matches("[a-c] x") and run.matches("TS/[[]a-c] x") and not run.matches("b y")


def test_names_that_differ_in_capitals_have_folders_that_do() -> None:
    folders = {planned(name).folder_name.lower() for name in ("lung", "Lung", "lung ", "LUNG")}
    assert len(folders) == 4


@pytest.mark.parametrize(
    "name", ["", "a\nb", "a\x1b[31m", "a\u202eb", "a\u200bb", "\ud800", "a\x7f", "a\u2028b", "x" * 201]
)
def test_names_that_cannot_be_shown_are_refused(name: str) -> None:
    assert name_fault(name)
    with pytest.raises(StudyError, match=r"^aggregations\.(TS|CG)\."):
        clinically_grouped([task("a", group=name)])
    if name:
        with pytest.raises(StudyError):
            task_specific([task(name)])


def test_groups_that_cannot_be_shown_are_refused_with_the_data(tiny_original: Path) -> None:
    with pytest.raises(
        DataError, match=r"groups, tiny_head: is 'a\\x1b\[2J'; take out the invisible character U\+001B"
    ):
        read_dataset(tiny_original, groups={"tiny_head": "a\x1b[2J"})


def test_groups_that_differ_by_a_typing_error_are_reported(tiny_original: Path) -> None:
    dataset = read_dataset(tiny_original, groups={"tiny_head": "Fetal head", "tiny_head_det": "fetal-head"})
    assert any("'Fetal head' and 'fetal-head' differ only" in str(warning) for warning in dataset.warnings)


@pytest.mark.parametrize("name", ["nan", "NA", "None", "null", "-", "true"])
def test_a_task_named_like_a_missing_value_is_a_task(tiny_data: Path, name: str) -> None:
    file = tiny_data / "train/csv_files/Det-One_1.box.csv"
    file.write_text(file.read_text().replace("tiny_head_det", name))
    dataset = read_dataset(tiny_data)
    assert (dataset.cases["task"] == name).sum() == 20 and dataset.tasks[name].group == name
    assert draw_split(dataset).cases("test", name)
    assert len(dataset.notes) == (name != "true") and not dataset.warnings


def test_a_task_that_is_not_there_has_a_near_one(tiny_original: Path) -> None:
    with pytest.raises(DataError, match=r"tiny_hed: is no task of the data; did you mean 'tiny_head'\?"):
        read_dataset(tiny_original, tasks=["tiny_hed"])


@given(st.text())
def test_what_is_printed_can_be_shown(text: str) -> None:
    assert escaped(text).isprintable()
    assert escaped(clean_name(text)) == clean_name(text) or name_fault(clean_name(text))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_name_that_was_cleaned_is_clean(text: str) -> None:
    name = clean_name(text)
    assert clean_name(name) == name == unicodedata.normalize("NFC", name)


def test_alike() -> None:
    assert alike(["lung", "Lung", "lung 2", "lung_2", "LUNG-2", "heart"]) == [
        ["Lung", "lung"],
        ["LUNG-2", "lung 2", "lung_2"],
    ]
    assert alike(["é", "e\u0301", "\u00c9"]) == [["e\u0301", "\u00c9", "é"]]


def test_names_whose_numbers_have_other_values_are_not_alike() -> None:
    assert alike(["-1", "1", "1-2", "12", "1 2 3", "123", "grade -1", "grade 1", "HER2-", "HER2"]) == []
    assert alike(["BI-RADS 2", "birads2", "-1", "\u22121", "3-4", "3 4"]) == [
        ["-1", "\u22121"],
        ["3 4", "3-4"],
        ["BI-RADS 2", "birads2"],
    ]


def shown(terminal: Terminal) -> str:
    assert isinstance(terminal.file, io.StringIO)
    return terminal.file.getvalue()


@pytest.fixture
def terminal() -> Terminal:
    return Terminal(file=io.StringIO(), force_terminal=True, width=200, color_system="standard")


EVIL = "[/x] [red]:heart: \x1b[31m\x07\u202e\x9b2J\r[link=http://a]"


def test_text_of_others_is_not_obeyed_in_lines(terminal: Terminal) -> None:
    say(terminal, EVIL)
    say_warnings(terminal, [EVIL])
    terminal.print(EVIL)
    lines = shown(terminal)
    assert lines.count("[/x] [red]:heart: \\x1b[31m\\x07\\u202e\\x9b2J\\r[link=http://a]") == 3
    assert "\x1b" not in lines and "\u202e" not in lines


def test_text_of_others_is_not_obeyed_in_tables(terminal: Terminal) -> None:
    row = {"group": EVIL, "task": EVIL, "metric": "DSC", "direction": "higher", "aggregation": EVIL, "mean": 0.5}
    board = pd.DataFrame([{**row, "type": "segmentation", "sd": np.nan, "seeds": 1, "floor": 0.1, "beats_floor": True}])
    terminal.print(on_screen(board, [EVIL], EVIL))
    text = shown(terminal)
    assert text.count("[/x] [red]:heart:") >= 3
    assert "\u202e" not in text and "\x07" not in text and "\x1b[31m" not in text and "\x9b" not in text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Segmentation", TaskType.SEGMENTATION),
        (" SEG ", TaskType.SEGMENTATION),
        ("cls", TaskType.CLASSIFICATION),
        ("Regression", TaskType.REGRESSION),
        ("det", TaskType.DETECTION),
        ("segmentaton", None),
        ("", None),
    ],
)
def test_types_are_read_where_they_are_certain(text: str, kind: TaskType | None) -> None:
    assert read_type(text) is kind


def test_near_types() -> None:
    assert near_type("segmentaton") is TaskType.SEGMENTATION and near_type("Detections") is TaskType.DETECTION
    assert near_type("captioning") is None


def test_a_study_names_tasks_in_the_form_of_the_data(tmp_path: Path) -> None:
    """An editor of another system composes letters otherwise; the names mean the same."""
    nfd = unicodedata.normalize("NFD", "Drüse")
    raw = {"name": "s", "data": {"groups": {nfd: "Gruppe\u00a0é"}, "tasks": [f" {nfd} "]}, "margins": {nfd: 0.1}}
    study = parse_study({**raw, "aggregations": {"mine": {"u": [nfd]}}, "training": {"loss_weights": {nfd: 2.0}}}, "s")
    tasks = {"Drüse": task("Drüse")}
    assert study.data.tasks == ("Drüse",) and study.data.groups == {"Drüse": "Gruppe é"}
    assert study.margin(tasks["Drüse"]) == 0.1 and study.training.loss_weights == {"Drüse": 2.0}
    assert [unit.tasks for unit in study.partitions(tasks)[0].units] == [("Drüse",)]
