"""The paragraph of the methods on the data: tasks, cases, and how they were divided, as far as that is known."""

import pandas as pd

from aggregation_lab.manifest import Manifest
from aggregation_lab.text import enumerated
from analysis.frames import at_full
from analysis.report import words
from analysis.report.words import joined, sentence, setting
from analysis.result import Analysis
from analysis.study import StudyTables

_SPLIT_SEED = "data.split_seed"


def data_paragraph(analysis: Analysis) -> str:
    """Tasks, sizes, split, leakage and fractions; empty where there are no scores."""
    study, data = analysis.study, analysis.frames["data"]
    if data.empty:
        return ""
    full = at_full(data)
    types = ", ".join(f"{amount} {name}" for name, amount in full["type"].value_counts().sort_index().items())
    groups = words.count(full["group"].nunique(), "clinical group")
    sentences = [f"The study {study.manifest.study} holds {words.count(len(full), 'task')} in {groups} ({types})."]
    subset = "For a quick look, at most about {} cases of each task take part, whole subjects."
    sentences.append(sentence(study.manifest.settings, subset, "data.subset"))
    train, test, folds = full["n_train"].dropna(), full["n_test"].dropna(), study.manifest.folds
    if len(train) and train.max() > 0:
        sentences.append(f"Tasks have {_span(train)} training cases{' in a fold' if folds > 1 else ''}.")
    if len(test) and test.max() > 0:
        scored = f"They are scored on {_span(test)} test cases each"
        sentences.append(f"{scored}." if folds == 1 else f"{scored} in a fold; scores are means over folds.")
    sentences += [*_division(study.manifest), _leakage(study.manifest), _fractions(study)]
    return joined(sentences)


def _division(about: Manifest) -> list[str]:
    """How the cases were divided: a split or folds that were given have neither shares nor a seed of the study's."""
    settings, given = about.settings, bool(setting(about.settings, "data.split_given"))
    if about.folds > 1:
        drawn = sentence(settings, "Folds were drawn with seed {}.", _SPLIT_SEED)
        return [_folds(about.folds), "The folds were given to the study in a file." if given else drawn]
    shares = setting(settings, "data.shares")
    if not given and not shares:
        return []
    parts = "given in a file" if given else " : ".join(f"{100 * share:g}" for share in shares)
    kind = "" if given else " for train, validation and test"
    return [
        f"One split over all tasks ({parts}{kind}) keeps copies, near-duplicates and images of one patient or video "
        "together, whatever task they serve.",
        sentence(settings, "The split was drawn with seed {}.", _SPLIT_SEED),
    ]


def _fractions(study: StudyTables) -> str:
    """The shares of the training data, where models have seen less than all; nested as far as that is known."""
    smaller = [share for share in study.fractions if share < 1]
    if not smaller:
        return ""
    also = " also" if len(smaller) < len(study.fractions) else ""
    nested = ", smaller samples inside larger ones" if study.manifest.settings and len(study.fractions) > 1 else ""
    named = enumerated([words.percent(share) for share in smaller])
    return f"Models were{also} trained on {named} of the training data{nested}."


def _folds(folds: int) -> str:
    return (
        f"{folds} folds over all tasks rotate with the seeds: the models of seed s are tested on fold s mod {folds}, "
        "validated on the next one and trained on the rest. Copies, near-duplicates and images of one patient or video "
        "lie in one fold, whatever task they serve. Metrics such as AUC are computed within each fold and averaged."
    )


def _span(amounts: pd.Series) -> str:
    low, high = f"{amounts.min():,.0f}", f"{amounts.max():,.0f}"
    return low if low == high else f"{low} to {high}"


def _leakage(about: Manifest) -> str:
    leakage, parts = about.leakage, "the folds" if about.folds > 1 else "the split"
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
    over = "" if crossing is None else f", {crossing:,} of which cross {parts}"
    return f"Counted over {parts}: {named}{over}."
