"""What a figure is drawn from: frames, the caller's choices, and where it goes."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.errors import ResultsError
from analysis.figures.canvas import NewFigure, Target, known_to_pyplot, say_above, shown_once
from analysis.figures.choices import Palette, check_names, colours, in_order, listed
from analysis.figures.labels import labelled, named_again
from analysis.figures.selection import fewer_contrasts, fewer_tasks
from analysis.figures.style import AGGREGATION_COLOURS, GREY, PARTITION_COLOURS, PLAIN_TEXT
from analysis.frames import FRAMES, OPTIONAL, frame
from analysis.named_frames import NamedFrames
from analysis.settings import Scale
from analysis.statistics.verdicts import UNDECIDED
from analysis.study import aggregation_order

Drawn = tuple[Target, pd.DataFrame]
"""What was drawn on, the Axes where it is one, and the rows that are shown."""


@dataclass(frozen=True)
class Choices:
    """What a caller wants otherwise; names as in the frames until `render` puts labels in their place."""

    ax: Target | None = None
    tasks: Iterable[str] | None = None
    order: Iterable[str] | None = None
    labels: Mapping[str, str] | None = None
    palette: Palette | None = None


@dataclass(frozen=True)
class View:
    """`aggregations` in their order, the common base first; `arm_colours` has the colour of each."""

    frames: Mapping[str, pd.DataFrame]
    aggregations: Sequence[str]
    scale: Scale = "absolute"
    choices: Choices = field(default_factory=Choices)
    new_figure: NewFigure = known_to_pyplot
    all_tasks: Collection[str] = ()
    arm_colours: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.frames[name] if name in self.frames else frame(name, [])

    def fewer_tasks(self, rows: pd.DataFrame, by: pd.DataFrame | None = None) -> tuple[pd.DataFrame, str]:
        """The rows that fit a page, by the gains `by`, and a line that says so; all of those the caller chose."""
        if self.choices.tasks is not None:
            return rows, ""
        return fewer_tasks(rows, self["gains"] if by is None else by)

    def sorted(self, rows: pd.DataFrame, *within: str) -> pd.DataFrame:
        """Rows by clinical group and task, or as the caller ordered the tasks; then by the columns `within`."""
        rows = rows.sort_values(["group", "task", *within], kind="stable")
        if self.choices.order is None:
            return rows
        check_names("order", self.choices.order, self.all_tasks)
        rank = {task: index for index, task in enumerate(in_order(rows["task"], self.choices.order))}
        return rows.sort_values("task", key=lambda tasks: tasks.map(rank), kind="stable")

    def ordered(self, names: Sequence[str]) -> list[str]:
        """Names of rows that are no tasks, in the caller's order."""
        if self.choices.order is None:
            return list(names)
        check_names("order", self.choices.order, names)
        return in_order(names, self.choices.order)

    def colours(self, defaults: Mapping[str, str], known: Collection[str] = ()) -> dict[str, str]:
        """The colour of every name of the legend."""
        return colours(self.choices.palette, defaults, known)

    def colours_of_aggregations(self, names: Sequence[str]) -> dict[str, str]:
        """The same colour for an aggregation in every figure."""
        return self.colours({name: self.arm_colours.get(name, GREY) for name in names}, self.aggregations)

    def colours_of_contrasts(self, rows: pd.DataFrame) -> dict[str, str]:
        """The colour of each contrast of the rows: that of its joint aggregation, grey off the common base."""
        common = next(iter(self.aggregations), "TS")
        sides = rows[["contrast", "joint", "base"]].drop_duplicates().itertuples(index=False, name=None)
        joints = {name: joint for name, joint, base in sides if base == common}
        arms, palette = self.arm_colours, self.choices.palette
        defaults = {
            name: arms.get(joints[name], GREY) if name in joints else GREY for name in rows["contrast"].unique()
        }
        if isinstance(palette, Mapping):
            defaults = {name: palette.get(joints.get(name, name), colour) for name, colour in defaults.items()}
        return self.colours(defaults, self.aggregations)


def view_of(analysis: NamedFrames, choices: Choices, new_figure: NewFigure = known_to_pyplot) -> View:
    """A view of all frames of an analysis."""
    return View(analysis.frames, analysis.study.aggregations, analysis.settings.scale, choices, new_figure)


def view_of_frames(frames: Mapping[str, pd.DataFrame | None], choices: Choices, scale: Scale = "absolute") -> View:
    """A view of single frames. Raises `ResultsError` where one lacks a column."""
    given = {name: rows for name, rows in frames.items() if rows is not None}
    for name, rows in given.items():
        missing = [column for column in FRAMES[name] if column not in rows and column not in OPTIONAL.get(name, ())]
        if missing:
            raise ResultsError(f"{name}: the frame lacks {', '.join(missing)} (see analysis.frames.FRAMES)")
    arms = {
        str(arm)
        for rows in given.values()
        for column in ("joint", "base", "aggregation", "advice")
        if column in rows
        for arm in rows[column].dropna().unique()
        if arm not in (UNDECIDED, FLOOR)
    }
    base = next((str(rows["base"].iloc[0]) for rows in given.values() if "base" in rows and len(rows)), None)
    return View(given, aggregation_order(arms, base), scale, choices)


def render(body: Callable[[View], Drawn | None], view: View) -> Drawn | None:
    """Draw with the look of all figures: contrasts that fit, names as labels that can be drawn.

    The rows beside the figure keep the names. On an Axes of the caller's, sizes and colours of axes and ticks stay
    the caller's. None where there is nothing to draw.
    """
    chosen = _chosen(view)
    shown, line = fewer_contrasts(chosen.frames)
    ready, names = _labelled(replace(chosen, frames=shown))
    with matplotlib.rc_context(PLAIN_TEXT):  # `figure_on` sets the rest where it makes the axes
        drawn = body(ready)
        if drawn is not None:
            say_above(drawn[0], view.choices.ax, line)
        interactive = matplotlib.is_interactive()
    matplotlib.interactive(interactive)  # a notebook's backend is, and may be loaded with its first figure only
    return None if drawn is None else (drawn[0], named_again(drawn[1], names))


def on_paper(body: Callable[[View], Drawn | None], analysis: NamedFrames) -> tuple[Figure, pd.DataFrame] | None:
    """A figure for a file, unknown to pyplot, and its rows; None where there is nothing to draw."""
    drawn = render(body, view_of(analysis, Choices(), Figure))
    if drawn is None:
        return None
    target, rows = drawn
    figure = target.get_figure(root=True)
    assert figure is not None
    return figure, rows


def drawn_on(body: Callable[[View], Drawn | None], view: View, needs: str) -> Target:
    """What was drawn on. Raises `ResultsError` where there is nothing to draw; `needs` says what is missing."""
    drawn = render(body, view)
    if drawn is None:
        raise ResultsError(f"nothing to draw: no {needs}")
    return shown_once(drawn[0]) if view.choices.ax is None else drawn[0]


def _chosen(view: View) -> View:
    """The view with the chosen tasks only, and what names all tasks have."""
    tasks = {str(task) for rows in view.frames.values() if "task" in rows for task in rows["task"].unique()}
    chosen, order = listed("tasks", view.choices.tasks), listed("order", view.choices.order)
    view = replace(view, all_tasks=tasks, choices=replace(view.choices, tasks=chosen, order=order))
    if chosen is None:
        return view
    check_names("tasks", chosen, tasks)
    frames = dict(view.frames)
    for column in ("task", "other"):
        frames = {name: rows[rows[column].isin(chosen)] if column in rows else rows for name, rows in frames.items()}
    return replace(view, frames=frames)


def _labelled(view: View) -> tuple[View, dict[str, str]]:
    """The view with labels in place of names, and the name behind each label."""
    frames, changed = labelled(view.frames, view.aggregations, view.choices.labels or {})

    def shown(name: str) -> str:
        return changed.get(name, name)

    partitions = sorted(set(view.aggregations) - set(AGGREGATION_COLOURS))
    arms = AGGREGATION_COLOURS | {
        name: PARTITION_COLOURS[number % len(PARTITION_COLOURS)] for number, name in enumerate(partitions)
    }
    palette, order = view.choices.palette, view.choices.order
    if isinstance(palette, Mapping):
        palette = {shown(name): colour for name, colour in palette.items()}
    choices = replace(view.choices, palette=palette, order=None if order is None else [shown(name) for name in order])
    ready = replace(
        view,
        frames=frames,
        choices=choices,
        aggregations=[shown(name) for name in view.aggregations],
        all_tasks={shown(task) for task in view.all_tasks},
        arm_colours={shown(name): colour for name, colour in arms.items()},
    )
    return ready, {label: name for name, label in changed.items()}
