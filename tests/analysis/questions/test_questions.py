"""Task types, stability, guidelines and findings, on studies of which the truth is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.context import prepare
from analysis.contrasts import Contrast
from analysis.pairing import pair_all
from analysis.pipeline import analyse
from analysis.questions.common_cells import common_cells
from analysis.questions.finding_parts import Part
from analysis.questions.findings import CLAIMS, WHOLE
from analysis.questions.stability import _jackknife, spread_p
from analysis.questions.type_sensitivity import type_sensitivity
from analysis.settings import Settings
from analysis.statistics.verdicts import UNDECIDED as NO_VERDICT
from analysis.validation.simulate import Design, simulate

AU_TS = Contrast("AU", "TS")
QUICK = Settings(draws=200)


def pairs_of(design: Design, seed: int = 0):
    return pair_all(simulate(design, seed).scores(0, 0), AU_TS, 1.0)


def sensitivity_of(design: Design, seed: int = 0):
    pairs = pairs_of(design, seed)
    verdicts = pd.Series(NO_VERDICT, index=[each.task for each in pairs])
    return type_sensitivity(pairs, verdicts, 0)


# ---- types -------------------------------------------------------------------------------------------------------


def test_a_sensitive_type_is_found():
    frame, test = sensitivity_of(Design(type_effects={"segmentation": -0.06}, levels={"AU": 0.0}))
    row = frame.set_index("type").loc["segmentation"]
    assert row["against_others"] == pytest.approx(-0.06, abs=0.02) and row["others_high"] < 0
    assert row["p"] < 0.01 and test["p"].iloc[0] < 0.01


def test_no_type_effect_has_uniform_p_values():
    found = [
        sensitivity_of(Design(levels={"AU": 0.0}, seeds=2, subjects=10), seed)[1]["p"].iloc[0] for seed in range(60)
    ]
    assert stats.kstest(found, "uniform").pvalue > 0.001


def test_type_difference_is_welchs():
    pairs = pairs_of(Design(levels={"AU": 0.0}, task_sd=0.02))
    frame, _ = sensitivity_of(Design(levels={"AU": 0.0}, task_sd=0.02))
    own = [each.by_seed.mean() for each in pairs if each.type == "detection"]
    others = [each.by_seed.mean() for each in pairs if each.type != "detection"]
    interval = stats.ttest_ind(own, others, equal_var=False).confidence_interval()
    row = frame.set_index("type").loc["detection"]
    found = [row["others_low"], row["others_high"]]
    np.testing.assert_allclose(found, [interval.low, interval.high], rtol=1e-6, atol=1e-9)


def test_one_type_is_compared_with_nothing():
    frame, test = sensitivity_of(Design(types=("detection",), levels={"AU": 0.0}))
    assert frame["against_others"].isna().all() and test["p"].isna().all() and "types" in test["note"].iloc[0]


# ---- stability ---------------------------------------------------------------------------------------------------


def test_jackknife_of_a_mean_is_the_t_interval():
    values = np.array([0.1, 0.4, 0.2, 0.7, 0.3])
    found = _jackknife(lambda keep: float(values[keep].mean()), np.array(list("abcde")))
    interval = stats.ttest_1samp(values, 0).confidence_interval()
    np.testing.assert_allclose(found, [values.mean(), interval.low, interval.high], rtol=1e-8, atol=1e-12)


@pytest.fixture(scope="module")
def unstable():
    """CG scatters over groups, AU does not; CG harms segmentation."""
    design = Design(tasks=16, seeds=3, subjects=60, fractions=(0.5, 1.0), levels={"CG": 0.0, "AU": 0.02})
    simulated = simulate(design.with_(group_sd=0.0), 3)
    tables = simulated.tables()
    shift = dict(zip(sorted(set(simulated.about["group"])), np.linspace(-0.15, 0.15, 8), strict=True))
    moved = {}
    for name in ("scores", "cases"):
        table = getattr(tables, name)
        extra = table["group"].map(shift).astype(float) * (table["aggregation"] == "CG")
        moved[name] = table.assign(value=table["value"] + extra)
    return analyse(type(tables)(tables.manifest, **moved), QUICK)


def test_the_steadier_aggregation_is_found(unstable):
    frame = unstable.frames["stability"]
    rows = frame[frame["scope"] == "all fractions"].set_index("contrast")
    assert rows.loc["CG-TS", "spread"] > 5 * rows.loc["AU-TS", "spread"]
    assert rows.loc["CG-TS minus AU-TS", "spread_low"] > 0
    assert rows.loc["CG-TS", "worst"] == pytest.approx(-0.15, abs=0.03)
    assert rows.loc["CG-TS", "harmed"] > 0.2 > rows.loc["AU-TS", "harmed"]
    common = common_cells(prepare(unstable.study, QUICK).pairs, "CG-TS", "AU-TS")
    assert spread_p(common, 0.1) < 0.001 and spread_p(common, -0.1) == 1.0


def test_the_finding_on_stability_is_supported_in_its_first_part(unstable):
    findings = unstable.frames["findings"]
    part = findings[(findings["finding"] == 2) & findings["part"].str.startswith("spread")].iloc[0]
    assert part["verdict"] == "supported" and part["low"] > 0


def test_every_finding_has_a_whole_and_parts(unstable):
    findings = unstable.frames["findings"]
    assert set(findings["finding"]) == set(CLAIMS)
    for _, rows in findings.groupby("finding"):
        assert (rows["part"] == WHOLE).sum() == 1 and len(rows) > 1
    obstetrics = findings[findings["part"].str.contains("obstetrics")]
    assert set(obstetrics["verdict"]) == {"not testable"}


def test_whole_is_supported_only_if_all_parts_are(unstable):
    for _, rows in unstable.frames["findings"].groupby("finding"):
        whole = rows.loc[rows["part"] == WHOLE, "verdict"].iloc[0]
        parts = set(rows.loc[rows["part"] != WHOLE, "verdict"])
        agreed = parts.pop() if len(parts) == 1 else "undecided"
        assert whole in ({"contradicted", "undecided"} if "contradicted" in parts else {agreed})


def _parts(analysis, number: int) -> pd.Series:
    rows = analysis.frames["findings"]
    return rows[(rows["finding"] == number) & (rows["part"] != WHOLE)].set_index("part")


def _analysed(design: Design, names: dict[str, str] | None = None, seed: int = 1):
    """The analysis of a simulated study, its groups renamed."""
    tables = simulate(design, seed).tables()
    moved = {name: getattr(tables, name).replace({"group": names or {}}) for name in ("scores", "cases")}
    return analyse(type(tables)(tables.manifest, **moved), QUICK)


def test_a_study_of_one_fraction_speaks_of_data_poor_tasks_not_of_a_small_fraction():
    """Poor tasks lose 0.15 under CG, rich ones gain as much: the first finding; AU does the same everywhere."""
    design = Design(tasks=28, groups=14, seeds=3, subjects=20, levels={"CG": 0.0, "AU": 0.05}, slopes={"CG": 0.1})
    found = _analysed(design)
    first, second, last = (_parts(found, number) for number in (1, 2, 5))
    assert first.loc["data-rich tasks gain under CG (median)", "verdict"] == "supported"
    assert first.loc["data-rich tasks gain under AU (median)", "verdict"] == "supported"
    poor = first.loc["data-poor tasks lose under CG (median)"]
    assert poor["verdict"] == "supported" and poor["estimate"] > 0.05
    gains = found.frames["gains"].query("contrast == 'CG-TS'")
    expected = gains.loc[gains["n_train"] < gains["n_train"].median(), "gain"].median()
    assert poor["estimate"] == pytest.approx(-expected, rel=1e-6, abs=1e-9)
    assert "AU gains more than CG on data-poor tasks (median)" in second.index
    assert "AU gains over TS on data-poor tasks (median)" in last.index
    spread = last.loc["spread of gains over tasks, less that by seeds, is larger under CG than under AU"]
    assert spread["verdict"] == "supported" and spread["p"] < 0.01
    assert not any("%" in part for part in (*second.index, *last.index))


def test_sizes_that_are_not_known_leave_their_parts_untestable():
    tables = simulate(Design(tasks=6, groups=3, seeds=2, subjects=10), 0).tables()
    found = analyse(replace(tables, scores=tables.scores.assign(n_train=np.nan)), QUICK)
    assert set(_parts(found, 1)["verdict"]) == {"not testable"}


def test_the_named_groups_are_judged_on_loss_on_difference_and_on_what_they_keep():
    """Every task loses 0.1 under CG and 0.005 under AU, within the margin of 0.02."""
    design = Design(
        tasks=12,
        groups=3,
        seeds=4,
        seed_sd=0.002,
        interaction_sd=0.01,
        noise_sd=0.01,
        levels={"CG": -0.1, "AU": -0.005},
    )
    found = _parts(_analysed(design, {"group0": "breast", "group1": "lung", "group2": "obstetrics"}), 4)
    verdicts = found["verdict"].to_dict()
    assert verdicts["obstetrics gains under CG (mean)"] == "contradicted"
    for group in ("breast", "lung"):
        assert verdicts[f"{group} loses under CG (mean)"] == "supported"
        assert verdicts[f"{group} does better under AU than under CG (mean)"] == "supported"
        kept = found.loc[f"{group} loses less than the margin under AU (mean gain plus the margin of 0.02)"]
        assert kept["verdict"] == "supported"
        assert kept["estimate"] == pytest.approx(0.015, abs=0.005) and 0 < kept["p"] < 0.05


def test_a_finding_of_which_a_part_cannot_be_tested_is_undecided_at_best():
    design = Design(tasks=8, groups=2, seeds=4, subjects=60, seed_sd=0.002, levels={"CG": 0.1, "AU": 0.1})
    found = _analysed(design, {"group0": "obstetrics", "group1": "heart"}).frames["findings"]
    own = found[found["finding"] == 4].set_index("part")["verdict"]
    assert own["obstetrics gains under CG (mean)"] == own["obstetrics gains under AU (mean)"] == "supported"
    assert own["lung loses under CG (mean)"] == "not testable" and own[WHOLE] == "undecided"


def _with_curves(rising: set[tuple[str, float]]):
    """A study of which some TS models, by task and fraction, were still improving."""
    tables = simulate(Design(tasks=12, groups=4, seeds=2, subjects=15, fractions=(0.5, 1.0)), 5).tables()
    runs = tables.scores[["aggregation", "task", "fraction", "seed", "type", "group"]].drop_duplicates()
    still = [row.aggregation == "TS" and (row.task, row.fraction) in rising for row in runs.itertuples()]
    curves = runs.assign(unit=runs["aggregation"], step=1, score=0.5, still_improving=still)
    return analyse(replace(tables, curves=curves), QUICK).frames


def test_bases_that_were_still_improving_are_counted_behind_every_mean():
    frames = _with_curves({("task00", 1.0), ("task01", 0.5)})
    gains = frames["gains"].set_index(["contrast", "fraction", "task"])["base_improving"]
    assert gains["AU-TS", 1.0, "task00"]
    assert not gains["AU-TS", 0.5, "task00"] and not gains["AU-CG", 1.0, "task00"]
    kind = frames["gains"].set_index("task")["type"].to_dict()
    types = frames["sensitivity"].set_index(["contrast", "fraction", "type"])["base_improving"].sort_index()
    assert types["CG-TS", 1.0, kind["task00"]] == 1 and types.loc["CG-TS", 1.0].sum() == 1
    across = frames["across"].query("scope == 'all'").set_index(["contrast", "method"])["base_improving"]
    assert across["AU-TS", "OLS"] == 1 and across["AU-CG", "OLS"] == 0
    stability = frames["stability"].set_index(["contrast", "scope"])["base_improving"]
    assert stability["AU-TS", "all fractions"] == 2 and stability["AU-TS", "fraction 1"] == 1
    rows = frames["guidelines"].drop_duplicates("type").set_index("type")
    assert set(rows["group"]) == {"any"}, "four groups are too few to be told apart"
    assert rows["base_improving"].sum() == 2
    effects = frames["findings"].set_index("part")["effect"]
    assert effects["AU gains over TS, all tasks together (median)"].endswith(" ↗")
    assert effects["AU gains over TS with 50% of the data (median)"].endswith(" ↗")
    assert not effects["AU gains more than CG with 50% of the data (median)"].endswith("↗")


def test_without_curves_nobody_knows_whether_a_base_was_still_improving(unstable):
    assert unstable.frames["gains"]["base_improving"].isna().all()


def test_effects_have_no_minus_before_zero():
    assert Part("", -0.0001, -0.02, 0.01, 0.5, "").effect == "+0.000 [-0.020, +0.010]"


def test_interval_and_p_of_different_tests_have_to_agree():
    assert Part("", 0.1, 0.01, 0.2, 0.3, "").verdict == "undecided"
    assert Part("", 0.1, 0.01, 0.2, 0.03, "").verdict == "supported"
    assert Part("", -0.1, -0.2, -0.01, float("nan"), "").verdict == "contradicted"
