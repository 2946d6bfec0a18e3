"""All figures: each draws what result frames say and computes no statistic.

Every function takes frames first (those of `analysis.frames`, or rows of them), then by keyword `ax` and what is to be
shown otherwise, and gives back the Axes where the figure is one, else the figure.
"""

from dataclasses import dataclass
from pathlib import Path

from analysis.figures.advice import guideline_map
from analysis.figures.arms import arms_heat_map, capacity_trend
from analysis.figures.catalogue import FIGURES, PaperFigure, by_name
from analysis.figures.choices import Palette
from analysis.figures.forest import gains_forest
from analysis.figures.group_stability import stability
from analysis.figures.grouping.affinity_map import affinity_map
from analysis.figures.grouping.costs import partition_costs
from analysis.figures.grouping.predictions import gains_predicted
from analysis.figures.heat_map import gains_heat_map
from analysis.figures.saving import save
from analysis.figures.scale import scale_across, scale_within
from analysis.figures.task_types import type_sensitivity
from analysis.figures.training.curves import learning_curves
from analysis.figures.training.routing import routing_similarity, routing_usage
from analysis.figures.view import NothingToDraw
from analysis.named_frames import NamedFrames

__all__ = [
    "FIGURES",
    "Palette",
    "PaperFigure",
    "Written",
    "affinity_map",
    "arms_heat_map",
    "by_name",
    "capacity_trend",
    "gains_forest",
    "gains_heat_map",
    "gains_predicted",
    "guideline_map",
    "learning_curves",
    "partition_costs",
    "routing_similarity",
    "routing_usage",
    "save",
    "scale_across",
    "scale_within",
    "stability",
    "type_sensitivity",
    "write_figures",
]


@dataclass(frozen=True)
class Written:
    """Files by figure, and for each figure that was left out the reason."""

    files: dict[str, list[Path]]
    left_out: dict[str, str]


def write_figures(analysis: NamedFrames, folder: Path) -> Written:
    """Write every figure as `<name>.pdf`, `.svg`, `.png` and the `.csv` of what it shows.

    Raises `AgglabError` where the folder cannot be written.
    """
    files, left_out = {}, {}
    for figure in FIGURES:
        try:
            files[figure.name] = save(*figure.on_paper(analysis), figure.name, folder)
        except NothingToDraw as nothing:
            left_out[figure.name] = f"the study has no {nothing.needs}"
    return Written(files, left_out)
