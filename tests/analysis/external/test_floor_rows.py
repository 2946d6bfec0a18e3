"""The trivial predictor of a score table: without a fraction, or an arm, it stands beside the models of each."""

from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from aggregation_lab.errors import ResultsError
from analysis.context import prepare
from analysis.external import read_scores
from analysis.frames import frame
from analysis.questions.caveats.every import caveats
from analysis.questions.study_quality import data, ledger, scores
from analysis.questions.task_gains import task_gains
from analysis.settings import Settings
from analysis.study import StudyTables

QUICK = Settings(draws=20)


def models(fractions=("0.25", "1"), arms=("",), tasks=("t", "u")) -> pd.DataFrame:
    """AU is 0.05 better; at a quarter of the data no model reaches 0.6, at all of it every one does."""
    rows = [
        {"task": task, "arm": arm, "aggregation": name, "seed": seed, "fraction": fraction, "metric": "DSC"}
        | {"value": 0.3 + 0.5 * (float(fraction) > 0.5) + 0.05 * (name == "AU") + 0.002 * seed * (name == "AU")}
        for task, arm, name, seed, fraction in product(tasks, arms, ("TS", "AU"), range(3), fractions)
    ]
    return pd.DataFrame(rows)


def floor(value: float = 0.6, fraction: str = "", task: str = "t", arm: str = "") -> pd.DataFrame:
    row = {"task": task, "arm": arm, "aggregation": "floor", "seed": "", "fraction": fraction, "metric": "DSC"}
    return pd.DataFrame([row | {"value": value}])


def table(folder: Path, *rows: pd.DataFrame) -> StudyTables:
    path = folder / "own.csv"
    pd.concat(rows).to_csv(path, index=False)
    return read_scores(path)


def floors(study: StudyTables, *names: str) -> dict:
    own = study.scores[(study.scores["aggregation"] == "floor") & (study.scores["metric"] == "DSC")]
    return own.set_index([*names])["value"].to_dict()


def said(study: StudyTables, gains: pd.DataFrame) -> list[str]:
    frames = {
        "scores": scores(study, gains),
        "gains": gains,
        "power": frame("power", []),
        "ledger": ledger(study),
        "data": data(study),
        "collapsed": frame("collapsed", []),
    }
    return [each for each in caveats(study, frames) if "trivial predictor" in each]


def gains_of(study: StudyTables) -> pd.DataFrame:
    context = prepare(study, QUICK)
    return task_gains(context.study, context.resampled, context.pairs, QUICK)


def test_a_floor_without_a_fraction_is_that_of_every_fraction(tmp_path):
    study = table(tmp_path, models(), floor(task="t"), floor(task="u"))
    assert floors(study, "task", "fraction") == {key: 0.6 for key in product(("t", "u"), (0.25, 1.0))}
    gains = gains_of(study).set_index(["task", "fraction"])
    assert gains["learned_nothing"].to_dict() == {(task, share): share == 0.25 for task in "tu" for share in (0.25, 1)}
    assert set(gains.xs(0.25, level="fraction")["verdict"]) == {"undecided"}
    assert set(gains.xs(1.0, level="fraction")["verdict"]) == {"benefit"}
    assert said(study, gains.reset_index()) == []


def test_one_of_its_own_at_a_fraction_stands_there(tmp_path):
    study = table(tmp_path, models(), floor(0.6), floor(0.2, "0.25"))
    assert floors(study, "fraction") == {0.25: 0.2, 1.0: 0.6}
    with pytest.raises(ResultsError, match="repeats"):
        table(tmp_path, models(), floor(0.6), floor(0.5))


def test_a_floor_at_some_fractions_only_is_said(tmp_path):
    study = table(tmp_path, models(), floor(fraction="1", task="t"))
    assert floors(study, "fraction") == {1.0: 0.6}
    (sentence,) = said(study, gains_of(study))
    assert "or not at every fraction, in 2 of 2 tasks (t, u): whether the models learned anything" in sentence
    (sentence,) = said(study := table(tmp_path, models(), floor(task="t")), gains_of(study))
    assert "in 1 of 2 tasks (u)" in sentence


def test_a_fraction_of_the_floor_alone_is_none_of_the_study(tmp_path):
    study = table(tmp_path, models(("0.25", "0.5")), floor(fraction="1"))
    assert study.fractions == [0.25, 0.5] and study.full == 0.5
    study = table(tmp_path, models(("0.25", "0.5")), floor())
    assert floors(study, "fraction") == {0.25: 0.6, 0.5: 0.6}


def test_a_floor_without_an_arm_is_that_of_every_arm(tmp_path):
    study = table(tmp_path, models(arms=("small", "large")), floor(), floor(0.1, "0.25", arm="large"))
    assert study.arms == ["large", "small"]
    assert floors(study, "arm", "fraction") == {
        ("large", 0.25): 0.1,
        ("large", 1.0): 0.6,
        ("small", 0.25): 0.6,
        ("small", 1.0): 0.6,
    }


def test_a_floor_by_cases_keeps_them(tmp_path):
    cases = pd.concat([models(tasks="t").assign(case=f"c{case}") for case in range(4)])
    study = table(tmp_path, cases, *(floor().assign(case=f"c{case}") for case in range(4)))
    assert study.cases is not None
    own = study.cases[study.cases["aggregation"] == "floor"]
    assert own.groupby("fraction")["case"].agg(list).to_dict() == {
        share: ["c0", "c1", "c2", "c3"] for share in (0.25, 1.0)
    }
    assert floors(study, "fraction") == {0.25: pytest.approx(0.6, abs=1e-12), 1.0: pytest.approx(0.6, abs=1e-12)}
