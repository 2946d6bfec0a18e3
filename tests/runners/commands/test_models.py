"""predict, submit and export as a user calls them, on a study of seconds that keeps its models."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import aggregation_lab as agg
from aggregation_lab.storage.sealed_json import read_sealed
from runners.cli import main
from runners.planning.disk import kept_files
from runners.store.kept_models import choose_models
from runners.store.run_folder import State
from runners.store.run_store import unkept
from runners.store.study_folder import StudyFolder
from tests.aggregation_lab.inference.trained import train
from tests.tiny import write_study

TASKS = {"tiny_head": "segmentation", "tiny_head_det": "detection", "tiny_head_axis": "Regression"}
TASKS["tiny_kind"] = "classification"


def agglab(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def study(tiny_original: Path, tmp_path_factory) -> StudyFolder:
    """Five runs with their best weights; the last weights are scored."""
    folder = tmp_path_factory.mktemp("study")
    file = write_study(folder / "study.yaml", keep={"models": "best"}, aggregations=["TS", "AU"])
    arguments = ("run-grid", file, "--data", tiny_original, "--out", folder / "out", "--engine", "debug")
    assert agglab(*arguments, "--device", "cpu") == 0
    return StudyFolder(folder / "out")


@pytest.fixture
def val(tiny_original: Path, tmp_path: Path) -> Path:
    """A folder as the challenge gives it: the layout of the training data, without any label."""
    root = tmp_path / "challenge" / "val"
    shutil.copytree(tiny_original / "train", root)
    for file in (root / "csv_files").glob("*.csv"):
        table = pd.read_csv(file)
        kept = [
            column for column in ("task_id", "task_name", "num_classes", "image_path", "mask_path") if column in table
        ]
        table.iloc[:5][kept].to_csv(file, index=False)
    for mask in root.rglob("masks/*.png"):
        mask.unlink()
    return root.parent


# ---- submit ---------------------------------------------------------------------------------------------------------


def faults(val: Path, submission: Path) -> list[str]:
    """Written from the description of the challenge's files alone, with nothing of the project: what is wrong."""
    rows = []
    for file in sorted((val / "val" / "csv_files").iterdir()):
        with open(file, newline="", encoding="utf-8") as stream:
            rows += list(csv.DictReader(stream))
    fields = {
        "classification": {"image_path", "task_id", "predicted_class", "predicted_probs"},
        "detection": {"image_path", "task_id", "bbox_normalized", "bbox_pixels"},
        "regression": {"image_path", "task_id", "predicted_points_normalized", "predicted_points_pixels"},
    }
    found, expected_files = [], set()
    for kind, names in fields.items():
        asked = [row for row in rows if row["task_name"].lower() == kind]
        if not asked:
            continue
        expected_files.add(f"{kind}_predictions.json")
        answers = json.loads((submission / f"{kind}_predictions.json").read_text(encoding="utf-8"))
        if sorted((a["task_id"], a["image_path"]) for a in answers) != sorted(
            (r["task_id"], r["image_path"]) for r in asked
        ):
            found.append(f"{kind}: rows and answers differ")
        for answer in answers:
            row = next(
                row for row in asked if (row["task_id"], row["image_path"]) == (answer["task_id"], answer["image_path"])
            )
            with Image.open(val / "val" / "csv_files" / row["image_path"]) as image:
                width, height = image.size
            if set(answer) != names:
                found.append(f"{kind}: fields {sorted(answer)}")
            elif kind == "classification":
                probabilities = answer["predicted_probs"]
                if len(probabilities) != int(row["num_classes"]) or abs(sum(probabilities) - 1) > 1e-4:
                    found.append("classification: no distribution over the classes")
                if probabilities[answer["predicted_class"]] != max(probabilities):
                    found.append("classification: not the likeliest class")
            else:
                shares, pixels = (answer[name] for name in sorted(names - {"image_path", "task_id"}))
                count = 4 if kind == "detection" else 2 * int(row["num_classes"])
                if not len(shares) == len(pixels) == count or not all(0 <= share <= 1 for share in shares):
                    found.append(f"{kind}: {count} numbers in [0, 1] are asked for")
                sides = [width, height] * (count // 2)
                if any(abs(s * side - p) > 1e-3 for s, side, p in zip(shares, sides, pixels, strict=True)):
                    found.append(f"{kind}: pixels and shares of the sides differ")
    for row in rows:
        if row["task_name"] == "segmentation":
            place = row["mask_path"].replace("../", "")
            expected_files.add(place)
            with (
                Image.open(submission / place) as mask,
                Image.open(val / "val" / "csv_files" / row["image_path"]) as image,
            ):
                values = np.asarray(mask)
                if mask.format != "PNG" or mask.size != image.size or values.ndim != 2:
                    found.append(f"{place}: no single-channel PNG of the image's size")
                if values.dtype != np.uint8 or values.max() >= int(row["num_classes"]):
                    found.append(f"{place}: values are no class indices")
    files = {file.relative_to(submission).as_posix() for file in submission.rglob("*") if file.is_file()}
    return found + sorted(f"{name}: missing or not asked for" for name in files ^ expected_files)


@pytest.mark.slow
def test_a_submission_of_a_study_passes_the_challenges_description(study, val, tmp_path, capsys):
    out = tmp_path / "submission"
    assert agglab("submit", study, val, "--out", out, "--device", "cpu") == 0
    assert faults(val, out) == []
    shown = capsys.readouterr().out
    assert "25 rows of 4 tasks, each answered once" in shown
    receipt = read_sealed(tmp_path / "submission.json")
    assert receipt["rows"] == 25 and set(receipt["files"]) == {
        file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file()
    }
    for task, chosen in receipt["models"].items():
        assert task in TASKS and chosen["label"] in ("TS", "AU") and f"{chosen['score']:.3f}" in shown
    assert agglab("submit", study, val, "--out", out) == 1
    assert "is there already; choose a new or empty folder" in capsys.readouterr().err
    # stopped before the folder got its name, the same command goes on; a file of somebody else's is no receipt
    shutil.rmtree(out)
    assert agglab("submit", study, val, "--out", out, "--device", "cpu") == 0
    assert read_sealed(tmp_path / "submission.json") == receipt and faults(val, out) == []
    shutil.rmtree(out)
    (tmp_path / "submission.json").write_text("[]")
    assert agglab("submit", study, val, "--out", out, "--device", "cpu") == 1
    assert "submission.json: is there already, and the receipt goes there" in capsys.readouterr().err
    assert (tmp_path / "submission.json").read_text() == "[]" and not out.exists()


def test_the_checker_sees_what_is_wrong(val, tmp_path):
    """A submission written by hand, whole and then with one fault after the other."""
    out = tmp_path / "byhand"
    rows = []
    for file in sorted((val / "val" / "csv_files").iterdir()):
        rows += pd.read_csv(file).to_dict("records")
    kinds: dict[str, list[dict]] = {"classification": [], "detection": [], "regression": []}
    for row in rows:
        kind, named = row["task_name"].lower(), {"image_path": row["image_path"], "task_id": row["task_id"]}
        if kind == "segmentation":
            place = out / row["mask_path"].replace("../", "")
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((48, 64), np.uint8)).save(place)
        elif kind == "classification":
            kinds[kind].append(named | {"predicted_class": 0, "predicted_probs": [0.75, 0.25]})
        elif kind == "detection":
            kinds[kind].append(named | {"bbox_normalized": [0, 0, 0.5, 0.5], "bbox_pixels": [0, 0, 32, 24]})
        else:
            points = {"predicted_points_normalized": [0, 0.5, 1, 0.5], "predicted_points_pixels": [0, 24, 64, 24]}
            kinds[kind].append(named | points)

    def write(**changed: list[dict]) -> None:
        for kind, answers in (kinds | changed).items():
            (out / f"{kind}_predictions.json").write_text(json.dumps(answers))

    write()
    assert faults(val, out) == []
    for kind, answers in kinds.items():
        write(**{kind: answers[1:]})
        assert f"{kind}: rows and answers differ" in faults(val, out)
        write(**{kind: [*answers, answers[0]]})
        assert f"{kind}: rows and answers differ" in faults(val, out)
    write()
    Image.fromarray(np.full((48, 64), 3, np.uint8)).save(place)
    assert any("values are no class indices" in fault for fault in faults(val, out))
    Image.fromarray(np.zeros((64, 48), np.uint8)).save(place)
    assert any("no single-channel PNG of the image's size" in fault for fault in faults(val, out))


@pytest.mark.slow
def test_runs_together_answer_all_tasks_and_one_aggregation_may_be_asked_for(study, val, tmp_path, capsys):
    of_ts = [folder for folder in study.runs.root.iterdir() if folder.name.startswith("tiny")]
    assert len(of_ts) == 4
    assert agglab("submit", *of_ts, val, "--out", tmp_path / "runs", "--json", "--device", "cpu") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["rows"] == 25 and set(summary["models"]) == set(TASKS)
    assert faults(val, tmp_path / "runs") == []
    chosen = choose_models([study.path], TASKS, "AU")
    assert {choice.label for choice in chosen.values()} == {"AU"}
    # one run alone, and a run twice
    assert agglab("submit", of_ts[0], val, "--out", tmp_path / "one") == 1
    assert "no model for" in capsys.readouterr().err and not (tmp_path / "one").exists()
    assert agglab("submit", of_ts[0], val, "--out", tmp_path / "one", "--partial", "--device", "cpu") == 0
    assert "rows are left out, no model for" in capsys.readouterr().out
    assert agglab("submit", of_ts[0], study, val, "--out", tmp_path / "two") == 1
    assert "have a model; give one of them" in capsys.readouterr().err
    assert agglab("submit", study, val, "--out", tmp_path / "two", "--aggregation", "AV") == 2
    assert "--aggregation AV: is none of" in capsys.readouterr().err


@pytest.mark.slow
def test_faults_of_a_val_folder_are_a_line_each_and_leave_nothing(study, val, tmp_path, capsys):
    images = sorted((val / "val" / "Segmentation").rglob("images/*.png"))
    images[0].write_bytes(b"no image")
    assert agglab("submit", study, val, "--out", tmp_path / "out", "--device", "cpu") == 1
    errors = capsys.readouterr().err
    assert "Seg-Three_1.HC18_tiny.csv line 3: " in errors and "cannot be decoded" in errors
    images[0].unlink()
    assert agglab("submit", study, val, "--out", tmp_path / "out") == 1
    assert f"image_path: '../Segmentation/Three/HC18_tiny/images/{images[0].name}' " in capsys.readouterr().err
    assert agglab("submit", study, tmp_path, "--out", tmp_path / "out") == 1
    assert "has no csv_files, nor has val in it" in capsys.readouterr().err
    assert not list(tmp_path.glob("*out*"))


def test_the_folder_of_a_study_is_refused_with_its_runs_that_have_a_model(study, val, tmp_path, capsys):
    """It was said to hold no spec.json."""
    arguments = (
        "predict",
        study.path,
        next((val / "val").rglob("images")),
        "--out",
        tmp_path / "out",
        "--device",
        "cpu",
    )
    assert agglab(*arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{study.path}: is the folder of a study" in line and "5 of its runs have one, the first is " in line
    assert agglab(*arguments, "--task", "tiny_kind") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert " of its runs have one of tiny_kind, the first is " in line
    run = Path(line.rpartition("the first is ")[2])
    assert agglab("predict", run, *arguments[2:], "--task", "tiny_kind") == 0
    assert agglab(*arguments, "--task", "tiny_kinds") == 1
    assert "none of them is of tiny_kinds; did you mean tiny_kind" in capsys.readouterr().err


# ---- predict, export, status ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_predict_says_what_it_did_and_what_it_left_out(study, val, tmp_path, capsys):
    run = next(folder for folder in study.runs.root.iterdir() if folder.name.startswith("all"))
    images = next((val / "val").rglob("images"))
    (images / "broken.png").write_bytes(b"x")
    arguments = ("predict", run, images, "--out", tmp_path / "out", "--device", "cpu")
    assert agglab(*arguments) == 1
    assert "--task: is needed, the run has 4 tasks" in capsys.readouterr().err
    assert agglab(*arguments, "--task", "tiny_head") == 1
    shown = capsys.readouterr().out
    assert "these are the best weights; the run's scores are those of the last ones" in shown
    assert "left out  broken.png: cannot be decoded" in shown and "28 images predicted, 1 left out" in shown
    assert agglab(*arguments, "--task", "tiny_head", "--json") == 1
    summary = json.loads(capsys.readouterr().out)
    assert summary["images"] == 28 and list(summary["left_out"]) == ["broken.png"]
    (images / "broken.png").unlink()
    assert agglab(*arguments, "--task", "tiny_head", "--quiet") == 0
    assert capsys.readouterr().out == ""
    with pytest.warns(UserWarning, match="best weights"):
        model = agg.load_model(run)
    mask = np.asarray(Image.open(tmp_path / "out" / "masks" / "000_HC.png"))
    assert mask.shape == model.predict(images / "000_HC.png", "tiny_head")[0].shape


@pytest.mark.slow
def test_export_is_run_beside_torch_and_told(tiny_dataset, tmp_path, capsys):
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    run = train(tiny_dataset, tmp_path / "kind", "tiny_kind").folder
    assert agglab("export", run, "--out", tmp_path / "kind.onnx", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["task"] == "tiny_kind" and summary["difference"] <= 1e-4
    assert (tmp_path / "kind.onnx").stat().st_size > 1e6


@pytest.mark.slow
def test_the_plan_estimates_the_disk_that_models_take(study):
    real = sum(file.stat().st_size for file in study.runs.root.rglob("model*"))
    (use,) = [each for each in kept_files(study.read_plan()) if each.what == "models"]
    assert use.runs == 5 and use.bytes == pytest.approx(real, rel=0.02, abs=0)


@pytest.mark.slow
def test_status_names_runs_that_have_lost_their_model(study, capsys):
    assert agglab("status", study) == 0
    assert "lack" not in capsys.readouterr().out
    runs = study.read_plan()
    folder = study.runs.folder(runs[0])
    weights = next(folder.glob("model-*.safetensors"))
    weights.rename(folder / "elsewhere")
    try:
        states = study.runs.statuses(runs)
        assert states[runs[0].id].state is State.DONE and unkept(runs, states) == [runs[0]]
        assert agglab("status", study) == 0
        assert "1 finished runs lack what keep asks for (model-best.safetensors)" in capsys.readouterr().out
    finally:
        (folder / "elsewhere").rename(weights)


@pytest.mark.slow
def test_scripts_get_one_object_and_quiet_commands_nothing(study, tiny_original, capsys):
    file = study.path.parent / "study.yaml"
    arguments = (file, "--data", tiny_original, "--out", study)
    assert agglab("plan", *arguments, "--json") == 0
    planned = json.loads(capsys.readouterr().out)
    assert len(planned["runs"]) == 5 and planned["to_do"] == [] and planned["kept_bytes"]["models"] > 1e8
    assert agglab("run-grid", *arguments, "--engine", "debug", "--json") == 0
    assert json.loads(capsys.readouterr().out)["states"] == {"done": 5}
    assert agglab("run-grid", *arguments, "--engine", "debug", "--quiet") == 0
    assert capsys.readouterr().out == ""
    assert agglab("status", study, "--json") == 0
    assert json.loads(capsys.readouterr().out)["unfinished"] == []
