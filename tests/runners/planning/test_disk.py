"""The disk of kept files: counted without a model in memory, and what the files then take."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

from aggregation_lab.config import ModelConfig, MoEConfig
from aggregation_lab.model.m2dino import build_m2dino
from aggregation_lab.run import BEFORE_COOLDOWN, MASKS, PREDICTIONS
from aggregation_lab.tasks import Task, TaskType
from aggregation_lab.training.checkpoint import write_checkpoint
from aggregation_lab.training.keep import Keep
from aggregation_lab.training.optimizer import make_optimizer
from runners.planning.disk import disk_line, kept_files, model_bytes, size_text
from runners.planning.study_file import read_study_file
from runners.store.prepare import plan_only
from runners.store.study_folder import StudyFolder
from tests.tiny import planned, write_study

ALL = (
    Task("seg", TaskType.SEGMENTATION, 5, "g"),
    Task("det", TaskType.DETECTION, 1, "g"),
    Task("reg", TaskType.REGRESSION, 3, "g"),
    Task("cls", TaskType.CLASSIFICATION, 8, "g"),
)
MODELS = (
    ModelConfig(encoder="vit_tiny_patch16_dinov3_qkvb", moe=MoEConfig(experts=2, kind="copy", blocks=2)),
    ModelConfig(encoder="resnet18", moe=MoEConfig(experts=0), head_width=32),
)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.encoder)
@pytest.mark.parametrize("tasks", [ALL, ALL[3:]], ids=["four", "one"])
def test_weights_take_what_was_counted(model, tasks):
    run = planned("cls", image_size=64)
    run = replace(run, spec=replace(run.spec, tasks=tasks, model=model), keep=Keep(models=("last", "best")))
    real = len(save(build_m2dino(model, tasks, image_size=64).state_dict()))
    assert model_bytes(run) == pytest.approx(real, rel=0.01, abs=0)
    (use,) = kept_files([run, run, planned("keeps nothing")])
    assert use.runs == 2 and use.bytes == pytest.approx(4 * real, rel=0.01, abs=0)
    assert disk_line([run]) == [f"kept on disk: models of 1 runs {size_text(2 * model_bytes(run))}"]


@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_the_checkpoint_of_a_run_that_its_cap_ends_takes_what_was_counted(tmp_path, checkpoint):
    run = planned("cls", image_size=64, until="converged", checkpoint=checkpoint)
    run = replace(run, spec=replace(run.spec, tasks=ALL, model=MODELS[1]))
    model = build_m2dino(run.spec.model, ALL, image_size=64)
    optimizer = make_optimizer(model, run.spec.training, torch.device("cpu"))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    best = {name: value.clone() for name, value in model.state_dict().items()} if checkpoint == "best" else None
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "best": best}
    write_checkpoint(tmp_path / BEFORE_COOLDOWN, state)
    (use,) = kept_files([run, run, planned("of a budget")])
    assert use.bytes == pytest.approx(2 * (tmp_path / BEFORE_COOLDOWN).stat().st_size, rel=0.02, abs=0)
    said = f"kept on disk: checkpoints of 2 runs {size_text(use.bytes)} if the cap ends all of them"
    assert disk_line([run, run]) == [said]


def test_nothing_kept_is_not_told():
    assert disk_line([planned("one")]) == []


def test_sizes_are_rounded_for_reading():
    assert [size_text(count) for count in (850e3, 42.4e6, 3.14e9, 31.4e9)] == ["850 kB", "42 MB", "3.1 GB", "31 GB"]


@pytest.mark.slow
def test_predictions_take_what_was_estimated(tiny_original, predicted):
    """A grid of four task types, three aggregations and two seeds, whose predictions are targets that were moved."""
    out = StudyFolder(predicted)
    study = read_study_file(predicted.with_name("study.yaml"), data=tiny_original)
    plan, folders = plan_only(study, out, lambda *_: None), out.runs.folders(out.read_plan())
    real = {
        run: sum((folder / name).stat().st_size for name in (PREDICTIONS, MASKS)) for run, folder in folders.items()
    }
    assert plan.predictions.keys() == real.keys()
    for run, size in real.items():
        assert plan.predictions[run] == pytest.approx(size, rel=0.2, abs=0), folders[run].name
    (use,) = kept_files(plan.runs, plan.predictions)
    assert (use.what, use.runs) == ("predictions", len(real))
    assert use.bytes == pytest.approx(sum(real.values()), rel=0.1, abs=0)


def test_predictions_of_runs_that_keep_none_take_nothing(tiny_original, tmp_path):
    file = write_study(tmp_path / "study.yaml", keep={"predictions": "none"})
    plan = plan_only(read_study_file(file, data=tiny_original), StudyFolder(tmp_path / "out"), lambda *_: None)
    assert plan.runs and plan.predictions == {} and disk_line(plan.runs, plan.predictions) == []
