"""All figures in the order of a report, with their captions."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from aggregation_lab.errors import ResultsError
from aggregation_lab.text import near_names
from analysis.figures import advice, arms, forest, group_stability, heat_map, scale, task_types
from analysis.figures.canvas import Target
from analysis.figures.grouping import affinity_map, costs, predictions
from analysis.figures.training import curves, routing
from analysis.figures.view import Body, Choices, NothingToDraw, drawn_on, render, view_of
from analysis.named_frames import NamedFrames

_ARROW = "↗: the base model was still improving when its training ended, so that the gain may be too large."
_SOME_ARROW = "↗: of a task behind it the base model was still improving when its training ended."


@dataclass(frozen=True)
class PaperFigure:
    """`function` draws from plain frames, `body` from a view."""

    function: Callable[..., Target]
    body: Body
    title: str
    caption: str

    @property
    def name(self) -> str:
        """The name of the function, and the stem of the files."""
        return self.function.__name__

    @property
    def options(self) -> list[str]:
        """What a caller may choose."""
        taken = inspect.signature(self.function).parameters
        return [name for name in ("tasks", "order", "labels", "palette") if name in taken]

    def draw(self, analysis: NamedFrames) -> tuple[Figure, pd.DataFrame] | None:
        """The figure for a file, unknown to pyplot, and the rows it shows; None where there is nothing to draw."""
        try:
            return self.on_paper(analysis)
        except NothingToDraw:
            return None

    def on_paper(self, analysis: NamedFrames) -> tuple[Figure, pd.DataFrame]:
        """As `draw`. Raises `NothingToDraw`, which says what is missing."""
        view = view_of(analysis, Choices(), Figure)
        rows = render(self.body, view)
        figure = view.canvas.target.get_figure(root=True)
        assert figure is not None
        return figure, rows

    def show(self, analysis: NamedFrames, ax: Target | None = None, **chosen: Any) -> Target:
        """The figure where a caller wants it, as `Analysis.figure` describes."""
        for option, value in chosen.items():
            if value is not None and option not in self.options:
                raise ResultsError(f"{self.name} takes no {option}; it takes {', '.join(self.options)}")
        return drawn_on(self.body, view_of(analysis, Choices(ax, **chosen)))


FIGURES = (
    PaperFigure(
        forest.gains_forest,
        forest.draw_forest,
        "Gains and verdicts by task",
        "Gain of every task by clinical group, with the interval that decides between benefit and harm (corrected "
        "over all tasks and contrasts at full data; dotted: one seed, so test cases alone and no verdict). Grey: "
        "losses within the margin. Upright stroke: the largest loss that is not ruled out, corrected too; where it "
        "lies in the grey there is no meaningful loss. Diamonds: mean gains of groups, types and all tasks with 95 % "
        f"intervals for these tasks; hollow: median gain of tasks of this kind. {_ARROW}",
    ),
    PaperFigure(
        heat_map.gains_heat_map,
        heat_map.draw_heat_map,
        "Gains by task and contrast",
        "Gain of every task at full data with the mark of its verdict: ▲ benefit, ▼ harm, ≈ no meaningful loss, "
        f"? undecided, ≡ same model. Lines part clinical groups. {_ARROW}",
    ),
    PaperFigure(
        scale.scale_across,
        scale.draw_across,
        "Gain against training cases, across tasks",
        "Each point is a task with its 95 % interval; the line and its 95 % band are the mixed model's. On the zero "
        "line: n*, where the line crosses zero, with its interval. Tasks of different size differ otherwise too: "
        f"observation. {_ARROW}",
    ),
    PaperFigure(
        scale.scale_within,
        scale.draw_within,
        "Gain against training cases, within tasks",
        "Each thin line is one task at several fractions of its training data; the thick line with its 95 % band is "
        "the mean of the tasks' lines. The data of all tasks shrink together, which is an intervention; where units "
        "are so small that a least number of steps sets their length, the compute over the base's changes, too. "
        f"{_ARROW}",
    ),
    PaperFigure(
        task_types.type_sensitivity,
        task_types.draw_types,
        "Gains by task type",
        "Left: mean gain of each task type (number of tasks; several where contrasts differ) with the 95 % interval of "
        "these very tasks. Right: share of its tasks with verdict harm (filled) and with a negative estimate "
        "(outlined). "
        f"{_SOME_ARROW}",
    ),
    PaperFigure(
        group_stability.stability,
        group_stability.draw_stability,
        "Stability over groups and amounts of data",
        "Above: mean gain of each clinical group at each fraction of the data, with 95 % interval. Below: standard "
        "deviation and lowest of these means, and share of tasks with a negative estimate, with 95 % intervals; "
        "that of the lowest is wider than above, as it was chosen among all. "
        f"{_SOME_ARROW}",
    ),
    PaperFigure(
        arms.arms_heat_map,
        arms.draw_arms,
        "Gains by task and arm",
        "Gain of every task at full data in every arm, with the mark of its verdict: ▲ benefit, ▼ harm, ≈ no "
        f"meaningful loss, ? undecided, ≡ same model. Lines part clinical groups. {_ARROW}",
    ),
    PaperFigure(
        arms.capacity_trend,
        arms.draw_capacity,
        "Gain against the size of the model",
        "Mean gain over the same tasks in every arm, with the 95 % interval of these very tasks, against the size of "
        "the joint model (geometric mean over tasks); arms differ in capacity alone. The line with its 95 % band is "
        "the mean of the tasks' lines, the tasks being a sample.",
    ),
    PaperFigure(
        predictions.gains_predicted,
        predictions.draw_predictions,
        "Predicted and measured gains",
        "Gain over TS on validation cases of every task in every set that was trained, against what a model predicted "
        "that had not seen the task (left, with the 80 % interval of the prediction) or the aggregation (right). On "
        "the dashed line the two agree; a flat cloud predicts nothing.",
    ),
    PaperFigure(
        costs.partition_costs,
        costs.draw_costs,
        "What partitions cost and score",
        "Mean unit-free score of the tasks against worker hours per seed at full data. Filled: trained, on test cases. "
        "Hollow: the partition with the largest predicted gain for its number of units, at the score of TS and that "
        "gain, with the 80 % interval of the mean; predicted from validation cases, and chosen because it is high. The "
        "line joins those that nothing beats at their cost.",
    ),
    PaperFigure(
        advice.guideline_map,
        advice.draw_guidelines,
        "Which aggregation to train",
        "Advice by task type, clinical group and training cases, over the sizes that were studied. Hatched: undecided, "
        f"no aggregation is surely better, nor every one surely worse, or too few tasks tell. {_SOME_ARROW}",
    ),
    PaperFigure(
        routing.routing_usage,
        routing.draw_usage,
        "Experts that tasks use",
        "Mean gate weight of each expert in the all-task model, by task and transformer block, both counted from 0; "
        "experts of different blocks have nothing to do with each other. Lines part clinical groups.",
    ),
    PaperFigure(
        routing.routing_similarity,
        routing.draw_similarity,
        "Tasks that are routed alike",
        "Similarity of two tasks' gate weights in the all-task model: 1 - Jensen-Shannon distance, mean over blocks "
        "and seeds. Lines part clinical groups.",
    ),
    PaperFigure(
        affinity_map.affinity_map,
        affinity_map.draw_affinities,
        "How tasks bear on each other",
        "In the all-task model, mean over moments of the training and over seeds: what a step on the task of a row "
        "alone does to the loss of the task of a column, blue where it falls; or, where that was not recorded, the "
        "first signal that was. Tasks are ordered by average linkage of the mean of both directions, their clinical "
        "groups beside them. A signal says nothing of gains until it has been held against them.",
    ),
    PaperFigure(
        curves.learning_curves,
        curves.draw_curves,
        "Learning curves",
        "Validation score of each task at full data, a line per seed. ↗ in the colour of an aggregation: still "
        "improving when its training ended, in at least one seed.",
    ),
)
"""In the order of a report."""


def by_name(name: str) -> PaperFigure:
    """The figure of that name. Raises `ResultsError` where there is none."""
    for figure in FIGURES:
        if figure.name == name:
            return figure
    raise ResultsError(f"no figure is called {name}{near_names(name, [figure.name for figure in FIGURES])}")
