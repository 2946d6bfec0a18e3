"""The methods paragraph and what it cites: exact settings, every source, nothing of models of another trainer; and why
what is not there is not."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aggregation_lab import __version__
from aggregation_lab.model.heads.heat_maps import SPREAD
from aggregation_lab.model.image_path import STRIDES, WIDTHS
from aggregation_lab.model.shared_maps import View
from aggregation_lab.run import JOINT_CONVERGENCE_RECIPE, SHARED_MAPS_RECIPE
from aggregation_lab.tasks import TaskType
from aggregation_lab.training.augmentation import BRIGHTNESS, CONTRAST, SCALE, SHIFT
from analysis.external import PAPER, read_scores
from analysis.pipeline import analyse
from analysis.report.citation import SOURCES, bibtex, cited
from analysis.report.footing import footing
from analysis.report.methods import citations, methods
from analysis.report.model_paragraph import AUGMENTATION, IMAGE_PATH
from analysis.report.reasons import why_empty
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.statistics.uncertainty import SEEDS, SEEDS_AND_CASES
from tests.analysis.report.test_report import MANIFEST, traced


def test_methods_give_the_exact_settings():
    text = " ".join(methods(traced()))
    for fact in (
        "vit_small_patch16_dinov3",
        "4 experts (split) in its last 6 blocks",
        "224 x 224 pixels",
        "seen 11 times",
        "70 : 15 : 15",
        "3 seeds (0, 1, 2)",
        "25\u00a0% and 50\u00a0%",
        "near-duplicates",
        "0 of which cross the split",
        "alpha = 0.05",
        "2,000 Poisson resamples",
        f"dataset {MANIFEST.dataset} and split {MANIFEST.split}",
        "torch 2.15.0",
        "commit 475c190",
    ):
        assert fact in text, fact


def with_data(analysis: Analysis, **data: object) -> str:
    """The paragraphs where the manifest says this of the data."""
    manifest = replace(MANIFEST, settings={**MANIFEST.settings, "data": data})
    return " ".join(methods(replace(analysis, study=replace(analysis.study, manifest=manifest))))


def test_a_split_that_was_given_has_neither_shares_nor_a_seed():
    text = with_data(traced(), split_given=True)
    assert "One split over all tasks (given in a file) keeps copies" in text
    assert "70 : 15 : 15" not in text and "drawn with seed" not in text
    folds = with_data(traced(), split_given=True, folds=5)
    assert "The folds were given to the study in a file." in folds and "drawn with seed" not in folds
    assert "Folds were drawn with seed 3." in with_data(traced(), folds=5, split_seed=3)


def test_fractions_are_those_that_were_trained():
    analysis = traced()
    assert "Models were also trained on 25\u00a0% and 50\u00a0% of the training data, smaller" in with_data(analysis)
    scores = analysis.study.scores
    half = replace(analysis, study=replace(analysis.study, scores=scores[scores["fraction"] == 0.5]))
    assert "Models were trained on 50\u00a0% of the training data." in with_data(half)


def test_methods_say_to_which_end_runs_were_trained():
    analysis = traced()
    assert "Runs end at a matched budget" in " ".join(methods(analysis))
    training = {
        **MANIFEST.settings["training"],
        "until": "converged",
        "rise": 0.02,
        "patience": 0.3,
        "most_passes": None,
    }
    manifest = replace(MANIFEST, settings={**MANIFEST.settings, "training": training})
    text = " ".join(methods(replace(analysis, study=replace(analysis.study, manifest=manifest))))
    assert "matched budget" not in text
    for fact in (
        "until it has converged, so compute is not matched",
        "until every training image has been seen 11 times",
        "risen by more than 0.02 over the last 30% of the passes done",
        "a further 1/5 of the steps, 55 passes in all at most",
    ):
        assert fact in text, fact
    newer = replace(manifest, recipe=JOINT_CONVERGENCE_RECIPE)
    text = " ".join(methods(replace(analysis, study=replace(analysis.study, manifest=newer))))
    allowed = "by 0.6 ln(k) standard deviations of its single scores more, nor their mean by as much as one task alone"
    assert f"more than 0.02 (in units of k tasks: {allowed}) over" in text


@pytest.mark.parametrize(
    "field, method, fact",
    [
        ("aggregator", "upgrad", "upgrad combines the tasks' gradients of the shared parameters."),
        ("weighting", "gls", "gls weighs the tasks' losses."),
    ],
)
def test_methods_name_the_multi_task_method(field, method, fact):
    analysis = traced()
    assert fact.removeprefix(method) not in " ".join(methods(analysis))
    training = {**MANIFEST.settings["training"], field: method}
    manifest = replace(MANIFEST, settings={**MANIFEST.settings, "training": training})
    assert fact in " ".join(methods(replace(analysis, study=replace(analysis.study, manifest=manifest))))


def test_cases_come_and_go_together_only_where_a_subject_has_several():
    analysis = traced()
    cases = pd.DataFrame({"task": "a", "case": ["1", "1", "2"]})  # case 1 under two models
    one, several = (
        " ".join(methods(replace(analysis, study=replace(analysis.study, cases=cases.assign(subject=subject)))))
        for subject in (cases["case"], "p")
    )
    together, alone = "images of one patient or video come and go together.", "counts as a subject of its own."
    assert together in several and alone not in several
    assert alone in one and together not in one


def test_methods_say_nothing_of_models_that_another_trainer_made():
    analysis = analyse(read_scores(PAPER))
    text = " ".join(methods(analysis))
    for word in ("M2DINO", "AdamW", "original pixels", "resamples", "split", "Digests", "Smyth"):
        assert word not in text, word
    assert "every verdict is undecided" in text


@pytest.mark.parametrize("correction", ["BH", "Holm", "none"])
def test_methods_name_the_correction_and_every_source_they_cite(correction):
    text = " ".join(methods(replace(traced(), settings=Settings(correction=correction))))
    assert ("Benjamini and Hochberg 1995" in text) == (correction == "BH")
    assert ("Holm 1979" in text) == (correction == "Holm")
    years = [part.strip(" ()") for part in re.findall(r"[^();]*\b(?:19|20)\d\d(?=[);])", text)]
    named = [part for part in years if part[-4:] != "2026"]
    assert len(named) > 5
    assert [part for part in named if not any(part.endswith(source.name) for source in SOURCES)] == []
    assert len(cited(text)) >= len({part[-4:] for part in named})


def test_bibtex_has_the_study_this_version_and_an_entry_for_every_source_that_methods_cite():
    text = citations(traced())
    assert text.count("{") == text.count("}")
    assert "arXiv:2603.18123" in text and f"version = {{{__version__}}}" in text
    named = cited(" ".join(methods(traced())))
    assert len(named) > 5 and all(f"title = {{{{{source.title}}}}}" in text for source in named)
    assert text.count("@") == 2 + len(named)
    entries = re.findall(r"@\w+\{(\w+),", bibtex(" ".join(source.name for source in SOURCES)))
    assert len(set(entries)) == len(entries) == 2 + len(SOURCES)


def with_settings(recipe: int | None = None, runs: pd.DataFrame | None = None, **sections: dict[str, object]):
    """The made-up analysis with these settings of model and training besides, and of this recipe."""
    analysis = traced()
    settings = {name: {**MANIFEST.settings[name], **sections.get(name, {})} for name in MANIFEST.settings}
    manifest = replace(MANIFEST, settings=settings, recipe=recipe)
    runs = analysis.study.runs if runs is None else runs
    return replace(analysis, study=replace(analysis.study, manifest=manifest, runs=runs))


def test_parts_of_the_model_are_named_where_the_recipe_is_known_to_have_them():
    model = {"head_width": 64}
    text = " ".join(methods(with_settings(SHARED_MAPS_RECIPE, model=model)))
    assert f"Beside it stands {IMAGE_PATH}" in text and "to 64 channels" in text
    assert all(f"{kind}: {kind.taught}" in text for kind in TaskType)
    plain = {"head_width": 64, "moe": {"experts": 0, "kind": "split", "blocks": 6}}
    text = " ".join(methods(with_settings(SHARED_MAPS_RECIPE, model=plain)))
    assert "Where the encoder has no maps at strides 4, 8 and 16 of its own, beside it stands" in text
    for recipe in (None, SHARED_MAPS_RECIPE - 1):
        text = " ".join(methods(with_settings(recipe, model=model)))
        assert "M2DINO" in text and IMAGE_PATH not in text and "heat map" not in text


def test_words_on_the_model_and_its_training_have_the_numbers_of_the_code():
    strides, widths = (f"{', '.join(map(str, of[:-1]))} and {of[-1]}" for of in (STRIDES, WIDTHS))
    assert f"{widths} channels at strides {strides}" in IMAGE_PATH
    shares = [float(share) / 100 for share in re.findall(r"([\d.]+)\u00a0%", AUGMENTATION)]
    assert shares == pytest.approx([SCALE, SHIFT, CONTRAST, BRIGHTNESS], rel=1e-12, abs=0)
    views = {View.FINE: "stride 4", View.MIDDLE: "stride 8", View.SUMMARY: "all strides"}
    for kind in TaskType:
        assert views[kind.network.view] in kind.taught
        assert f"Gaussian of {SPREAD:g} of" in kind.taught or "heat map" not in kind.taught


def test_methods_say_how_the_learning_rate_goes_and_what_augments():
    given = {"warmup": 0.1, "clip_norm": 1.0, "augment": True, "encoder_rate": 0.2, "loss_weights": {"a": 2.0}}
    text = " ".join(methods(with_settings(training=given)))
    for fact in (
        "rises linearly over the first 10\u00a0% of the steps and falls to zero by a cosine; the encoder has 0.2 times",
        "clipped to a norm of 1.",
        "weighted by task: a 2, others 1.",
        f"{AUGMENTATION}; of classification, detection and segmentation tasks half are mirrored",
    ):
        assert fact in text, fact
    text = " ".join(methods(with_settings(training={**given, "augment": False, "until": "converged"})))
    assert "not augmented" in text and "over the first 10\u00a0% of the least steps; the" in text


def test_a_least_number_of_steps_is_told_with_the_passes_that_it_gave():
    assert "at least 100 steps per unit, which none falls short of" in " ".join(methods(with_settings()))
    runs = traced().study.runs
    small = runs["aggregation"] == "TS"
    lifted = runs.assign(
        passes=runs["passes"].mask(small, 53.3), images_seen=runs["images_seen"].mask(small, 30 * 53.3)
    )
    passes = "TS 53.3, CG 11.0, AU 11.0"
    analysis = with_settings(runs=lifted)
    assert f"fewer than 100 steps, which get as many (passes of all runs: {passes})" in " ".join(methods(analysis))
    assert f"more often in units that min_steps lifts (passes of all runs: {passes})" in footing(analysis)
    converged = {"until": "converged", "rise": 0.02, "patience": 0.3, "most_passes": None}
    text = " ".join(methods(with_settings(runs=lifted, training=converged)))
    assert f"units that this least number of steps lifts have a cap lifted alike (passes of all runs: {passes})" in text
    assert "lifted alike" not in " ".join(methods(with_settings(training=converged)))


@pytest.mark.parametrize("name", ["within", "across", "influence", "guidelines", "regret"])
def test_lines_that_need_training_cases_say_so_where_none_are_known(name):
    analysis = traced()
    gains = analysis.frames["gains"]
    unsized = replace(analysis, frames={**analysis.frames, "gains": gains.assign(n_train=np.nan)})
    assert why_empty(unsized, name).endswith("no task says how many it has (n_train).")
    assert "n_train" not in why_empty(analysis, name)


def test_folds_are_called_folds():
    text = with_data(traced(), folds=5, split_seed=3)
    for fact in ("training cases in a fold.", "in a fold; scores are means over folds.", "0 of which cross the folds."):
        assert fact in text, fact
    assert "Counted over the folds" in text and "the split" not in text
    assert "interval that covers the scatter over folds" in text


def test_means_without_test_cases_cover_seeds_alone():
    analysis = traced()
    gains = analysis.frames["gains"]
    for basis, covered in ((SEEDS, "seeds alone, for these very test cases."), (SEEDS_AND_CASES, "seeds and test")):
        frames = {**analysis.frames, "gains": gains.assign(basis=basis)}
        assert f"has an interval that covers {covered}" in " ".join(methods(replace(analysis, frames=frames)))
