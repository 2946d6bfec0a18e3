"""Score tables from any trainer: the paper's public numbers, a bare CSV, cases, and every fault in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aggregation_lab.errors import ResultsError
from analysis.external import PAPER, read_scores
from analysis.pipeline import analyse
from analysis.settings import Settings
from analysis.tables import paper_tables

QUICK = Settings(draws=200)


def written(folder: Path, text: str) -> Path:
    path = folder / "scores.csv"
    path.write_text(text)
    return path


def bare(folder: Path, tasks: int = 6, seeds: int = 4) -> Path:
    """task, aggregation, seed, value of two aggregations; AU is 0.05 better."""
    random = np.random.default_rng(0)
    rows = [
        (f"task{task}", name, seed, 0.6 + 0.05 * (name == "AU") + random.normal(0, 0.01))
        for task in range(tasks)
        for name in ("TS", "AU")
        for seed in range(seeds)
    ]
    path = folder / "scores.csv"
    pd.DataFrame(rows, columns=["task", "aggregation", "seed", "value"]).to_csv(path, index=False)
    return path


def test_the_papers_public_numbers():
    analysis = analyse(read_scores(PAPER), QUICK)
    relative = analysis.frames["gains"].set_index(["contrast", "task"])["relative"]
    assert f"{relative['CG-TS', 'breast_lesion']:+.1%}" == "-79.7%"
    assert f"{relative['AU-TS', 'breast_lesion']:+.1%}" == "-2.9%"  # the paper writes -3.0 from unrounded scores
    assert relative["AU-TS", "FUGC"] == pytest.approx((30.4 - 15.6) / 30.4, rel=1e-6, abs=0)
    assert set(analysis.frames["gains"]["verdict"]) == {"undecided"}
    assert any("mean of pixel errors and DSC has no unit" in each for each in analysis.warnings)
    assert "FUGC" in " ".join(analysis.frames["excluded"]["reason"])
    pooled = analysis.frames["pooled"]
    assert pooled.query("contrast == 'AU-TS' and level == 'overall'")["tasks"].iloc[0] == 2


def test_four_columns_are_enough(tmp_path):
    analysis = analyse(read_scores(bare(tmp_path)), QUICK)
    gains = analysis.frames["gains"]
    assert set(gains["verdict"]) == {"benefit"} and set(gains["basis"]) == {"seeds only"}
    overall = analysis.frames["pooled"].query("level == 'overall'").iloc[0]
    assert overall["low_new"] < 0.05 < overall["high_new"]
    said = " ".join(analysis.warnings)
    for missing in ("No cases", "No n_train", "No task types", "One clinical group"):
        assert missing in said
    for name in ("across", "within", "guidelines"):
        assert analysis.frames[name].empty
    with pytest.raises(ResultsError, match="no rule could be fitted"):
        analysis.recommend(100, "segmentation")


def test_an_unknown_metric_between_0_and_1_keeps_its_decimals(tmp_path):
    analysis = analyse(read_scores(bare(tmp_path)), QUICK)
    assert set(analysis.frames["gains"]["unit"]) == {"1"}
    shown = next(each for each in paper_tables(analysis) if each.name == "gains").frame
    assert shown["base"].str.fullmatch(r"0\.\d{3}").all()
    wide = pd.read_csv(bare(tmp_path)).assign(value=lambda rows: 100 * rows["value"])
    wide.to_csv(tmp_path / "wide.csv", index=False)
    scores = next(
        each for each in paper_tables(analyse(read_scores(tmp_path / "wide.csv"), QUICK)) if each.name == "scores"
    )
    assert set(scores.frame["metric"]) == {"value ↑"}


def test_one_seed_without_cases_is_said_once(tmp_path):
    said = analyse(read_scores(bare(tmp_path, seeds=1)), QUICK).warnings
    assert sum("no cases" in each.lower() for each in said) == 1


def test_cases_and_sizes_are_used(tmp_path):
    random = np.random.default_rng(0)
    rows = [
        (
            f"task{task}",
            name,
            seed,
            f"c{case}",
            f"p{case // 2}",
            0.7 + random.normal(0, 0.1),
            2**task * 100,
            "MRE_relative",
        )
        for task in range(6)
        for name in ("TS", "AU")
        for seed in range(3)
        for case in range(20)
    ]
    columns = ["task", "aggregation", "seed", "case", "subject", "value", "n_train", "metric"]
    path = tmp_path / "cases.parquet"
    pd.DataFrame(rows, columns=columns).to_parquet(path)
    analysis = analyse(read_scores(path), QUICK)
    gains = analysis.frames["gains"]
    assert set(gains["basis"]) == {"seeds and cases"} and set(gains["subjects"]) == {10}
    assert len(analysis.frames["across"]) == 2
    frame = pd.read_parquet(path).groupby(["task", "aggregation"])["value"].mean().unstack()
    expected = frame["TS"] - frame["AU"]  # an error: lower is better
    np.testing.assert_allclose(gains.set_index("task")["gain"], expected, rtol=1e-4, atol=1e-6)


def test_names_of_challenge_tasks_bring_type_and_group(tmp_path):
    text = "task,aggregation,seed,value\nfetal_head,TS,0,0.9\nfetal_head,AU,0,0.8\n"
    scores = read_scores(written(tmp_path, text)).scores
    assert set(scores["type"]) == {"segmentation"} and set(scores["group"]) == {"obstetrics"}


HEADER = "task,aggregation,seed,metric,value\n"

FAULTS = {
    "missing column": ("task,aggregation,value\na,TS,1\n", "misses column seed"),
    "no rows": (HEADER, "has no rows"),
    "not a number": (HEADER + "a,TS,0,DSC,high\n", "row 2: value 'high' is not a number"),
    "empty value": (HEADER + "a,TS,0,DSC,0.5\na,AU,0,DSC,\n", "row 3: value is empty"),
    "infinite": (HEADER + "a,TS,0,DSC,inf\n", "row 2: value is not finite"),
    "half a seed": (HEADER + "a,TS,0.5,DSC,0.5\n", "row 2: seed 0.5 is not a whole number"),
    "unknown metric": (HEADER + "a,TS,0,NSD,0.5\n", "row 2: metric NSD has no known direction"),
    "repeated row": (HEADER + "a,TS,0,DSC,0.5\na,TS,0,DSC,0.6\n", "row 3: repeats task a, aggregation TS"),
    "two groups": (
        "task,aggregation,seed,value,group\na,TS,0,0.5,x\na,AU,0,0.5,y\n",
        "task a has more than one group",
    ),
    "fraction": ("task,aggregation,seed,value,fraction\na,TS,0,0.5,2\n", "row 2: fraction must be in"),
    "DSC in per cent beside shares": (
        HEADER + "a,TS,0,DSC,0.7\na,AU,0,DSC,71.3\n",
        "row 3: DSC 71.3 lies outside [0, 1]; give shares, not per cent",
    ),
    "negative error": (HEADER + "a,TS,0,MRE,-3\n", "row 2: MRE -3 lies outside [0, inf)"),
    "n_train of nothing": (
        "task,aggregation,seed,value,n_train\na,TS,0,0.5,0\n",
        "row 2: n_train must be greater than 0; leave it empty",
    ),
    "seed beyond counting": (HEADER + f"a,TS,{10**20},DSC,0.5\n", "is not a whole number below 2^53"),
    "AUC of cases": ("task,aggregation,seed,metric,value,case\na,TS,0,AUC,0.5,c\n", "AUC is no mean over cases"),
    "direction": (
        "task,aggregation,seed,metric,value,direction\na,TS,0,NSD,0.5,up\n",
        "row 2: metric NSD has a direction that is neither",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line_with_file_and_row(tmp_path, fault):
    text, expected = FAULTS[fault]
    path = written(tmp_path, text)
    with pytest.raises(ResultsError) as caught:
        read_scores(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and expected in message and "\n" not in message


def test_a_missing_file_and_a_picture(tmp_path):
    with pytest.raises(ResultsError, match="does not exist"):
        read_scores(tmp_path / "absent.csv")
    picture = tmp_path / "picture.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe")
    with pytest.raises(ResultsError, match="is an image, no table"):
        read_scores(picture)


def test_one_aggregation_is_no_comparison(tmp_path):
    path = written(tmp_path, "task,aggregation,seed,value\na,TS,0,0.5\n")
    with pytest.raises(ResultsError, match="has scores of TS only"):
        analyse(read_scores(path))


def test_aggregations_without_a_common_seed_are_said_and_counted(tmp_path):
    """AU has seeds of its own, and CG lacks one task: nothing of it is dropped in silence."""
    path = bare(tmp_path)
    rows = pd.read_csv(path)
    grouped = rows[(rows["aggregation"] == "AU") & (rows["task"] != "task5")].assign(aggregation="CG")
    rows["seed"] += 10 * (rows["aggregation"] == "AU")
    pd.concat([rows, grouped]).to_csv(path, index=False)
    analysis = analyse(read_scores(path), QUICK)
    assert set(analysis.frames["gains"]["contrast"]) == {"CG-TS"}
    assert "AU-TS cannot be compared at fraction 1: no task has a seed under both aggregations." in analysis.warnings
    excluded = analysis.frames["excluded"].set_index("reason")["rows"]
    said = "at fraction 1: tasks without a seed under both aggregations: "
    assert excluded[f"CG-TS {said}task5"] == 4
    assert excluded[f"AU-TS {said}{', '.join(f'task{number}' for number in range(6))}"] == 48


def test_other_cases_under_each_aggregation_are_one_line(tmp_path):
    rows = [f"t,{name},0,{name}{case},0.5" for name in ("TS", "AU") for case in range(3)]
    path = written(tmp_path, "task,aggregation,seed,case,value\n" + "\n".join(rows) + "\n")
    with pytest.raises(ResultsError, match="task t: no test case has a score under every aggregation"):
        read_scores(path)


def test_a_score_is_the_same_metric_in_every_arm(tmp_path):
    """AU is better in both metrics, whichever of them the table happens to name first for it."""
    values = {"TS": (0.80, 0.67), "AU": (0.82, 0.70)}
    rows = []
    for name, (dsc, iou) in values.items():
        for seed in range(3):
            pair = [f"t,segmentation,{name},{seed},DSC,{dsc}", f"t,segmentation,{name},{seed},IoU,{iou}"]
            rows += pair if name == "TS" else pair[::-1]
    table = "task,type,aggregation,seed,metric,value\n" + "\n".join(rows) + "\n"
    study = read_scores(written(tmp_path, table))
    score = study.scores[study.scores["metric"] == "score"].groupby("aggregation")["value"].unique()
    assert score["TS"].tolist() == [0.80] and score["AU"].tolist() == [0.82]
    assert any("of one metric per task, where there are several: DSC of t." in note for note in study.notes)
    lacking = read_scores(written(tmp_path, table.replace("t,segmentation,AU,1,DSC,0.82\n", "")))
    assert set(lacking.scores.loc[lacking.scores["metric"] == "score", "value"]) == {0.67, 0.70}


def test_pixel_errors_beside_relative_ones_are_no_lack(tmp_path):
    rows = [
        f"t,{name},0,{metric},{value}" for name in ("TS", "AU") for metric, value in (("MRE", 9), ("MRE_relative", 0.1))
    ]
    study = read_scores(written(tmp_path, "task,aggregation,seed,metric,value\n" + "\n".join(rows) + "\n"))
    assert not any("No unit-free score" in note for note in study.notes)
    assert set(study.scores.loc[study.scores["metric"] == "score", "value"]) == {0.9}


@pytest.mark.parametrize("scale", ["relative", "standardised"])
def test_a_task_whose_gain_is_undefined_is_counted_and_spoils_no_mean(tmp_path, scale):
    """A base score of 0 has no relative gain, a task without scatter no standardised one."""
    path = bare(tmp_path)
    rows = pd.read_csv(path)
    rows.loc[rows["task"] == "task0", "value"] = 0.0 if scale == "relative" else 1.0
    rows["n_train"] = 100 + 50 * rows["task"].str[-1].astype(int)
    rows.to_csv(path, index=False)
    analysis = analyse(read_scores(path), Settings(scale, draws=50))
    gains, pooled = analysis.frames["gains"], analysis.frames["pooled"]
    assert "task0" not in set(gains["task"]) and "task1" in set(gains["task"])
    assert pooled.loc[pooled["level"] == "overall", "gain"].notna().all()
    assert any(f"undefined {scale} gain: task0" in reason for reason in analysis.frames["excluded"]["reason"])


def test_two_aggregations_without_ts(tmp_path):
    path = bare(tmp_path)
    path.write_text(path.read_text().replace(",TS,", ",CG,"))
    assert set(analyse(read_scores(path), QUICK).frames["gains"]["contrast"]) == {"AU-CG"}


@pytest.mark.parametrize("value", ["0.5", "1.0"])
def test_constant_scores_decide_nothing(tmp_path, value):
    rows = [f"t{task},{name},{seed},{value}" for task in range(3) for name in ("TS", "AU") for seed in range(3)]
    path = written(tmp_path, "task,aggregation,seed,value\n" + "\n".join(rows) + "\n")
    assert set(analyse(read_scores(path), QUICK).frames["gains"]["verdict"]) == {"undecided"}


def test_one_case_is_not_resampled(tmp_path):
    rows = [
        f"t,{name},{seed},c0,{0.5 + seed * scale}" for name, scale in (("TS", 0.1), ("AU", 0.12)) for seed in range(3)
    ]
    path = written(tmp_path, "task,aggregation,seed,case,value\n" + "\n".join(rows) + "\n")
    gains = analyse(read_scores(path), QUICK).frames["gains"]
    assert set(gains["basis"]) == {"seeds only"} and set(gains["verdict"]) == {"undecided"}


@pytest.mark.parametrize(("direction", "sign"), [("", 1), ("lower", -1)])
def test_cases_of_an_unknown_metric_in_another_unit_are_analysed(tmp_path, direction, sign):
    """Values of 50 and more without a name of the metric: no share, so gains keep their own unit and direction."""
    random = np.random.default_rng(0)
    lines = [
        f"{task},{name},{seed},c{case},{50 + 5 * (name == 'AU') + random.normal():.3f},{direction}"
        for task in ("a", "b")
        for name in ("TS", "AU")
        for seed in range(3)
        for case in range(12)
    ]
    path = written(tmp_path, "task,aggregation,seed,case,value,direction\n" + "\n".join(lines) + "\n")
    frames = analyse(read_scores(path), QUICK).frames
    assert (np.sign(frames["gains"]["gain"]) == sign).all()
    assert len(frames["multiverse"]) == 2


def test_a_table_may_have_arms(tmp_path):
    """A column arm beside the aggregation: an analysis is of one arm, and rows of two arms repeat nothing."""
    path = bare(tmp_path)
    rows = pd.read_csv(path)
    both = pd.concat([rows.assign(arm="plain"), rows.assign(arm="wide", value=rows["value"] - 0.1)])
    both.to_csv(path, index=False)
    study = read_scores(path)
    assert study.arms == ["plain", "wide"] and study.of_arm().arm == "plain"
    known = read_scores(bare(tmp_path)).scores["value"].to_numpy()
    np.testing.assert_allclose(study.of_arm("plain").scores["value"], known, rtol=0, atol=1e-12)
    np.testing.assert_allclose(study.of_arm("wide").scores["value"], known - 0.1, rtol=0, atol=1e-12)
    with pytest.raises(ResultsError, match="has no arm deep; it has plain, wide"):
        study.of_arm("deep")


def test_a_column_arm_alone_is_asked_about(tmp_path):
    """Many call the aggregation so."""
    path = bare(tmp_path)
    pd.read_csv(path).rename(columns={"aggregation": "arm"}).to_csv(path, index=False)
    with pytest.raises(ResultsError, match="misses column aggregation.*--map aggregation=arm"):
        read_scores(path)
    mapped = read_scores(path, mapped={"aggregation": "arm"})
    assert mapped.arms == ["main"] and mapped.aggregations == ["TS", "AU"]
