"""All figures: each draws what result frames say and computes no statistic."""

from dataclasses import dataclass
from pathlib import Path

from analysis.figures.advice import guideline_map
from analysis.figures.curves import learning_curves
from analysis.figures.forest import gains_forest, gains_heat_map
from analysis.figures.groups import stability, type_sensitivity
from analysis.figures.routing import routing_similarity, routing_usage
from analysis.figures.scale import scale_across, scale_within
from analysis.figures.theme import Draw, save
from analysis.result import Analysis

__all__ = ["FIGURES", "PaperFigure", "Written", "save", "write_figures"]

_ARROW = "↗: the base model was still improving when its budget ended, so that the gain may be too large."
_SOME_ARROW = "↗: of a task behind it the base model was still improving when its budget ended."


@dataclass(frozen=True)
class PaperFigure:
    """`name` is the stem of its files; `needs` says without what it is left out."""

    name: str
    title: str
    caption: str
    draw: Draw
    needs: str


FIGURES = (
    PaperFigure(
        "gains_forest",
        "Gains and verdicts by task",
        "Gain of every task by clinical group, with the interval that decides between benefit and harm (corrected "
        "over all tasks and contrasts at full data; dotted: one seed, so test cases alone and no verdict). Grey: "
        "losses within the margin. Upright stroke: the largest loss that is not ruled out, corrected too; where it "
        "lies in the grey there is no meaningful loss. Diamonds: mean gains of groups, types and all tasks with 95 % "
        f"intervals for these tasks; hollow: median gain of tasks of this kind. {_ARROW}",
        gains_forest,
        "gains on a unit-free scale",
    ),
    PaperFigure(
        "gains_heat_map",
        "Gains by task and contrast",
        "Gain of every task at full data with the mark of its verdict: ▲ benefit, ▼ harm, ≈ no meaningful loss, "
        f"? undecided, ≡ same model. Lines part clinical groups. {_ARROW}",
        gains_heat_map,
        "gains on a unit-free scale",
    ),
    PaperFigure(
        "scale_across",
        "Gain against training cases, across tasks",
        "Each point is a task with its 95 % interval; the line and its 95 % band are the mixed model's. On the zero "
        "line: n*, where the line crosses zero, with its interval. Tasks of different size differ otherwise too: "
        f"observation. {_ARROW}",
        scale_across,
        "gains of tasks that differ in n_train",
    ),
    PaperFigure(
        "scale_within",
        "Gain against training cases, within tasks",
        "Each thin line is one task at several fractions of its training data; the thick line with its 95 % band is "
        "the mean of the tasks' lines. The data of the same task shrink and nothing else changes: intervention. "
        f"{_ARROW}",
        scale_within,
        "gains at two fractions or more",
    ),
    PaperFigure(
        "type_sensitivity",
        "Gains by task type",
        "Left: mean gain of each task type (number of tasks; several where contrasts differ) with the 95 % interval of "
        "these very tasks. Right: share of its tasks with verdict harm (filled) and with a negative estimate "
        "(outlined). "
        f"{_SOME_ARROW}",
        type_sensitivity,
        "mean gains by type",
    ),
    PaperFigure(
        "stability",
        "Stability over groups and amounts of data",
        "Above: mean gain of each clinical group at each fraction of the data, with 95 % interval. Below: standard "
        "deviation and lowest of these means, and share of tasks with a negative estimate, with 95 % intervals. "
        f"{_SOME_ARROW}",
        stability,
        "mean gains by clinical group",
    ),
    PaperFigure(
        "guideline_map",
        "Which aggregation to train",
        "Advice by task type, clinical group and training cases, over the sizes that were studied. Hatched: undecided, "
        f"no aggregation is surely better, nor every one surely worse, or too few tasks tell. {_SOME_ARROW}",
        guideline_map,
        "guideline: too few tasks, or no n_train",
    ),
    PaperFigure(
        "routing_usage",
        "Experts that tasks use",
        "Mean gate weight of each expert in the all-task model, by task and transformer block, both counted from 0; "
        "experts of different blocks have nothing to do with each other. Lines part clinical groups.",
        routing_usage,
        "routing of AU",
    ),
    PaperFigure(
        "routing_similarity",
        "Tasks that are routed alike",
        "Similarity of two tasks' gate weights in the all-task model: 1 - Jensen-Shannon distance, mean over blocks "
        "and seeds. Lines part clinical groups.",
        routing_similarity,
        "routing of AU",
    ),
    PaperFigure(
        "learning_curves",
        "Learning curves",
        "Validation score of each task at full data, a line per seed. ↗ in the colour of an aggregation: still "
        "improving when the budget ended, in at least one seed.",
        learning_curves,
        "learning curves",
    ),
)
"""In the order of a report."""


@dataclass(frozen=True)
class Written:
    """Files by figure, and for each figure that was left out the reason."""

    files: dict[str, list[Path]]
    left_out: dict[str, str]


def write_figures(analysis: Analysis, folder: Path) -> Written:
    """Write every figure as `<name>.pdf`, `.svg`, `.png` and the `.csv` of what it shows.

    Raises `AgglabError` where the folder cannot be written.
    """
    files, left_out = {}, {}
    for figure in FIGURES:
        drawn = figure.draw(analysis)
        if drawn is None:
            left_out[figure.name] = f"the study has no {figure.needs}"
        else:
            files[figure.name] = save(*drawn, figure.name, folder)
    return Written(files, left_out)
