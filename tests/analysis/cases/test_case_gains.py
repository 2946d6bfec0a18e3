"""Gains of single cases: computed by hand, of one split and of rotating folds, and how they are parted."""

import numpy as np
import pandas as pd
import pytest

from aggregation_lab import EXAMPLES
from aggregation_lab.manifest import Manifest
from analysis.cases.gains import case_gains
from analysis.cases.parts import case_parts, parted
from analysis.context import prepare
from analysis.frames import FRAMES
from analysis.settings import Settings
from analysis.study import StudyTables, load_study

SHIFT = {"TS": [0.0, 0.0], "AU": [0.10, 0.20]}
"""By aggregation and seed: what every case's IoU is raised by."""


def tables(folds: int = 1, seeds: tuple[int, ...] = (0, 1)) -> StudyTables:
    """Six cases of three subjects; with folds a seed tests those of its fold alone."""
    cases, scores = [], []
    for name, shifts in SHIFT.items():
        for seed in seeds:
            here = [case for case in range(6) if folds == 1 or case % folds == seed % folds]
            value = [0.1 * case + shifts[seed % 2] * (1 if case < 4 else -1) for case in here]
            labels = {"run": f"{name}{seed}", "arm": "main", "aggregation": name, "unit": "u", "task": "t"}
            labels |= {"type": "detection", "group": "g", "fraction": 1.0, "seed": seed, "split": "test"}
            for case, iou in zip(here, value, strict=True):
                about = {"case": f"t/clinic_{case % 2}/{case}.png", "subject": f"p{case // 2}", "index": 0}
                cases.append({**labels, **about, "quantity": "iou", "value": iou})
            for metric in ("score", "IoU"):
                score = {"metric": metric, "direction": "higher", "value": float(np.mean(value))}
                scores.append({**labels, **score, "n_train": 10, "n_cases": len(here), "n_undefined": 0})
    manifest = Manifest("made", settings={"data": {"folds": folds}})
    return StudyTables(manifest, pd.DataFrame(scores), pd.DataFrame(cases))


def gains_of(study: StudyTables) -> pd.DataFrame:
    return case_gains(prepare(study, Settings(draws=10))).set_index("case")


def test_a_gain_of_a_case_is_the_mean_over_its_seeds():
    rows = gains_of(tables())
    by_number = rows["gain"].rename(lambda name: int(name[-5])).sort_index()
    np.testing.assert_allclose(by_number.to_numpy(), [0.15] * 4 + [-0.15] * 2, rtol=0, atol=1e-12)
    assert (rows["seeds"] == 2).all() and set(rows["score"]) == {"IoU"}
    np.testing.assert_allclose(rows["joint_score"] - rows["base_score"], rows["gain"], rtol=0, atol=1e-12)
    assert set(rows["source"]) == {"clinic_0", "clinic_1"} and set(rows["class"]) == {""}


def test_with_rotating_folds_a_case_has_the_seed_of_its_fold():
    rows = gains_of(tables(folds=3, seeds=(0, 1, 2)))
    assert len(rows) == 6 and (rows["seeds"] == 1).all()
    assert (rows["shown_seed"] == [int(name[-5]) % 3 for name in rows.index]).all()
    raised = [SHIFT["AU"][(case % 3) % 2] * (1 if case < 4 else -1) for case in (int(name[-5]) for name in rows.index)]
    np.testing.assert_allclose(rows["gain"].to_numpy(), raised, rtol=0, atol=1e-12)


def test_without_cases_the_frame_is_empty():
    study = tables()
    found = case_gains(prepare(StudyTables(study.manifest, study.scores), Settings(draws=10)))
    assert found.empty and list(found.columns) == list(FRAMES["case_gains"])
    assert list(case_parts(found).columns) == list(FRAMES["case_parts"])


@pytest.fixture(scope="module")
def example() -> pd.DataFrame:
    return case_gains(prepare(load_study(EXAMPLES / "us_mini_scale"), Settings(draws=10)))


@pytest.mark.slow
def test_their_mean_is_the_gain_of_the_task_where_its_score_is_a_mean_of_cases(example):
    context = prepare(load_study(EXAMPLES / "us_mini_scale"), Settings(draws=10))
    compared = 0
    for (contrast, share), pairs in context.pairs.items():
        for pair in pairs:
            own = example[(example["contrast"] == contrast.name) & (example["task"] == pair.task)]
            if share == 1.0 and len(own) and own["score"].iloc[0] != "probability of the true class":
                assert own["gain"].mean() == pytest.approx(pair.gain, rel=0, abs=1e-6)
                compared += 1
    assert compared > 10


@pytest.mark.slow
def test_a_classification_takes_the_probability_of_the_true_class(example):
    study = load_study(EXAMPLES / "us_mini_scale")
    own = example[example["type"] == "classification"].iloc[0]
    rows = study.cases[(study.cases["case"] == own["case"]) & (study.cases["aggregation"] == own["base"])]
    rows = rows[(rows["fraction"] == 1.0) & (rows["task"] == own["task"])]
    by_seed = [
        part.loc[(part["quantity"] == "probability") & (part["index"] == int(own["class"])), "value"].item()
        for _, part in rows.groupby("seed")
    ]
    assert own["base_score"] == pytest.approx(np.mean(by_seed), rel=1e-9, abs=0)
    label = rows.loc[rows["quantity"] == "label", "value"].unique()
    assert label.tolist() == [float(own["class"])]


def made(sizes: list[float], classes: list[str]) -> pd.DataFrame:
    about = {"contrast": "AU-TS", "joint": "AU", "base": "TS", "fraction": 1.0, "task": "t", "type": "x", "group": "g"}
    rows = pd.DataFrame({"target_size": sizes, "class": classes, "gain": np.arange(len(sizes)) - 2.0})
    return rows.assign(**about, source="one", image_size=np.nan, subject=[f"p{i // 2}" for i in range(len(sizes))])


def test_parts_are_classes_and_thirds_of_sizes_and_one_value_parts_nothing():
    rows = made([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], ["0", "0", "0", "1", "1", "1"])
    parts = [(by, name.split(",")[0], sorted(part["gain"])) for by, name, part in parted(rows)]
    assert parts == [
        ("class", "0", [-2, -1, 0]),
        ("class", "1", [1, 2, 3]),
        ("target_size", "small", [-2, -1]),
        ("target_size", "middle", [0, 1]),
        ("target_size", "large", [2, 3]),
    ]


def test_a_part_is_described_by_its_own_cases():
    found = case_parts(made([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], ["0", "0", "0", "1", "1", "1"])).set_index(["by", "name"])
    zero = found.loc[("class", "0")]
    assert (zero["cases"], zero["subjects"], zero["mean"], zero["median"]) == (3, 2, -1.0, -1.0)
    assert zero["losing"] == pytest.approx(2 / 3, rel=1e-12, abs=0)


def test_sizes_that_are_alike_or_unknown_part_nothing():
    for sizes in ([0.1] * 6, [np.nan] * 6, [0.1, 0.2, 0.3, 0.4]):
        found = {by for by, _, _ in parted(made(sizes, ["0", "1", "0", "1", "0", "1"][: len(sizes)]))}
        assert found == {"class"}


def test_few_sizes_are_parts_themselves():
    parts = [name for by, name, _ in parted(made([0.2, 0.1, 0.2, 0.3], ["0"] * 4)) if by == "target_size"]
    assert parts == ["0.1", "0.2", "0.3"]
