"""Settings that change nothing or are lost, and fractions that are no different data, are lines of the plan."""

from dataclasses import replace

import pytest

from aggregation_lab.data.splits.folds import Folds, draw_folds
from aggregation_lab.data.splits.split import Split
from runners.planning import encoder_names, setting_notes
from runners.planning.setting_notes import (
    checkpoint_lines,
    compares_groups,
    equal_fraction_lines,
    lost_lines,
    unknown_group_lines,
    unused_lines,
)
from runners.planning.study_file import parse_study
from tests.aggregation_lab.data.test_folds import SMALL

COPY = {"moe": {"experts": 4, "kind": "copy"}}


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({}, ()),
        ({"training": {"sampling": "temperature", "temperature": 4.0}}, ()),
        (
            {"training": {"temperature": 4.0}},
            ("training.temperature is not used: training.sampling is proportional, not temperature",),
        ),
        (
            {"data": {"split": "mine.csv", "shares": [0.6, 0.2, 0.2]}},
            ("data.shares is not used: data.split says which case is in which part",),
        ),
        (
            {"model": {"moe": {"experts": 0, "kind": "copy", "blocks": 3}}},
            tuple(f"model.moe.{name} is not used: model.moe.experts is 0" for name in ("kind", "blocks")),
        ),
        ({"model": COPY, "arms": {"plain": {"model.moe.experts": 0}, "copy": {}}}, ()),
        (
            {"arms": {"as_is": {}, "hot": {"training.temperature": 4.0}}},
            ("arms.hot.training.temperature is not used: training.sampling is proportional, not temperature",),
        ),
    ],
)
def test_settings_that_are_not_used_are_named(fields, lines):
    assert unused_lines(parse_study({"name": "x"} | fields, "s")) == lines


def test_a_checkpoint_that_fits_in_part_is_told_of_every_arm(monkeypatch):
    monkeypatch.setattr(setting_notes, "checkpoint_note", lambda model, _: "x" if model.weights == "mine.pt" else "")
    assert checkpoint_lines(parse_study({"name": "x", "model": {"weights": "random"}}, "s")) == ()
    mine = {"model.weights": "mine.pt"}
    arms = {"plain": {"model.weights": "random"}, "one": mine, "two": mine | {"training.passes": 2.0}}
    monkeypatch.setattr(encoder_names, "encoder_fault", lambda *_: None)
    assert checkpoint_lines(parse_study({"name": "x", "arms": arms}, "s")) == ("arm one, two: x",)


@pytest.mark.parametrize(
    ("arm", "lost"),
    [
        ({}, ""),
        ({"training.learning_rate": 1e-4}, ""),
        ({"model.weights": "random"}, ""),
        ({"model.weights": None}, ""),
        ({"training": {"learning_rate": 1e-4}}, "training.image_size 224, not 64, training.passes 11, not 3"),
        ({"model": {"encoder": "vit_base_patch16_dinov3"}}, "model.weights random, not hub"),
        ({"training": {"learning_rate": 1e-4, "image_size": 64, "passes": 3}}, ""),
    ],
)
def test_what_an_arm_loses_by_naming_a_section_is_said(arm, lost):
    fields = {"model": {"weights": "hub"}, "training": {"image_size": 64, "passes": 3}}
    said = lost_lines(parse_study({"name": "x", "arms": {"as_is": {}, "own": arm}} | fields, "s"))
    start = f"arms.own has the default of what the study sets: {lost}; a section in an arm is set as a whole"
    assert len(said) == bool(lost) and all(line.startswith(start) for line in said), said


def test_fractions_with_the_same_cases_are_named():
    study = parse_study({"name": "x", "fractions": [0.25, 0.5, 1.0]}, "s")
    drawn = draw_folds(SMALL, 1)
    assert equal_fraction_lines(study, drawn, SMALL) == ()
    table = drawn.splits[0].table
    of_box = table["case"].str.startswith("box_1/")
    by_hand = Folds((Split(table.assign(rank=table["rank"].where(~of_box, 0.0))),))
    assert equal_fraction_lines(study, by_hand, SMALL) == tuple(
        f"fractions {both} are the same training cases in 1 task(s): box_1" for both in ("0.25 and 0.5", "0.5 and 1")
    )


def test_tasks_without_a_known_group_are_named_where_groups_are_compared():
    named = {name: "own" for name in list(SMALL.tasks)[1:]}
    first = next(iter(SMALL.tasks))
    one = replace(SMALL, tasks={name: replace(task, group=named.get(name, name)) for name, task in SMALL.tasks.items()})
    (line,) = unknown_group_lines(named, one)
    assert line.startswith(f"no clinical group is known of {first}: each is a group by itself")
    assert unknown_group_lines({first: first}, one) == ()
    asked = ({"TS": None, "AU": None}, {"TS": None, "CG": None}, {"TS": None, "CG": None, "CG>TS": None})
    assert [compares_groups(parse_study({"name": "x", "aggregations": of}, "s")) for of in asked] == [False, True, True]
