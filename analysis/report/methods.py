"""The methods paragraph: what was done to the data and the models, from the study's own settings.

A sentence stands only where its facts are known: the score table of another trainer has no settings, so nothing is said
of its models.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from aggregation_lab.aggregation import ARROW
from aggregation_lab.naming import encoder_title
from aggregation_lab.text import enumerated
from analysis.arms.reference import reference_arm
from analysis.report import found, model_paragraph, words
from analysis.report.citation import bibtex, cited
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


def citations(analysis: Analysis) -> str:
    """BibTeX of the study that is implemented, of this software, and of the sources of the paragraphs."""
    return bibtex(" ".join(methods(analysis)))


def methods_markdown(analysis: Analysis) -> str:
    """The paragraphs and their sources as a Markdown file."""
    paragraphs = methods(analysis)
    sources = cited(" ".join(paragraphs))
    return (
        "\n\n".join(["# Methods", *paragraphs, "## Sources", "\n".join(f"- {source.reference}" for source in sources)])
        + "\n"
    )


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
            model_paragraph.model(study),
            sentence(settings, "Images are resized to {0} x {0} pixels.", "training.image_size"),
            model_paragraph.length(study),
            *model_paragraph.optimisation(study),
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


def _reference(study: StudyTables) -> str:
    """What the plain network is; its settings are known, as only a study has one."""
    name, settings = reference_arm(study), study.manifest.settings
    if name is None:
        return ""
    plain = study.manifest.arms[name]
    same = "by the same training" if plain["training"] == settings["training"] else "by a training of its own"
    network = f"{encoder_title(name)} (timm's {plain['model']['encoder']}, {plain['model']['weights']} weights)"
    maps = "with a feature pyramid, heads and losses as above, "
    parts = maps if model_paragraph.has_shared_maps(study.manifest.recipe) else ""
    return f"As a reference, {network} is trained for every task by itself, {parts}{same}; it enters no gain."


def _scores(analysis: Analysis) -> str:
    types = model_paragraph.task_types(analysis.study)
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
