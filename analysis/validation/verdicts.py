"""Intervals and verdicts of many tasks where one contrast is judged: coverage, errors and power."""

import numpy as np

from analysis.pairing import pair_all
from analysis.questions.families import family
from analysis.questions.means import tasks_of_this_kind, these_tasks
from analysis.statistics.uncertainty import percentile_interval
from analysis.statistics.verdicts import BENEFIT, HARM, NO_LOSS
from analysis.validation.scenario import BASE, CONTRAST, DRAWS, MARGIN, Scenario, share, true_gains
from analysis.validation.simulate import Simulated


def count_verdicts(simulated: Simulated, seed: int) -> dict[str, float]:
    """Coverage of intervals per task and pooled, false and true verdicts, of one study at full data."""
    pairs = pair_all(simulated.scores(DRAWS, seed), CONTRAST, 1.0)
    true = true_gains(simulated, pairs, 1.0)
    members, margin = family([pairs]), np.full(len(pairs), MARGIN)
    verdict = members.judge(margin)["verdict"].to_numpy()
    raw = members.judge(margin, "none")
    intervals = np.array([estimate.interval() for estimate in members.estimates])
    plain = np.array([percentile_interval(pair.draws, seed) for pair in pairs if pair.draws is not None])
    _, low, high, _ = these_tasks(pairs)
    kind = tasks_of_this_kind(pairs)
    expected = simulated.design.levels["AU"]
    decided = np.isin(verdict, [HARM, BENEFIT])
    wrong = ((verdict == HARM) & (true >= 0)) | ((verdict == BENEFIT) & (true <= 0))
    harmful = true < 0
    at_margin = true <= -MARGIN + 1e-12
    return {
        "coverage": share(_inside(intervals, true)),
        "coverage_percentile": share(_inside(plain, true)),
        "coverage_these": float(low <= true.mean() <= high),
        "coverage_kind": float(kind.low <= expected <= kind.high) if not simulated.design.type_effects else np.nan,
        "fdr": wrong.sum() / max(1, decided.sum()),
        "false_harm": ((verdict == HARM) & (true >= 0)).sum() / max(1, (verdict == HARM).sum()),
        "harm_found": share(verdict[harmful] == HARM),
        "no_loss_error": share((raw["p_loss"].to_numpy() <= 0.025)[at_margin]),
        "no_loss_verdict_error": share((verdict == NO_LOSS)[at_margin]),
        "no_loss_found": share((verdict == NO_LOSS)[true >= 0]),
    }


def _inside(intervals: np.ndarray, true: np.ndarray) -> np.ndarray:
    return (intervals[:, 0] <= true) & (true <= intervals[:, 1])


def scenarios() -> list[Scenario]:
    """No effect, harm in some tasks, a loss as large as the margin, clustered cases, AUC, power, and data scale."""
    harmed = BASE.with_(type_effects={"segmentation": -0.06}, joint_seed_sd=0.005)
    at_margin = BASE.with_(levels={"AU": -MARGIN})
    loss = BASE.with_(levels={"AU": -0.03})
    scattered = BASE.with_(seeds=3, seed_sd=0.03, group_sd=0.02, task_sd=0.02, interaction_sd=0.02)
    clustered = BASE.with_(cases_per_subject=3, subjects=40)
    return [
        *(
            Scenario(f"{name}, {seeds} seeds", design.with_(seeds=seeds), count_verdicts)
            for seeds in (3, 5, 10)
            for name, design in (
                ("no effect", BASE),
                ("harm in one task of four, joint seeds", harmed),
                ("loss as large as the margin", at_margin),
            )
        ),
        Scenario("seeds scatter most, groups differ, 3 seeds", scattered, count_verdicts),
        Scenario("three images per subject, 5 seeds", clustered, count_verdicts),
        Scenario("AUC, 3 seeds", BASE.with_(auc=True, seeds=3), count_verdicts),
        *(
            Scenario(f"loss of 0.03, {s} seeds, {n} subjects", loss.with_(seeds=s, subjects=n), count_verdicts)
            for s, n in ((3, 100), (10, 100), (5, 50), (5, 200))
        ),
    ]
