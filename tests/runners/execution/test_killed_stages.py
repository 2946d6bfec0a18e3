"""A grid of two stages that are trained until they have converged, its worker killed in a cooldown of either: where a
budget and a single stage have nothing."""

import functools
import os
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from aggregation_lab import results
from aggregation_lab.run import RunSpec
from runners.execution import grid
from tests.chaos import MEASURED
from tests.runners.commands.test_cli import agglab
from tests.started import torch_at_hand
from tests.tiny import STUDY, write_study

KILLS = "kills"
"""A folder beside that of the study: where it is there, workers are killed, and note it in it."""


def train(spec: RunSpec, *data: Any, report: Any, **more: Any) -> None:
    """What workers call: the real training, with a SIGKILL in a cooldown of either stage, and until then a
    checkpoint after every step."""
    from aggregation_lab.training.execution import train_run

    kills, cooldown = Path(data[-1]).parents[2] / KILLS, 0
    mark = kills / ("first stage" if spec.start is None else "second stage")

    def killing(progress: Any) -> None:
        nonlocal cooldown
        report(progress)
        cooldown += not progress.at_most
        if cooldown == 2 and kills.is_dir() and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    seconds = 0.0 if kills.is_dir() and not mark.exists() else 60.0
    train_run(spec, *data, report=killing, checkpoint_seconds=seconds, **more)


@pytest.mark.slow
def test_killed_in_the_cooldown_of_either_stage_the_tables_are_those_of_an_undisturbed_grid(
    tmp_path, tiny_original, capsys, monkeypatch
):
    monkeypatch.setattr("runners.execution.pool.get_context", lambda _: torch_at_hand())
    monkeypatch.setattr(grid, "WorkerConfig", functools.partial(grid.WorkerConfig, train=f"{__name__}:train"))
    training = STUDY["training"] | {"until": "converged", "most_passes": 0.3, "rise": 0.0}
    data, stages = {"tasks": ["tiny_kind", "tiny_head"]}, ["AU", "AU>TS"]
    study = write_study(tmp_path / "study.yaml", data=data, aggregations=stages, training=training)
    whole, broken = tmp_path / "whole", tmp_path / "broken"

    def run(out: Path) -> str:
        code, text, errors = agglab(
            capsys, "run-grid", study, "--data", tiny_original, "--out", out, "--device", "cpu", "--jobs", 1
        )
        assert code == 0, text + errors
        return text

    run(whole)
    (tmp_path / KILLS).mkdir()
    text = run(broken)
    assert text.count("was killed by SIGKILL") == len(list((tmp_path / KILLS).iterdir())) == 2
    for name, table in results.TABLES.items():
        one, other = (results.read_table(out / f"{name}.parquet", table) for out in (whole, broken))
        drop = [column for column in MEASURED if column in one]
        pd.testing.assert_frame_equal(one.drop(columns=drop), other.drop(columns=drop), check_exact=True)
    assert results.read_table(broken / "runs.parquet", results.RUNS)["resumes"].sum() == 2
