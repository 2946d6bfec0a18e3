"""The methods paragraph: what was done to the data and the models, from the study's own settings.

A sentence stands only where its facts are known: the score table of another trainer has no settings, so nothing is said
of its models.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from aggregation_lab.aggregation import ARROW
from aggregation_lab.config import ALLOWED_NOISE, COOLDOWN, MOST_BUDGETS
from aggregation_lab.naming import encoder_title
from aggregation_lab.run import JOINT_CONVERGENCE_RECIPE
from aggregation_lab.tasks import find_type
from aggregation_lab.text import enumerated
from analysis.arms.reference import reference_arm
from analysis.report import found, words
from analysis.report.citation import PAPER, cited
from analysis.report.data_paragraph import data_paragraph
from analysis.report.statistics import statistics
from analysis.report.words import joined, sentence, setting
from analysis.result import Analysis
from analysis.study import StudyTables


def methods(analysis: Analysis) -> list[str]:
    """The paragraphs, in the order in which a paper has them."""
    paragraphs = [
        data_paragraph(analysis),
        _models(analysis),
        _scores(analysis),
        *statistics(analysis),
        _versions(analysis),
    ]
    return [paragraph for paragraph in paragraphs if paragraph]


def methods_markdown(analysis: Analysis) -> str:
    """The paragraphs and their sources as a Markdown file."""
    paragraphs = methods(analysis)
    sources = cited(" ".join(paragraphs))
    return "\n\n".join(["# Methods", *paragraphs, "## Sources", "\n".join(f"- {source}" for source in sources)]) + "\n"


def _models(analysis: Analysis) -> str:
    study, settings = analysis.study, analysis.study.manifest.settings
    names = study.aggregations
    compared = enumerated([f"{name} ({words.aggregation(name)})" for name in names])
    sentences = [f"Compared are {compared}.", found.sentence(analysis)]
    if len(study.compared_arms) > 1:
        named = enumerated(study.compared_arms)
        sentences.append(f"The study has the arms {named}, variants of model and training; this is of {study.arm}.")
    if settings:
        sentences += [
            _model(settings),
            sentence(settings, "Images are resized to {0} x {0} pixels.", "training.image_size"),
            _length(settings, analysis.study.manifest.recipe),
            sentence(
                settings,
                "AdamW with a peak learning rate of {:g}, weight decay {:g}, {} images per step; {} sampling of tasks.",
                "training.learning_rate",
                "training.weight_decay",
                "training.batch_size",
                "training.sampling",
            ),
            sentence(
                settings,
                "In units of several tasks, {} combines the tasks' gradients of the shared parameters.",
                "training.aggregator",
            ),
            sentence(settings, "In units of several tasks, {} weighs the tasks' losses.", "training.weighting"),
            _second_stage(names, settings),
            sentence(settings, "The {} weights are scored; test cases are touched once.", "training.checkpoint"),
        ]
    sentences.append(_reference(study))
    seeds = sorted(int(seed) for seed in set(analysis.frames["seed_gains"]["seed"]))
    if seeds:
        named = ", ".join(str(seed) for seed in seeds)
        sentences.append(f"Compared models share {words.count(len(seeds), 'seed')} ({named}), paired seed by seed.")
    return joined(sentences)


def _length(settings: Mapping[str, Any], recipe: int | None) -> str:
    """Whether runs were trained to their budget or until they had converged, and by which rule."""
    if setting(settings, "training.until") != "converged":
        return sentence(
            settings,
            "Runs end at a matched budget: every training image is seen {:g} times in every aggregation, with at least "
            "{} steps per unit.",
            "training.passes",
            "training.min_steps",
        )
    cap = setting(settings, "training.most_passes") or MOST_BUDGETS * settings["training"]["passes"]
    allowed = ""
    if recipe is not None and recipe >= JOINT_CONVERGENCE_RECIPE:
        allowed = f" (in units of k tasks: by {ALLOWED_NOISE:g} ln(k) standard deviations of its single scores more)"
    return sentence(
        settings,
        "Every unit is trained until it has converged, so compute is not matched: at a constant learning rate until "
        "every training image has been seen {:g} times, with at least {} steps, and on until the unit-free validation "
        f"score of none of its tasks (best running median of three) has risen by more than {{:g}}{allowed} over the "
        "last {:.0%} of the passes done; then the learning rate falls linearly to zero over a further "
        f"1/{COOLDOWN} of the steps, {cap:g} passes in all at most.",
        "training.passes",
        "training.min_steps",
        "training.rise",
        "training.patience",
    )


def _second_stage(names: Sequence[str], settings: Mapping[str, Any]) -> str:
    """How the second stage of sequential aggregations is trained."""
    staged = [name for name in names if ARROW in name]
    if not staged:
        return ""
    changes = setting(settings, "specialise") or {}
    other = enumerated([f"{name} {'as by default' if value is None else value}" for name, value in changes.items()])
    return (
        f"The second stage of {enumerated(staged)} starts from the last weights of the finished first one, without "
        "the heads of tasks that it lacks, with optimiser, schedule and random draws anew; it is trained likewise"
        f"{f' but for {other}' if other else ''}."
    )


def _model(settings: Mapping[str, Any]) -> str:
    model = sentence(
        settings, f"M2DINO ({PAPER}) with the encoder {{}}, {{}} weights", "model.encoder", "model.weights"
    )
    experts = sentence(settings, " and {} experts ({}) in its last {} blocks", *_EXPERTS)
    if not setting(settings, _EXPERTS[0]):
        experts = ""
    return f"The model is {model}{experts}." if model else ""


def _reference(study: StudyTables) -> str:
    """What the plain network is; its settings are known, as only a study has one."""
    name, settings = reference_arm(study), study.manifest.settings
    if name is None:
        return ""
    plain = study.manifest.arms[name]
    same = "by the same training" if plain["training"] == settings["training"] else "by a training of its own"
    network = f"{encoder_title(name)} (timm's {plain['model']['encoder']}, {plain['model']['weights']} weights)"
    return f"As a reference, {network} is trained for every task by itself, {same}; it enters no gain."


_EXPERTS = ("model.moe.experts", "model.moe.kind", "model.moe.blocks")


def _scores(analysis: Analysis) -> str:
    types = list(filter(None, map(find_type, sorted(set(analysis.frames["data"]["type"])))))
    if not types:
        return ""
    scores = enumerated([f"{task_type.unit_free} for {task_type}" for task_type in types])
    notes = "".join(f", {task_type.note}" for task_type in types if task_type.note)
    raw = "Raw metrics are in original pixels. " if analysis.study.manifest.settings else ""
    return (
        f"{raw}Gains and means use one unit-free score in [0, 1] per task type: {scores}{notes}. Tasks without it "
        "keep their own unit and stay out of every mean."
    )


def _versions(analysis: Analysis) -> str:
    study = analysis.study
    digests = {"dataset": study.manifest.dataset, "split": study.manifest.split}
    named = [f"{name} {digest}" for name, digest in digests.items() if digest]
    sentences = [f"Digests: {enumerated(named)}."] if named else []
    if study.manifest.version:
        sentences.append(f"Collected with aggregation_lab {study.manifest.version}.")
    if study.runs is not None and len(study.runs):
        sentences.append(_trained(study.runs))
    return joined(sentences)


def _trained(runs: pd.DataFrame) -> str:
    versions = "; ".join(sorted(set(runs["versions"].astype(str))))
    where = enumerated(sorted(set(runs["device"].astype(str) + " in " + runs["precision"].astype(str))))
    days = sorted(set(runs["started"].astype(str).str[:10]))
    when = " to ".join(dict.fromkeys([days[0], days[-1]]))
    return f"Models were trained on {where} with {versions}, started {when}."
