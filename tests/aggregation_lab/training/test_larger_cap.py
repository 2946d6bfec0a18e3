"""A run with a larger cap goes on where a smaller one ended the same run, or takes its result as it is: bit by bit what
training from scratch gives."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from aggregation_lab.config import TrainingConfig
from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.splits.split import draw_split
from aggregation_lab.files import file_digest
from aggregation_lab.kept.another_id import write_as
from aggregation_lab.kept.model_files import read_description, read_weights
from aggregation_lab.kept.predictions import read_predictions
from aggregation_lab.run import BEFORE_COOLDOWN, CHECKPOINT, DONE, MASKS, PREDICTIONS, RunSpec, weights_file
from aggregation_lab.training.affinity.settings import AffinitySettings
from aggregation_lab.training.checkpoint import read_checkpoint
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.keep import Keep
from tests.aggregation_lab.training.test_converged_run import BUDGET, SIZE, Data, Kill, spec_for, tables

KEEP = Keep(predictions=True, models=("last", "best"))
CONVERGED = ("until", "rise", "patience", "most_passes")
SMALL, LARGE = 0.24, 0.6
"""Caps in passes: 12 steps before the cooldown, and 30."""


@pytest.fixture(scope="module")
def data(tiny_dataset, tmp_path_factory) -> Data:
    return tiny_dataset, draw_split(tiny_dataset), open_cache(tiny_dataset, SIZE, tmp_path_factory.mktemp("cache"))


def train(spec: RunSpec, data, folder: Path, **options) -> dict[str, pd.DataFrame]:
    train_run(spec, *data, folder, threads=1, **options)
    return tables(folder)


def done(folder: Path) -> dict:
    return json.loads((folder / DONE).read_text())


def assert_same(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    """Tables that only differ in what was measured of time and memory."""
    for name in ("scores", "cases", "curves", "routing"):
        pd.testing.assert_frame_equal(one[name], other[name], check_exact=True)
    measured = ["seconds", "train_seconds", "peak_memory", "started", "resumes"]
    ledgers = [each["runs"].drop(columns=measured) for each in (one, other)]
    pd.testing.assert_frame_equal(*ledgers, check_exact=True)


def assert_kept_alike(one: Path, other: Path) -> None:
    """The files that two folders keep have the same content, byte by byte where it does not tell of versions."""
    for name in (weights_file("last"), weights_file("best"), PREDICTIONS, MASKS):
        assert file_digest(one / name) == file_digest(other / name), name
    assert read_description(one) == read_description(other)


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_what_the_cap_ended_goes_on_as_if_there_had_been_the_larger_one(data, tmp_path, checkpoint, monkeypatch):
    # whatever the scores of so few steps are
    monkeypatch.setattr("aggregation_lab.training.course.rising", lambda steps, scores, *_: set(scores))
    names, settings = ("tiny_kind", "tiny_head_axis"), {"checkpoint": checkpoint}
    short, long = (spec_for(data, *names, most_passes=cap, **settings) for cap in (SMALL, LARGE))
    options = {"keep": KEEP, "affinity": AffinitySettings()}
    earlier = train(short, data, tmp_path / "short", **options)
    assert earlier["runs"]["steps"].item() == 15 and done(tmp_path / "short")["capped"] is True
    assert read_checkpoint(tmp_path / "short" / BEFORE_COOLDOWN)["step"] == 12
    (tmp_path / "further").mkdir()
    os.link(tmp_path / "short" / BEFORE_COOLDOWN, tmp_path / "further" / CHECKPOINT)

    def kill(progress) -> None:
        if progress.step == 14:
            raise Kill

    with pytest.raises(Kill):
        train(long, data, tmp_path / "further", report=kill, checkpoint_seconds=0, **options)
    further, scratch = (train(long, data, tmp_path / name, **options) for name in ("further", "scratch"))
    assert scratch["runs"]["steps"].item() > 15
    assert_same(further, scratch)
    assert_kept_alike(tmp_path / "further", tmp_path / "scratch")
    assert file_digest(tmp_path / "further/affinity.parquet") == file_digest(tmp_path / "scratch/affinity.parquet")
    assert (
        further["runs"]["resumes"].item() == 2
        and further["runs"]["started"].item() == earlier["runs"]["started"].item()
    )
    assert read_checkpoint(tmp_path / "short" / BEFORE_COOLDOWN)["step"] == 12, "the earlier run has what it had"


@pytest.mark.slow
def test_what_ended_by_itself_is_the_result_of_any_larger_cap(data, tmp_path):
    short, long = (spec_for(data, "tiny_kind", "tiny_head_axis", most_passes=cap, rise=0.9) for cap in (SMALL, LARGE))
    options = {"keep": KEEP, "affinity": AffinitySettings()}
    train(short, data, tmp_path / "short", **options)
    assert done(tmp_path / "short")["capped"] is False and not (tmp_path / "short" / BEFORE_COOLDOWN).exists()
    scratch = train(long, data, tmp_path / "scratch", **options)
    write_as(long, tmp_path / "short", tmp_path / "taken")
    assert_same(tables(tmp_path / "taken"), scratch)
    for name in ("scores", "cases", "curves", "routing", "affinity"):
        of_both = [done(tmp_path / folder)["digests"][name] for folder in ("taken", "scratch")]
        assert of_both[0] == of_both[1] == file_digest(tmp_path / "taken" / f"{name}.parquet"), name
    assert_kept_alike(tmp_path / "taken", tmp_path / "scratch")
    taken = tmp_path / "taken"
    assert read_predictions(taken, long.id) is not None and read_weights(taken, "last")
    assert done(taken)["taken_over"] == short.id and done(taken)["seconds"] == done(tmp_path / "short")["seconds"]


@pytest.mark.slow
def test_a_run_goes_on_from_no_other_one(data, tmp_path, capsys):
    """What differs in more than the cap, and any checkpoint but that before the cooldown."""
    settings = {"most_passes": SMALL, "rise": 0.0, "patience": 0.9}
    short = spec_for(data, "tiny_kind", **settings)
    with pytest.raises(Kill):
        train(short, data, tmp_path, report=_kill_at(13), checkpoint_seconds=0)
    before, in_cooldown = tmp_path / BEFORE_COOLDOWN, tmp_path / CHECKPOINT
    longer = spec_for(data, "tiny_kind", **settings | {"most_passes": LARGE})
    for spec, checkpoint in ((replace(longer, seed=1), before), (longer, in_cooldown)):
        folder = tmp_path / spec.id
        folder.mkdir()
        os.link(checkpoint, folder / CHECKPOINT)
        with pytest.raises(Kill):
            train(spec, data, folder, report=_kill_at(1))
        assert f"cannot be continued (it is of run {short.id})" in capsys.readouterr().out


def _kill_at(step: int):
    def report(progress) -> None:
        if progress.step == step:
            raise Kill

    return report


def test_a_run_of_a_budget_leaves_no_checkpoint_for_a_larger_one(data, tmp_path):
    spec = spec_for(data, "tiny_kind")
    training = {name: value for name, value in spec.training.model_dump().items() if name not in CONVERGED}
    train(replace(spec, training=TrainingConfig.model_validate(training)), data, tmp_path)
    assert not (tmp_path / BEFORE_COOLDOWN).exists() and "capped" not in done(tmp_path)
    assert tables(tmp_path)["runs"]["steps"].item() == BUDGET
