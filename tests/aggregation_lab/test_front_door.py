"""`import aggregation_lab as agg`: what it offers, at what cost, and what it says where a name is wrong."""

import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import aggregation_lab as agg
from aggregation_lab.config import ModelConfig, MoEConfig, TrainingConfig
from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.splits.split import draw_split
from aggregation_lab.errors import ResultsError
from aggregation_lab.files import write_json
from aggregation_lab.run import CHECKPOINT, DONE, SPEC, RunSpec
from aggregation_lab.storage.sealed_json import write_sealed
from aggregation_lab.training.checkpoint import read_checkpoint
from aggregation_lab.training.execution import train_run
from aggregation_lab.training.trainer import Progress, RunInterrupted
from tests import ROOT
from tests.fake_analysis import empty_analysis
from tests.small_encoder import MINI

OFFERED = ("load_study", "read_scores", "analyse", "Settings", "recommend", "write_report", "load_model", "EXAMPLES")
HEAVY = ("torch", "timm", "pandas", "numpy", "scipy", "matplotlib", "pydantic", "jinja2")


def python(code: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=variables)


def loaded_by(line: str, modules: tuple[str, ...]) -> list[str]:
    """Which of the modules a line loads."""
    done = python(f"import sys, json\nimport aggregation_lab as agg\n{line}\nprint(json.dumps(sorted(sys.modules)))")
    assert done.returncode == 0, done.stderr
    return sorted(set(modules) & set(json.loads(done.stdout)))


# ---- names ----------------------------------------------------------------------------------------------------------


def test_every_name_is_offered_and_there():
    assert set(OFFERED) <= set(agg.__all__) <= set(dir(agg))
    assert set(agg._MODULE_OF) == set(agg.__all__)
    for name, module in agg._MODULE_OF.items():
        assert getattr(agg, name) is getattr(import_module(module), name)


def test_a_wrong_name_says_which_is_near():
    with pytest.raises(AttributeError, match=r"no attribute analyze; did you mean analyse"):
        _ = agg.analyze
    with pytest.raises(ImportError, match="load_studies"):
        from aggregation_lab import load_studies  # noqa: F401


def test_importing_it_loads_nothing_heavy_and_no_analysis():
    assert loaded_by("", (*HEAVY, "analysis", "runners")) == []


def test_looking_at_scores_loads_no_torch_and_no_drawing():
    assert loaded_by("agg.load_study; agg.analyse; agg.recommend; agg.EXAMPLES", ("torch", "timm", "matplotlib")) == []


MISTAKES = """\
import aggregation_lab as agg

analysis = agg.analyse(agg.load_study("x"))
reveal_type(analysis)
reveal_type(agg.load_model("x"))
reveal_type(analysis.gains)
agg.analyze
analysis.gians
analysis.figure("gains_forest", taks=["a"])
"""


LOOKED_INTO = (
    "aggregation_lab,analysis,analysis.pipeline,analysis.result,analysis.named_frames,aggregation_lab.inference.*"
)
"""Where the types of what is used above stand; all the rest, torch above all, would take a minute."""


@pytest.mark.slow
def test_a_type_checker_knows_the_names_and_sees_wrong_ones(tmp_path):
    (tmp_path / "use.py").write_text(MISTAKES)
    settings = f"[mypy]\nfollow_imports = skip\n[mypy-{LOOKED_INTO},pandas.*]\nfollow_imports = normal\n"
    (tmp_path / "mypy.ini").write_text(settings)
    cache = ("--cache-dir", tmp_path / "cache")
    command = [sys.executable, "-m", "mypy", "--config-file", tmp_path / "mypy.ini", *cache, tmp_path / "use.py"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    assert 'Revealed type is "analysis.result.Analysis"' in said
    assert 'Revealed type is "aggregation_lab.inference.model.TrainedModel"' in said
    assert 'Revealed type is "pandas' in said and "DataFrame" in said
    assert 'Module has no attribute "analyze"' in said and '"Analysis" has no attribute "gians"' in said
    assert 'Unexpected keyword argument "taks"' in said


def test_a_file_of_the_users_that_hides_the_analysis_is_one_line(tmp_path):
    (tmp_path / "analysis.py").write_text("x = 1\n")
    done = python("import aggregation_lab as agg\nagg.load_study", tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    last = done.stderr.strip().splitlines()[-1]
    assert f"{tmp_path / 'analysis.py'}: hides the package analysis" in last


# ---- advice and reports ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("one_figure")
def test_three_lines_from_a_study_to_a_figure_and_a_report(tmp_path, monkeypatch):
    study = agg.load_study(agg.EXAMPLES / "us_mini_scale")
    analysis = agg.analyse(study, agg.Settings(draws=50))
    forest = analysis.figure("gains_forest")
    assert set(analysis.gains["task"]) <= {text.get_text() for text in forest.axes[0].get_yticklabels()}
    asked = {"n_train": 300, "task_type": "segmentation", "group": "breast"}
    assert agg.recommend(analysis, **asked) == analysis.recommend(300, "segmentation", "breast")
    assert agg.recommend(analysis, **asked).advice in (*study.aggregations, "undecided")
    analysed: list[object] = []
    monkeypatch.setattr("analysis.recommend.analyse", lambda source: analysed.append(source) or analysis)
    assert agg.recommend(study, **asked) == agg.recommend(analysis, **asked)
    assert len(analysed) == 1 and analysed[0] is study
    assert agg.write_report(analysis, tmp_path / "report") == tmp_path / "report" / "index.html"


def test_advice_without_a_rule_is_one_line():
    with pytest.raises(ResultsError, match="^fake: no rule could be fitted"):
        agg.recommend(empty_analysis(), n_train=100, task_type="segmentation")


# ---- models ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stopped(tiny_dataset, tmp_path_factory) -> Path:
    """The folder of a run that was stopped after its first checkpoint."""
    folder = tmp_path_factory.mktemp("run")
    cache = open_cache(tiny_dataset, 32, tmp_path_factory.mktemp("cache"))
    model = ModelConfig(encoder=MINI, head_width=8, moe=MoEConfig(experts=2, blocks=1))
    training = TrainingConfig(image_size=32, batch_size=4, min_steps=4, passes=0.1, precision="fp32")
    spec = RunSpec(tuple(tiny_dataset.tasks[name] for name in sorted(tiny_dataset.tasks)), 1.0, 3, model, training, "d")
    write_json(folder / SPEC, spec.to_json())

    def stop(progress: Progress) -> None:
        if progress.step == 3:
            raise RunInterrupted

    with pytest.raises(RunInterrupted):
        train_run(spec, tiny_dataset, draw_split(tiny_dataset), cache, folder, report=stop, threads=1)
    return folder


@pytest.fixture
def run_folder(stopped, tmp_path) -> Path:
    return shutil.copytree(stopped, tmp_path / "run")


def test_the_model_of_an_unfinished_run_is_that_of_its_checkpoint(run_folder, tiny_dataset):
    model = agg.load_model(run_folder)
    assert not model.training and not model.description.scored
    weights = read_checkpoint(run_folder / CHECKPOINT)["model"]
    for name, value in model.network.state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=0)
    (probabilities,) = model.predict(np.zeros((40, 30), np.uint8), tiny_dataset.tasks["tiny_kind"])
    assert probabilities.shape == (2,) and abs(probabilities.sum() - 1) < 1e-5
    with pytest.raises(ResultsError, match="its run is not finished, so there is no choice of weights"):
        agg.load_model(run_folder, weights="best")


def test_a_finished_run_that_kept_no_model_says_so(run_folder):
    (run_folder / CHECKPOINT).unlink()
    write_sealed(run_folder / DONE, {"run": "x", "seconds": 1.0})
    with pytest.raises(ResultsError, match="finished and kept no model; with keep: .models: last. .* --rerun unkept"):
        agg.load_model(run_folder)


@pytest.mark.parametrize("missing", [SPEC, CHECKPOINT])
def test_what_a_run_folder_must_hold_is_said(run_folder, missing):
    (run_folder / missing).unlink()
    with pytest.raises(
        ResultsError, match=f"holds no {missing}; a run folder with weights has {SPEC} and {CHECKPOINT}"
    ):
        agg.load_model(run_folder)


def test_a_path_in_place_of_tables_names_what_reads_it(tmp_path):
    asked = (agg.analyse, agg.cases, lambda path: agg.recommend(path, n_train=9, task_type="segmentation"))
    for ask in asked:
        for path in (tmp_path, str(tmp_path)):
            with pytest.raises(ResultsError, match="is a path, and tables are asked for; load_study.folder. reads"):
                ask(path)


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(ResultsError, match=r"there is no such folder; give one of the folders in runs/"):
        agg.load_model(tmp_path / "nothing")


def test_damaged_or_foreign_weights_are_refused(run_folder):
    checkpoint, spec = run_folder / CHECKPOINT, json.loads((run_folder / SPEC).read_text())
    (run_folder / SPEC).write_text(json.dumps(spec | {"seed": 4}))
    with pytest.raises(ResultsError, match=f"{CHECKPOINT} is of run [0-9a-f]+, {SPEC} of [0-9a-f]+"):
        agg.load_model(run_folder)
    (run_folder / SPEC).write_text("{}")
    with pytest.raises(ResultsError, match=f"{SPEC} cannot be read"):
        agg.load_model(run_folder)
    (run_folder / SPEC).write_text(json.dumps(spec))
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1] + b"?")
    with pytest.raises(ResultsError, match=f"{CHECKPOINT} cannot be used .its content has changed"):
        agg.load_model(run_folder)
