"""Models of several arms in one set of tables, so that what pairs aggregations pairs them, too."""

from collections.abc import Mapping

import pandas as pd

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.errors import ResultsError
from analysis.study import StudyTables

Model = tuple[str, str]
"""Arm and aggregation."""


def side_by_side(study: StudyTables, models: Mapping[str, Model]) -> StudyTables:
    """Tables in which each of the `models` is an aggregation of the name that it has there; the first is the baseline.

    The floor is that of the first model's arm. A model without rows is missing. Raises `ResultsError` where the study
    has no such arm.
    """
    whole = study.every_arm or study
    unknown = [arm for arm, _ in models.values() if arm not in whole.arms]
    if unknown:
        raise ResultsError(f"{whole.manifest.study}: has no arm {unknown[0]}; it has {', '.join(whole.arms)}")
    first = next(iter(models.values()))[0]

    def chosen(rows: pd.DataFrame | None) -> pd.DataFrame | None:
        if rows is None:
            return None
        of_arm = {arm: rows[rows["arm"] == arm] for arm in {arm for arm, _ in models.values()}}
        parts = [
            of_arm[arm][of_arm[arm]["aggregation"] == aggregation].assign(aggregation=name)
            for name, (arm, aggregation) in models.items()
        ]
        return pd.concat([*parts, of_arm[first][of_arm[first]["aggregation"] == FLOOR]], ignore_index=True)

    scores = chosen(whole.scores)
    assert scores is not None
    return StudyTables(
        manifest=study.manifest,
        scores=scores,
        cases=chosen(whole.cases),
        runs=chosen(whole.runs),
        curves=chosen(whole.curves),
        routing=chosen(whole.routing),
        base=next(iter(models)),
        unit_free=study.unit_free,
        chosen=study.chosen,
    )
