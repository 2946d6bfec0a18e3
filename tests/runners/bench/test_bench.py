"""The benchmarks run at their smallest size and give finite figures."""

import csv
import importlib.util
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from aggregation_lab.config import ModelConfig
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.phantoms import PhantomConfig
from aggregation_lab.method_names import Aggregator, Weighting
from runners.bench import longer
from runners.bench.analysis_speed import analysis
from runners.bench.attribution import attribution
from runners.bench.grid import MEASURED, overhead, peers
from runners.bench.growth import exponents, growth, more_data
from runners.bench.longer import ENDS, flag
from runners.bench.measuring import Table
from runners.bench.methods import methods
from runners.bench.recipe.scores import BETTER, recipe
from runners.bench.recording import recording
from runners.bench.setting import Setting, cut_down
from runners.bench.stopping import joint_stopping, stopping
from runners.bench.training import SCORING, bare, experts, frozen, loading, scoring, workers
from tests.small_encoder import EXPERTS, MINI
from tests.started import torch_at_hand

TASKS = ("breast_lesion", "breast_3cls", "FUGC", "thyroid_nodule_det")
"""One of each type, and two of one organ: TS, CG and AU differ."""
SMALL = {"minimum": 32, "maximum": 32, "image_size": 64}


@pytest.fixture(scope="module")
def setting(tmp_path_factory) -> Iterator[Setting]:
    made = Setting(
        tmp_path_factory.mktemp("bench"),
        size=32,
        passes=0.05,
        rounds=1,
        growth_seeds=(1, 2),
        data_sizes=(((1, 24), (2, 24)),),
        analysis_size=(3, 120, 200),
    )
    with pytest.MonkeyPatch.context() as fewer:
        fewer.setattr("runners.bench.setting.PhantomConfig", partial(PhantomConfig, tasks=TASKS, **SMALL))
        yield made


@pytest.fixture(autouse=True)
def in_short(monkeypatch):
    """Fewer steps between two looks at the clock, fewer images and looks at memory, workers that find torch loaded."""
    monkeypatch.setattr("runners.bench.training.STEPS", 2)
    monkeypatch.setattr("runners.bench.attribution.STEPS", 2)
    monkeypatch.setattr("runners.bench.growth.IMAGES", 16)
    monkeypatch.setattr("runners.bench.measuring.LOOK_EVERY", (0.5, 2.0))
    monkeypatch.setattr("runners.bench.training.get_context", lambda _: torch_at_hand())


def figures(table: Table) -> list[float]:
    return [cell for row in table.rows for cell in row if isinstance(cell, int | float)]


@pytest.mark.slow
@pytest.mark.parametrize("part", [bare, experts, frozen, loading, workers, attribution, growth, more_data, analysis])
def test_a_part_gives_finite_figures(part, setting):
    found = figures(part(setting))
    assert found and all(math.isfinite(figure) for figure in found)


@pytest.mark.slow
def test_the_flag_is_judged_once_for_every_task_and_rule(setting, monkeypatch):
    small = {"model": ModelConfig(encoder=MINI, head_width=16, moe=EXPERTS)}
    read = longer.read_study_file
    monkeypatch.setattr(longer, "read_study_file", lambda *file, **at: read(*file, **at).model_copy(update=small))
    rows, tasks = flag(setting).rows, read_dataset(setting.phantoms).tasks
    assert [row[0] for row in rows] == list(ENDS)
    for _, rose, hits, stayed, alarms in rows:
        assert 0 < rose + stayed <= len(tasks)
        assert (0 <= hits <= 1 if rose else math.isnan(hits)) and (0 <= alarms <= 1 if stayed else math.isnan(alarms))


@pytest.mark.slow
def test_smoothing_gives_less_away_where_scores_are_noisy(setting, monkeypatch):
    monkeypatch.setattr("runners.bench.stopping.CURVES", 200)
    table = stopping(setting)
    rows = {row[:2]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    smoothed, raw = rows["best running median of three", 0.05], rows["best score", 0.05]
    assert smoothed["score given away"] < raw["score given away"] and smoothed["hits"] > raw["hits"]
    assert all(rows[rule, 0.0]["hits"] == 1 for rule, _ in rows)


@pytest.mark.slow
def test_tasks_of_joint_units_end_as_near_their_best_as_alone(setting, monkeypatch):
    monkeypatch.setattr("runners.bench.stopping.UNITS", 40)
    monkeypatch.setattr("runners.bench.stopping.NOISE", (0.0, 0.05))
    table = joint_stopping(setting)
    rows = {row[1:3]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    alone, plain, allowing = rows[1, "no"], rows[10, "no"], rows[10, "yes"]
    given = "score given away by a task"
    assert plain["budgets, median"] > 2 * alone["budgets, median"]
    assert allowing["budgets, median"] < 2 * alone["budgets, median"]
    assert plain[given] < 0.2 * alone[given] and allowing[given] < 1.5 * alone[given]


@pytest.mark.slow
def test_every_method_is_timed_against_the_plain_step(setting, monkeypatch):
    monkeypatch.setattr("runners.bench.methods.ENCODER", MINI)
    monkeypatch.setattr("runners.bench.methods.ModelConfig", partial(ModelConfig, head_width=16, moe=EXPERTS))
    table = methods(setting)
    rows = {name: (times, more) for name, times, more, *_ in table.rows}
    peers = {name: others for name, _, _, *others in table.rows if others[0] != ""}
    assert set(rows) == {*get_args(Aggregator), *get_args(Weighting)} - {"fixed"}
    assert rows["none"] == (1.0, 0.0)
    assert all(times > 0.2 and math.isfinite(more) for times, more in rows.values())
    assert all(times > 0.2 and math.isfinite(more) and beside > 0.1 for times, more, beside in peers.values())
    if importlib.util.find_spec("LibMTL") is not None:
        assert {"none", "pcgrad", "gradvac", "mgda", "imtl_g", "uncertainty", "dwa", "gls", "rlw"} == set(peers)
        assert peers["none"][:2] == [1.0, 0.0]


@pytest.mark.slow
def test_recording_is_a_share_of_the_steps_and_never_lowers_the_peak(setting):
    small, full, memory = recording(setting).rows
    for _, steps, moments, worth, share, *_ in (small, full):
        assert share == pytest.approx(moments * worth / steps, rel=1e-9, abs=0) and worth > 0
    assert full[1] > small[1] and 20 >= full[2] >= small[2] >= 1
    assert 1 <= memory[-2] < 2


@pytest.mark.slow
def test_scoring_is_a_share_of_the_run(setting):
    table = scoring(setting, {"passes": 0.05, "min_steps": 3, "evaluations": 3})
    (share,) = [value for label, value, _ in table.rows if label == SCORING]
    assert 0 < share < 1


@pytest.mark.slow
def test_the_recipe_stands_beside_the_networks_of_each_type(setting):
    table = recipe(replace(setting, folds=1))
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    kinds = {name.split(", ")[1] for name in rows if name.startswith("mean of ")}
    assert set(TASKS) <= set(rows) and {"detection", "classification"} <= kinds
    for name, row in rows.items():
        assert all(-1 <= row[model] <= 1 for model in ("agglab", "U-Net", "ResNet18") if row[model] != "")
        assert row["U-Net"] != "" or row["floor"] == 0.5, name  # AUC of a constant: classes have no U-Net
        better = max(row[model] for model in ("U-Net", "ResNet18") if row[model] != "")
        assert row[BETTER] == ("" if better <= 0 else pytest.approx(row["agglab"] / better, rel=1e-6, abs=1e-9))


@pytest.mark.slow
def test_peers_do_the_work_of_agglab_and_its_time_adds_up(setting):
    table = peers(setting)
    names = [row[0] for row in table.rows]
    ours, plain = (dict(zip(table.columns, row, strict=True)) for row in table.rows[:2])
    assert names[0] == "agglab" and names[1].startswith("plain PyTorch")
    assert plain["runs"] == ours["runs"] > 0
    assert plain["steps"] == ours["steps"] > 0 and plain["images"] == ours["images"] > 0
    assert all(math.isfinite(figure) for figure in figures(table))
    assert ours["preparation s"] + ours["training s"] == pytest.approx(ours["total s"], rel=1e-6, abs=1e-9)
    shares = {row[0]: row[1] for row in overhead(setting).rows}
    assert 0 < shares[MEASURED] < 1
    assert sum(share for label, share in shares.items() if label.startswith("- ")) == pytest.approx(
        shares[MEASURED], rel=1e-6, abs=1e-9
    )


def test_a_folder_is_cut_down_by_class(tiny_original, tmp_path):
    def classes(folder: Path) -> Counter:
        found: Counter = Counter()
        for file in (folder / "train" / "csv_files").glob("*.csv"):
            with open(file, newline="", encoding="utf-8") as stream:
                found.update((row["task_id"], row.get("mask")) for row in csv.DictReader(stream))
        return found

    before, after = classes(tiny_original), classes(cut_down(tiny_original, 0.5, tmp_path / "half"))
    assert after == {key: max(8, round(count / 2)) for key, count in before.items()}
    assert set(read_dataset(tmp_path / "half").tasks) == {"tiny_head", "tiny_head_det", "tiny_head_axis", "tiny_kind"}


def test_exponents_of_growth():
    rows = [(1, 5.0, 7.0, 2.0), (10, 1.0, 1.0, 1.0), (100, 10.0, 100.0, 1.0)]
    label, *found = exponents(rows)
    assert label == "exponent" and found == pytest.approx([1.0, 2.0, 0.0], rel=1e-6, abs=1e-6)


def test_a_table_is_markdown():
    table = Table("Title", ("what", "value"), (("a", 0.123456), ("longer", 1234)), "A note.")
    assert str(table).splitlines() == [
        "### Title",
        "",
        "| what   | value |",
        "|--------|-------|",
        "| a      | 0.12  |",
        "| longer | 1,234 |",
        "",
        "A note.",
    ]
