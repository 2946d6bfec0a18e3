"""What a figure is drawn from: frames, the caller's choices, and where it goes."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import matplotlib
import pandas as pd

from aggregation_lab.aggregation import FLOOR
from aggregation_lab.errors import ResultsError
from analysis.contrasts import default_sides
from analysis.figures.canvas import Canvas, NewFigure, Target, known_to_pyplot, shown_once
from analysis.figures.choices import Palette, check_names, colours, in_order, listed
from analysis.figures.labels import labelled, named_again
from analysis.figures.marks import Looks
from analysis.figures.selection import fewer_contrasts, fewer_tasks
from analysis.figures.style import AGGREGATION_COLOURS, GREY, PARTITION_COLOURS, PLAIN_TEXT
from analysis.frames import FRAMES, OPTIONAL, frame
from analysis.named_frames import NamedFrames
from analysis.settings import Scale
from analysis.statistics.verdicts import UNDECIDED
from analysis.study import aggregation_order


class NothingToDraw(ResultsError):
    """A study lacks what a figure `needs`."""

    def __init__(self, needs: str) -> None:
        super().__init__(f"nothing to draw: no {needs}")
        self.needs = needs


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

    canvas: Canvas
    frames: Mapping[str, pd.DataFrame]
    aggregations: Sequence[str]
    scale: Scale = "absolute"
    choices: Choices = field(default_factory=Choices)
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

    def looks(self, defaults: Looks, known: Collection[str]) -> Looks:
        """The colour and marker of every name of the legend."""
        chosen = colours(self.choices.palette, {name: colour for name, (colour, _) in defaults.items()}, known)
        return {name: (chosen[name], marker) for name, (_, marker) in defaults.items()}

    def colours_of_aggregations(self, names: Sequence[str]) -> dict[str, str]:
        """The same colour for an aggregation in every figure."""
        defaults = {name: self.arm_colours.get(name, GREY) for name in names}
        return colours(self.choices.palette, defaults, self.aggregations)

    def colours_of_contrasts(self, rows: pd.DataFrame) -> dict[str, str]:
        """The colour of each contrast of the rows: that of its joint aggregation, grey off its default base."""
        joints = default_sides(rows, next(iter(self.aggregations), "TS"))
        defaults = {name: self.arm_colours.get(joints.get(name, ""), GREY) for name in rows["contrast"].unique()}
        palette = self.choices.palette
        if isinstance(palette, Mapping):
            defaults = {name: palette.get(joints.get(name, name), colour) for name, colour in defaults.items()}
        return colours(palette, defaults, self.aggregations)


def view_of(analysis: NamedFrames, choices: Choices, new_figure: NewFigure = known_to_pyplot) -> View:
    """A view of all frames of an analysis."""
    canvas = Canvas(choices.ax, new_figure)
    return View(canvas, analysis.frames, analysis.study.aggregations, analysis.settings.scale, choices)


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
    return View(Canvas(choices.ax, known_to_pyplot), given, aggregation_order(arms, base), scale, choices)


Body = Callable[[View], pd.DataFrame]
"""Draws on the canvas of a view, and gives the rows that are shown. Raises `NothingToDraw`."""


def render(body: Body, view: View) -> pd.DataFrame:
    """Draw with the look of all figures: contrasts that fit, names as labels that can be drawn.

    The rows beside the figure keep the names. On an Axes of the caller's, sizes and colours of axes and ticks stay
    the caller's.
    """
    chosen = _chosen(view)
    shown, line = fewer_contrasts(chosen.frames)
    ready, names = _labelled(replace(chosen, frames=shown))
    with matplotlib.rc_context(PLAIN_TEXT):  # `Canvas.whole` sets the rest where it makes the axes
        rows = body(ready)
        view.canvas.note_above(line)
        interactive = matplotlib.is_interactive()
    matplotlib.interactive(interactive)  # a notebook's backend is, and may be loaded with its first figure only
    return named_again(rows, names)


def drawn_on(body: Body, view: View) -> Target:
    """What was drawn on."""
    render(body, view)
    return shown_once(view.canvas.target) if view.choices.ax is None else view.canvas.target


def drawn_from(
    body: Body, frames: Mapping[str, pd.DataFrame | None], choices: Choices, scale: Scale = "absolute"
) -> Target:
    """What was drawn on, from single frames. Raises `ResultsError` where one lacks a column."""
    return drawn_on(body, view_of_frames(frames, choices, scale))


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
