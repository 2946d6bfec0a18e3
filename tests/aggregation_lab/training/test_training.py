"""One run from start to tables: honest ledger, exact resume, determinism, and failures that name step and task."""

import errno
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from aggregation_lab import results
from aggregation_lab.config import ModelConfig, MoEConfig, TrainingConfig
from aggregation_lab.data.cache import ImageCache, open_cache
from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import Split, draw_split
from aggregation_lab.errors import AgglabError, ResultsError, TrainingError
from aggregation_lab.floor import floor_tables
from aggregation_lab.metrics import task_scores
from aggregation_lab.run import CHECKPOINT, DONE, RunSpec
from aggregation_lab.scoring import case_rows
from aggregation_lab.tasks import TaskType
from aggregation_lab.training.checkpoint import read_checkpoint, write_checkpoint
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.optimizer import schedule
from aggregation_lab.training.trainer import Progress, RunInterrupted, Trainer
from tests.small_encoder import EXPERTS, MINI

SIZE = 32
WHOLE = {"encoder": "vit_tiny_patch16_dinov3_qkvb", "moe": MoEConfig(experts=2)}
"""A network of timm's own, with experts in six of its twelve blocks."""


@pytest.fixture(scope="module")
def study(tiny_dataset: Dataset, tmp_path_factory) -> tuple[Dataset, Split, ImageCache]:
    folder = tmp_path_factory.mktemp("cache")
    return tiny_dataset, draw_split(tiny_dataset), open_cache(tiny_dataset, SIZE, folder)


def spec_for(dataset: Dataset, *names: str, seed: int = 0, model: dict | None = None, **training) -> RunSpec:
    tasks = tuple(dataset.tasks[name] for name in names or sorted(dataset.tasks))
    settings = {"image_size": SIZE, "passes": 1, "min_steps": 12, "batch_size": 8, "evaluations": 3, **training}
    fields = {"encoder": MINI, "head_width": 16, "drop_path": 0.1, "moe": EXPERTS, **(model or {})}
    return RunSpec(tasks, 1.0, seed, ModelConfig.model_validate(fields), TrainingConfig(**settings), data="test")


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {name: results.read_table(folder / f"{name}.parquet", table) for name, table in results.RUN_TABLES.items()}


@pytest.fixture(scope="module")
def finished(study, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    train_run(spec_for(study[0], model=WHOLE), *study, folder, threads=1)
    return folder


@pytest.mark.slow
def test_a_run_leaves_all_tables_and_a_true_ledger(study, finished):
    dataset, split, _ = study
    found = tables(finished)
    run = found["runs"].iloc[0]
    assert (finished / DONE).is_file() and not (finished / CHECKPOINT).exists()
    assert run["steps"] == 12 and run["images_seen"] == 12 * 8
    n_train = sum(len(split.cases("train", task)) for task in dataset.tasks)
    assert run["passes"] == pytest.approx(96 / n_train, rel=1e-6, abs=0)
    # one image through the encoder takes at least its plain matrix products, forward and backward
    assert run["flops"] > 96 * 3 * 2 * 12 * 12 * 192**2 * 9
    assert set(found["scores"]["task"]) == set(dataset.tasks)
    assert len(found["curves"]) == 3 * len(dataset.tasks)
    assert set(found["routing"]["block"]) == set(range(6, 12))
    shares = found["routing"].groupby(["task", "block"])["share"].sum()
    assert np.allclose(shares, 1, rtol=0, atol=1e-3)


@pytest.mark.slow
def test_scores_follow_from_the_cases_table_and_cover_exactly_the_test_cases(study, finished):
    dataset, split, _ = study
    found = tables(finished)
    for name, task in dataset.tasks.items():
        cases = found["cases"].query("task == @name")
        assert set(cases["case"]) == set(split.cases("test", name))
        stored = found["scores"].query("task == @name").set_index("metric")["value"]
        for score in task_scores(task.type, cases):
            assert stored[score.metric] == pytest.approx(score.value, rel=1e-6, abs=1e-9, nan_ok=True)


class Kill(BaseException):
    """Stands for a SIGKILL: nothing in the trainer may catch it."""


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", ["last", "best"])
@pytest.mark.parametrize("how", [Kill, RunInterrupted])
def test_killed_and_resumed_equals_uninterrupted_bit_by_bit(study, tmp_path, checkpoint, how):
    spec = spec_for(study[0], checkpoint=checkpoint, precision="fp32")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train_run(spec, *study, whole, threads=1)

    def kill_at(step: int, phase: str):
        def report(progress: Progress) -> None:
            if progress.step == step and progress.phase == phase:
                raise how

        return report

    for step, phase in ((5, "training"), (9, "training"), (12, "scoring")):
        with pytest.raises(how):
            # a checkpoint after every step, so that the kill loses nothing it should not
            train_run(spec, *study, broken, threads=1, report=kill_at(step, phase), checkpoint_seconds=0)
        assert (broken / CHECKPOINT).is_file() and not (broken / DONE).exists()
    train_run(spec, *study, broken, threads=1)
    one, other = tables(whole), tables(broken)
    for name in ("scores", "cases", "curves", "routing"):
        pd.testing.assert_frame_equal(one[name], other[name], check_exact=True)
    assert other["runs"]["resumes"].iloc[0] == 3
    assert other["runs"]["images_seen"].iloc[0] == one["runs"]["images_seen"].iloc[0]


@pytest.mark.slow
def test_the_seed_decides(study, tmp_path):
    names = ("tiny_kind",)
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_run(spec_for(study[0], *names, seed=seed), *study, tmp_path / folder, threads=1)
    a, b, c = (tables(tmp_path / folder)["cases"]["value"].to_numpy() for folder in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize("kind", ["half a file", "another model"])
def test_an_unusable_checkpoint_is_set_aside_and_named(study, tmp_path, kind, capfd):
    if kind == "half a file":
        (tmp_path / CHECKPOINT).write_bytes(b"half a file")
    else:
        write_checkpoint(tmp_path / CHECKPOINT, {"model": {}, "step": 3})
    train_run(spec_for(study[0], "tiny_kind", min_steps=3), *study, tmp_path, threads=1)
    assert (tmp_path / DONE).is_file()
    assert (tmp_path / "checkpoint.damaged").is_file()
    assert "checkpoint.pt: cannot be continued" in capfd.readouterr().out
    assert tables(tmp_path)["runs"]["resumes"].iloc[0] == 0


def test_a_checkpoint_that_cannot_be_read_now_is_not_thrown_away(study, tmp_path, monkeypatch):
    spec = spec_for(study[0], "tiny_kind", min_steps=3)
    Trainer(spec, *study, tmp_path, torch.device("cpu")).save()
    whole = (tmp_path / CHECKPOINT).read_bytes()

    def unreadable(path):
        raise OSError(errno.EIO, "Input/output error", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("aggregation_lab.training.checkpoint.read_bytes", unreadable)
        with pytest.raises(AgglabError, match=r"checkpoint.pt: cannot be read \(Input/output error\); once it can be"):
            train_run(spec, *study, tmp_path, threads=1)
    assert (tmp_path / CHECKPOINT).read_bytes() == whole and not (tmp_path / "checkpoint.damaged").exists()
    train_run(spec, *study, tmp_path, threads=1)
    assert tables(tmp_path)["runs"]["resumes"].iloc[0] == 1


def test_a_checkpoint_knows_that_a_bit_has_changed(tmp_path):
    """torch.load does not: it would train on the wrong number."""
    path, state = tmp_path / CHECKPOINT, {"weights": torch.randn(100, 100), "step": 3}
    write_checkpoint(path, state)
    assert torch.equal(read_checkpoint(path)["weights"], state["weights"])
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="has changed"):
            read_checkpoint(path)


def test_exploding_loss_names_step_and_task(study, tmp_path):
    spec = spec_for(study[0], "tiny_head_axis", "tiny_kind", learning_rate=10.0, warmup=0)
    with pytest.raises(TrainingError, match=r"step \d+: the loss of task tiny_\w+ is (nan|inf|[\d.e+]+); lower"):
        train_run(spec, *study, tmp_path, threads=1)
    assert not (tmp_path / DONE).exists()


def test_top_k_with_balance_trains(study, tmp_path):
    moe = EXPERTS.model_copy(update={"kind": "copy", "top_k": 1, "balance_weight": 0.1})
    spec = spec_for(study[0], "tiny_kind", min_steps=3, model={"moe": moe})
    train_run(spec, *study, tmp_path, threads=1)
    assert np.isfinite(tables(tmp_path)["curves"]["loss"]).all()


@pytest.mark.slow
def test_a_small_task_is_learned(study, tmp_path):
    """Not just running: with some steps the model finds the drawn heads far better than the floor does."""
    dataset, split, cache = study
    spec = spec_for(dataset, "tiny_head", model=WHOLE, min_steps=150, learning_rate=1e-3, warmup=0.05)
    train_run(spec, dataset, split, cache, tmp_path, threads=1)
    score = tables(tmp_path)["scores"].set_index("metric")["value"]["score"]
    floor = floor_tables(dataset, split, 1.0, cache)[0].query("task == 'tiny_head' and metric == 'score'")["value"]
    assert score > floor.item() + 0.05


def test_the_floor_is_trivial_and_complete(study):
    dataset, split, cache = study
    scores, cases = floor_tables(dataset, split, 1.0, cache)
    by_metric = scores.set_index(["task", "metric"])["value"]
    assert by_metric["tiny_kind", "AUC"] == 0.5
    labels = dataset.cases.set_index("case")["label"]
    train = labels[split.cases("train", "tiny_kind")]
    test = labels[split.cases("test", "tiny_kind")]
    assert by_metric["tiny_kind", "accuracy"] == pytest.approx((test == train.mode()[0]).mean(), rel=1e-6, abs=0)
    assert set(cases["case"]) == set(split.cases("test"))
    assert set(scores["seed"]) == {results.SEEDLESS}


def test_a_missing_prediction_is_an_error(study):
    dataset = study[0]
    task = next(task for task in dataset.tasks.values() if task.type is TaskType.DETECTION)
    cases = dataset.cases[dataset.cases["task"] == task.name]
    with pytest.raises(ResultsError, match="every case needs one"):
        case_rows(task, cases, np.zeros((len(cases) - 1, 4)), dataset.root)
    holes = np.zeros((len(cases), 4))
    holes[2, 1] = np.nan
    with pytest.raises(ResultsError, match="is not a number"):
        case_rows(task, cases, holes, dataset.root)


def test_perfect_predictions_score_perfectly_in_original_pixels(study, tmp_path):
    """Through resizing and back: what the cache holds, given as prediction, is close to the reference mask."""
    dataset = study[0]
    cache = open_cache(dataset, 128, tmp_path)
    task = dataset.tasks["tiny_head"]
    cases = dataset.cases[dataset.cases["task"] == task.name]
    masks = cache.masks[[cache.mask_row[content] for content in cases["mask_content"]]]
    rows = case_rows(task, cases, masks, dataset.root)
    scores = {score.metric: score.value for score in task_scores(task.type, rows)}
    assert scores["DSC"] > 0.98 and scores["HD"] <= 1 and scores["missed"] == 0


def test_schedule_rises_then_falls_to_zero():
    factors = [schedule(step, 100, 0.1) for step in range(100)]
    assert factors[9] == 1.0 and factors[0] == pytest.approx(0.1, rel=1e-6, abs=0) and factors[99] < 0.001
    assert np.argmax(factors) in (9, 10) and np.all(np.diff(factors[10:]) < 0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute")  # the compiler's own look at the task embedding
def test_compiled_training_runs(study, tmp_path, monkeypatch):
    """Graphs, with their way back, are caught and run; the C++ that torch would make of them takes a minute and a half
    to build."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    torch._dynamo.utils.counters.clear()
    with torch.random.fork_rng():
        train_run(spec_for(study[0], "tiny_kind", min_steps=3, compile=True), *study, tmp_path, threads=1)
    assert (tmp_path / DONE).is_file()
    counted = torch._dynamo.utils.counters
    assert counted["stats"]["unique_graphs"] > 0 and not counted["graph_break"]
