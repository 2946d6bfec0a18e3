"""What an analysis gives back: its frames, tables and figures, warnings, and the fitted rule."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from aggregation_lab.errors import ResultsError
from aggregation_lab.text import near_names
from analysis.named_frames import NamedFrames
from analysis.questions.advice import guidelines

if TYPE_CHECKING:  # tables and figures are loaded when one is asked for: a worker that only computes needs neither
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from analysis.figures import Palette
    from analysis.tables import PaperTable


@dataclass(frozen=True, eq=False, repr=False)
class Analysis(NamedFrames):
    """All results of one study.

    Each frame of `analysis.frames.FRAMES` is an attribute, such as `analysis.gains`; `table` and `figure` show them.
    `warnings` are what a reader must know beside them.
    """

    warnings: tuple[str, ...] = ()
    rule: guidelines.Rule | None = None

    def table(self, name: str) -> "PaperTable":
        """A table as a paper has it, such as `gains`; shown as HTML in a notebook, and in every form by `to_latex()`,
        `to_markdown()`, `to_html()` and `to_csv()`.

        Raises `ResultsError` for an unknown name, or where the study has nothing to put into the table.
        """
        from analysis.tables import TABLES, paper_table

        if name not in TABLES:
            raise ResultsError(f"no table is called {name}{near_names(name, TABLES)}")
        table = paper_table(self, name)
        if table is None:
            raise ResultsError(f"{self.study.manifest.study}: nothing to put into the table {name}")
        return table

    def figure(
        self,
        name: str,
        ax: "Axes | Figure | SubFigure | None" = None,
        *,
        tasks: Iterable[str] | None = None,
        order: Iterable[str] | None = None,
        labels: Mapping[str, str] | None = None,
        palette: "Palette | None" = None,
    ) -> "Axes | Figure | SubFigure":
        """Draw a figure, such as `gains_forest`; gives the Axes where it is one, else the Figure.

        Args:
            name: one of `analysis.figures.FIGURES`, or of the functions in `analysis.figures`.
            ax: where to draw; a new figure of the right size where none is given. Several panels replace an Axes.
            tasks: the tasks to show; means and fitted lines stay those of the whole study.
            order: tasks in the order in which they are to stand; others follow.
            labels: what to write instead of the name of a task, clinical group, contrast or aggregation.
            palette: colours by name, or a sequence of colours, or the name of a colormap of matplotlib.

        Raises `ResultsError` for an unknown name of a figure, task or colour, an option that the figure does not
        take, or where the study has nothing to draw.
        """
        from analysis.figures import by_name

        return by_name(name).show(self, ax, tasks=tasks, order=order, labels=labels, palette=palette)

    def recommend(self, n_train: float, task_type: str, group: str | None = None) -> guidelines.Recommendation:
        """Advice for a new task, see `guidelines`. Raises `ResultsError` where no rule could be fitted."""
        if self.rule is None:
            raise ResultsError(
                f"{self.study.manifest.study}: no rule could be fitted; it takes n_train and "
                f"{guidelines.FEWEST_TASKS} tasks with unit-free scores under every aggregation, and at most "
                f"{guidelines.MOST_COMPARED} aggregations beside the base"
            )
        return self.rule.recommend(n_train, task_type, group)

    def __repr__(self) -> str:
        return "\n".join(self._summary())

    def _repr_html_(self) -> str:
        title, *lines = (escape(line) for line in self._summary())
        return f"<p><b>{title}</b></p><ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"

    def _summary(self) -> list[str]:
        """Study, tasks and aggregations, then the verdicts of every contrast at full data."""
        tasks = self.scores["task"].nunique()
        arms = ", ".join(self.study.aggregations)
        lines = [f"Analysis of {self.study.manifest.study}: {tasks} task{'s' * (tasks != 1)} under {arms}"]
        full = self.gains[self.gains["fraction"] == self.gains["fraction"].max()]
        for contrast, rows in full.groupby("contrast", sort=False):
            counts = rows["verdict"].value_counts(sort=False).sort_index()
            lines.append(f"{contrast}: {', '.join(f'{count} {verdict}' for verdict, count in counts.items())}")
        if self.warnings:
            lines.append(f"{len(self.warnings)} warning{'s' * (len(self.warnings) != 1)}: see .warnings")
        return lines
