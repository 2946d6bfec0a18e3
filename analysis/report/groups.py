"""The groups that were found, in words: who with whom, why, and what the prediction is worth."""

from dataclasses import dataclass

import pandas as pd

from aggregation_lab.text import enumerated
from analysis.grouping.in_words import NO_BETTER, basis, left_out, no_better
from analysis.grouping.measured_gains import BASE
from analysis.grouping.predicted_gain import MODEL
from analysis.grouping.set_features import NO_INFORMATION
from analysis.report import words
from analysis.result import Analysis
from analysis.tables.cells import number, true_minus


@dataclass(frozen=True)
class Groups:
    """What the section says before its tables: an introduction, a line for each unit, and what to make of it."""

    intro: str
    units: tuple[str, ...]
    worth: str


def groups(analysis: Analysis) -> Groups | None:
    """The words of the section; None where nothing could be predicted."""
    found, errors = analysis.frames["found_groups"], analysis.frames["prediction_errors"]
    if found.empty or errors.empty:
        return None
    seen = "The test cases have no part in it"
    if analysis.study.manifest.folds > 1:
        seen = (
            "With rotating folds every image is validated by one seed and tested by another, so it is not blind to them"
        )
    intro = (
        f"From the gains over {BASE} on validation cases, and recorded affinities where they foretell these, a model "
        "predicts the gain of every task in any set of tasks; these are the units of the partition with the largest "
        "predicted gain. It is a "
        f"proposal for the next runs, not a result. {seen}; test scores of the partition, once trained, decide."
    )
    return Groups(intro, tuple(_unit(rows) for _, rows in found.groupby("unit", sort=False)), _worth(errors))


def _unit(rows: pd.DataFrame) -> str:
    if len(rows) == 1:
        return f"{rows['task'].iloc[0]}: {rows['why'].iloc[0]}."
    members = [f"{row['task']} {words.signed(row['predicted'])}" for _, row in rows.iterrows()]
    return f"{enumerated(members)}: {true_minus(rows['why'].iloc[0])}."


def _worth(errors: pd.DataFrame) -> str:
    """The error of the whole procedure beside that of no information, and what is used."""
    by_name = {row["predictor"]: row for row in errors.to_dict("records")}
    what, error = left_out(errors)
    whole, nothing = by_name[MODEL], by_name[NO_INFORMATION]
    text = (
        f"On {what} left out the prediction errs by {number(whole[error], 4)}, no information at all by "
        f"{number(nothing[error], 4)} (root mean square)"
    )
    rest = basis(by_name)
    guess = f" {_sentence(NO_BETTER)}" if no_better(whole) else ""
    return f"{text}. {_sentence(rest)}{guess}"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{true_minus(words[1:])}."
