"""What a sceptical reader of a study must be told, one sentence each."""

from collections.abc import Mapping

import pandas as pd

from aggregation_lab.aggregation import FLOOR
from analysis.questions.caveats.design import of_design, of_folds, of_seeds
from analysis.questions.caveats.margins import of_chosen_margins, of_large_margins
from analysis.questions.caveats.pairs import (
    of_missing_contrasts,
    of_missing_pairs,
    of_repeated_tests,
    of_what_can_be_decided,
)
from analysis.questions.caveats.tested_cases import of_floors, of_test_cases
from analysis.questions.caveats.training import of_collapsed, of_compute, of_training
from analysis.study import StudyTables


def caveats(study: StudyTables, frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """What a sceptical reader must be told, one sentence each; `frames` needs scores, gains, power, ledger, data and
    collapsed.

    What was left out is counted in the frame `excluded` instead.
    """
    trained = frames["scores"][frames["scores"]["aggregation"] != FLOOR]
    return [
        *of_design(study),
        *of_chosen_margins(study, frames["gains"], frames["data"]),
        *of_missing_contrasts(study, frames["gains"]),
        *of_missing_pairs(study, frames["gains"]),
        *of_repeated_tests(study, frames["gains"]),
        *of_seeds(study, trained),
        *of_folds(study),
        *of_what_can_be_decided(study, frames["gains"], frames["power"]),
        *of_training(study),
        *of_collapsed(frames["collapsed"]),
        *of_floors(study.aggregations[0], trained, frames["gains"]),
        *of_large_margins(study, frames["data"]),
        *of_compute(study, frames["ledger"]),
        *of_test_cases(study, trained, frames["gains"], frames["data"]),
    ]
