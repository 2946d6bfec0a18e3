"""Advice for one new task, from an analysis or straight from a study."""

from analysis.pipeline import analyse
from analysis.questions.advice.guidelines import Recommendation
from analysis.result import Analysis
from analysis.study import StudyTables


def recommend(
    source: Analysis | StudyTables, *, n_train: float, task_type: str, group: str | None = None
) -> Recommendation:
    """Which aggregation to train for a task of this type with `n_train` training cases.

    A study is analysed first, with the usual settings; where several questions are asked, analyse it once. An unknown
    clinical group counts as a new one. Raises `ResultsError` where `n_train` is not positive, or no rule could be
    fitted. The rule: `analysis.questions.advice.guidelines`.
    """
    analysis = source if isinstance(source, Analysis) else analyse(source)
    return analysis.recommend(n_train, task_type, group)
