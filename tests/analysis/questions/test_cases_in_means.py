"""Test cases in means over tasks: no task that cannot be resampled takes those of the others away."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.contrasts import Contrast
from analysis.gains import PairedGain
from analysis.pairing import pair_all
from analysis.questions.means import tasks_of_this_kind, these_tasks
from analysis.questions.scale.within_tasks import task_lines, within_tasks
from analysis.questions.shared_variance import case_parts
from analysis.validation.design import Design
from analysis.validation.simulate import simulate

AU_TS = Contrast("AU", "TS")
DESIGN = Design(tasks=6, groups=6, seeds=3, subjects=12, levels={"AU": 0.0}, seed_sd=0.001, interaction_sd=0.1)
"""Next to nothing but test cases moves a gain."""


def pairs_of(design: Design = DESIGN, share: float = 1.0) -> list[PairedGain]:
    return pair_all(simulate(design, 1).scores(300, 1), AU_TS, share)


def width(pairs: list[PairedGain]) -> float:
    _, low, high, _ = these_tasks(pairs)
    return high - low


def one_subject(pair: PairedGain) -> PairedGain:
    return replace(pair, subjects=1, draws=np.broadcast_to(pair.by_seed, pair.draws.shape))


def undefined_at_random(pair: PairedGain, random: np.random.Generator) -> PairedGain:
    lost = random.random(len(pair.draws)) < 0.4
    return replace(pair, draws=np.where(lost[:, None], np.nan, pair.draws))


def test_a_task_without_resamples_counts_as_the_noisiest_of_the_others():
    pairs = pairs_of()
    assert width([one_subject(pairs[0]), *pairs[1:]]) > 1.2 * width(pairs)
    assert width([replace(pairs[0], draws=None, subjects=0), *pairs[1:]]) >= 0.98 * width(pairs)


def test_no_mean_of_tasks_of_which_none_can_be_resampled_has_an_interval():
    assert np.isnan(these_tasks([one_subject(pair) for pair in pairs_of()])[1:]).all()
    without = [replace(pair, draws=None, subjects=0) for pair in pairs_of()]  # as the study says: no cases at all
    assert np.isfinite(these_tasks(without)[1:]).all()


def test_resamples_undefined_in_one_task_stay_in_the_others():
    random = np.random.default_rng(0)
    thin = [undefined_at_random(pair, random) for pair in pairs_of()]
    complete = np.isfinite(np.column_stack([pair.draws.mean(1) for pair in thin])).all(1)
    assert complete.sum() < 30  # of 300
    assert width(thin) == pytest.approx(width(pairs_of()), rel=0.15, abs=0)
    gone = [
        replace(pair, draws=np.where(np.arange(300)[:, None] % 6 == k, pair.draws, np.nan))
        for k, pair in enumerate(pairs_of())
    ]
    assert width(gone) > 0.5 * width(pairs_of())  # not one resample in which two are defined


def test_degrees_of_freedom_are_those_of_people():
    design = DESIGN.with_(tasks=3, groups=3, subjects=10)
    apart, shared = (case_parts(pairs_of(design.with_(shared_cases=share))).of_mean[1] for share in (0.0, 0.9))
    assert apart > 15 and shared == pytest.approx(9, abs=1e-9, rel=0)


def test_subjects_in_common_are_seen_beside_a_task_without_resamples():
    pairs = pairs_of(DESIGN.with_(tasks=8, groups=8, subjects=40, shared_cases=1.0))
    whole, without = tasks_of_this_kind(pairs), tasks_of_this_kind([one_subject(pairs[0]), *pairs[1:]])
    assert without.high - without.low == pytest.approx(whole.high - whole.low, rel=0.1, abs=0)


def test_the_pooled_line_keeps_subjects_in_common():
    design = DESIGN.with_(fractions=(0.5, 1.0), shared_cases=1.0, subjects=40, slopes={"AU": 0.01})
    random, both = np.random.default_rng(0), [(share, pairs_of(design, share)) for share in (0.5, 1.0)]
    thin = [(share, [undefined_at_random(pair, random) for pair in pairs]) for share, pairs in both]
    lone = [(share, [one_subject(pairs[0]), *pairs[1:]]) for share, pairs in both]
    widths = []
    for by_fraction in (both, thin, lone):
        within, _ = within_tasks(by_fraction)
        row = within[within["level"] == "pooled"].iloc[0]
        widths.append(row["high"] - row["low"])
    assert widths[1:] == pytest.approx([widths[0]] * 2, rel=0.15, abs=0)


def test_a_line_of_one_subject_has_no_interval():
    design = DESIGN.with_(fractions=(0.5, 1.0))
    lines = task_lines([(share, [one_subject(pair) for pair in pairs_of(design, share)]) for share in (0.5, 1.0)])
    assert np.isnan([line.line.slope_interval() for line in lines]).all()
