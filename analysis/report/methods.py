"""The methods paragraph: what was done to the data and the models, from the study's own settings.

A sentence stands only where its facts are known: the score table of another trainer has no settings, so nothing is said
of its models.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from aggregation_lab.aggregation import ARROW
from aggregation_lab.config import COOLDOWN, MOST_BUDGETS
from aggregation_lab.naming import encoder_title
from aggregation_lab.tasks import find_type
from aggregation_lab.text import enumerated
from analysis.arms.reference import reference_arm
from analysis.frames import at_full
from analysis.report import found, words
from analysis.report.citation import PAPER, cited
from analysis.report.statistics import statistics
from analysis.result import Analysis
from analysis.study import StudyTables


def methods(analysis: Analysis) -> list[str]:
    """The paragraphs, in the order in which a paper has them."""
    paragraphs = [_data(analysis), _models(analysis), _scores(analysis), *statistics(analysis), _versions(analysis)]
    return [paragraph for paragraph in paragraphs if paragraph]


def methods_markdown(analysis: Analysis) -> str:
    """The paragraphs and their sources as a Markdown file."""
    paragraphs = methods(analysis)
    sources = cited(" ".join(paragraphs))
    return "\n\n".join(["# Methods", *paragraphs, "## Sources", "\n".join(f"- {source}" for source in sources)]) + "\n"


def _setting(settings: Mapping[str, Any], path: str) -> Any:
    """A setting by its dotted name; None where it is not given."""
    value: Any = settings
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _sentence(settings: Mapping[str, Any], template: str, *paths: str) -> str:
    """The template filled with settings; empty where one of them is not known."""
    values = [_setting(settings, path) for path in paths]
    return "" if any(value is None for value in values) else template.format(*values)


def _joined(sentences: Sequence[str]) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _data(analysis: Analysis) -> str:
    study, data = analysis.study, analysis.frames["data"]
    if data.empty:
        return ""
    full = at_full(data)
    types = ", ".join(f"{amount} {name}" for name, amount in full["type"].value_counts().sort_index().items())
    groups = words.count(full["group"].nunique(), "clinical group")
    sentences = [f"The study {study.manifest.study} holds {words.count(len(full), 'task')} in {groups} ({types})."]
    train, test = full["n_train"].dropna(), full["n_test"].dropna()
    if len(train) and train.max() > 0:
        sentences.append(f"Tasks have {_span(train)} training cases.")
    folds = study.manifest.folds
    if len(test) and test.max() > 0:
        scored = f"They are scored on {_span(test)} test cases each"
        sentences.append(f"{scored}." if folds == 1 else f"{scored}, as the mean over folds.")
    shares = _setting(study.manifest.settings, "data.shares")
    if folds > 1:
        sentences += [_folds(folds), _sentence(study.manifest.settings, "Folds were drawn with seed {}.", _SPLIT_SEED)]
    elif shares:
        parts = " : ".join(f"{100 * share:g}" for share in shares)
        sentences.append(
            f"One split over all tasks ({parts} for train, validation and test) keeps copies, near-duplicates and "
            "images of one patient or video together, whatever task they serve."
        )
        sentences.append(_sentence(study.manifest.settings, "The split was drawn with seed {}.", _SPLIT_SEED))
    sentences.append(_leakage(study.manifest.leakage))
    fractions = [share for share in study.fractions if share < 1]
    if fractions:
        named = enumerated([words.percent(share) for share in fractions])
        sentences.append(
            f"Models were also trained on {named} of the training data, smaller samples inside larger ones."
        )
    return _joined(sentences)


_SPLIT_SEED = "data.split_seed"


def _folds(folds: int) -> str:
    return (
        f"{folds} folds over all tasks rotate with the seeds: the models of seed s are tested on fold s mod {folds}, "
        "validated on the next one and trained on the rest. Copies, near-duplicates and images of one patient or video "
        "lie in one fold, whatever task they serve. Metrics such as AUC are computed within each fold and averaged."
    )


def _span(amounts: pd.Series) -> str:
    low, high = f"{amounts.min():,.0f}", f"{amounts.max():,.0f}"
    return low if low == high else f"{low} to {high}"


def _leakage(leakage: Mapping[str, int] | None) -> str:
    if not leakage:
        return ""
    counted = {
        "images": "{:,} images",
        "shared_images": "{:,} of them serving several tasks",
        "near_duplicates": "{:,} pairs of near-duplicates",
        "components": "{:,} components that stay together",
    }
    named = ", ".join(text.format(leakage[name]) for name, text in counted.items() if name in leakage)
    crossing = leakage.get("crossing_components")
    over = "" if crossing is None else f", {crossing:,} of which cross the split"
    return f"Counted over the split: {named}{over}."


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
            _sentence(settings, "Images are resized to {0} x {0} pixels.", "training.image_size"),
            _length(settings),
            _sentence(
                settings,
                "AdamW with a peak learning rate of {:g}, weight decay {:g}, {} images per step; {} sampling of tasks.",
                "training.learning_rate",
                "training.weight_decay",
                "training.batch_size",
                "training.sampling",
            ),
            _sentence(
                settings,
                "In units of several tasks, {} combines the tasks' gradients of the shared parameters.",
                "training.aggregator",
            ),
            _sentence(settings, "In units of several tasks, {} weighs the tasks' losses.", "training.weighting"),
            _second_stage(names, settings),
            _sentence(settings, "The {} weights are scored; test cases are touched once.", "training.checkpoint"),
        ]
    sentences.append(_reference(study))
    seeds = sorted(int(seed) for seed in set(analysis.frames["seed_gains"]["seed"]))
    if seeds:
        named = ", ".join(str(seed) for seed in seeds)
        sentences.append(f"Compared models share {words.count(len(seeds), 'seed')} ({named}), paired seed by seed.")
    return _joined(sentences)


def _length(settings: Mapping[str, Any]) -> str:
    """Whether runs were trained to their budget or until they had converged, and by which rule."""
    if _setting(settings, "training.until") != "converged":
        return _sentence(
            settings,
            "Runs end at a matched budget: every training image is seen {:g} times in every aggregation, with at least "
            "{} steps per unit.",
            "training.passes",
            "training.min_steps",
        )
    cap = _setting(settings, "training.most_passes") or MOST_BUDGETS * settings["training"]["passes"]
    return _sentence(
        settings,
        "Every unit is trained until it has converged, so compute is not matched: at a constant learning rate until "
        "every training image has been seen {:g} times, with at least {} steps, and on until the unit-free validation "
        "score of none of its tasks (best running median of three) has risen by more than {:g} over the last {:.0%} of "
        f"the passes done; then the learning rate falls linearly to zero over a further 1/{COOLDOWN} of the steps, "
        f"{cap:g} passes in all at most.",
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
    changes = _setting(settings, "specialise") or {}
    other = enumerated([f"{name} {'as by default' if value is None else value}" for name, value in changes.items()])
    return (
        f"The second stage of {enumerated(staged)} starts from the last weights of the finished first one, without "
        "the heads of tasks that it lacks, with optimiser, schedule and random draws anew; it is trained likewise"
        f"{f' but for {other}' if other else ''}."
    )


def _model(settings: Mapping[str, Any]) -> str:
    model = _sentence(
        settings, f"M2DINO ({PAPER}) with the encoder {{}}, {{}} weights", "model.encoder", "model.weights"
    )
    experts = _sentence(settings, " and {} experts ({}) in its last {} blocks", *_EXPERTS)
    if not _setting(settings, _EXPERTS[0]):
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
    return _joined(sentences)


def _trained(runs: pd.DataFrame) -> str:
    versions = "; ".join(sorted(set(runs["versions"].astype(str))))
    where = enumerated(sorted(set(runs["device"].astype(str) + " in " + runs["precision"].astype(str))))
    days = sorted(set(runs["started"].astype(str).str[:10]))
    when = " to ".join(dict.fromkeys([days[0], days[-1]]))
    return f"Models were trained on {where} with {versions}, started {when}."
