"""The one look of all figures: sizes for a two-column paper, colours that colour-blind readers can tell apart, fonts.

Verdicts, aggregations and task types each have their own colours, and markers beside them, so that nothing rests on
colour alone. Colours of verdicts and aggregations: Okabe and Ito (2008); of types: Tol, "muted" (2021).
"""

from typing import Any

from matplotlib.colors import LinearSegmentedColormap

from aggregation_lab.tasks import TaskType
from analysis.figures.labels import families
from analysis.statistics.verdicts import BENEFIT, HARM, NO_LOSS, SAME_MODEL, UNDECIDED

COLUMN, WIDE = 3.35, 6.9
"""Width in inches of one column and of both columns of a paper."""

SMALL = 6.5
"""Smallest text in points."""

INK, GREY, PALE = "#222222", "#7F7F7F", "#E4E4E4"

PLAIN_TEXT: Any = {
    "font.family": families(),  # the first comes with matplotlib: figures look alike everywhere, and have the arrows
    "text.parse_math": False,  # a name with two dollars is no formula
    "text.usetex": False,
}
"""What every name needs to be drawn as it stands, in a caller's own Axes too."""

RC: Any = {
    **PLAIN_TEXT,
    "font.size": 7.0,
    "axes.labelsize": 7.0,
    "axes.titlesize": 7.0,
    "axes.titleweight": "bold",
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.2,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "lines.linewidth": 1.0,
    "lines.markersize": 4.0,
    "figure.dpi": 300,  # the layout is found at the resolution of the PNG: letters are wider at another
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "pdf.fonttype": 42,  # whole TrueType fonts: text stays text
    "svg.fonttype": "path",  # letters as outlines: looks alike in a browser without the font
    "svg.hashsalt": "aggregation_lab",
}

VERDICT_LOOKS = {
    BENEFIT: ("#0072B2", "^"),
    NO_LOSS: ("#00875F", "s"),
    UNDECIDED: ("#8F8F8F", "o"),
    HARM: ("#D55E00", "v"),
    SAME_MODEL: ("#C4C4C4", "x"),
}
"""Colour and marker; undecided is drawn hollow."""

AGGREGATION_COLOURS = {"TS": "#333333", "CG": "#E69F00", "AU": "#CC79A7"}
PARTITION_COLOURS = ("#56B4E9", "#117733", "#882255", "#999933")
"""For partitions of the user's, in alphabetical order."""

TYPE_LOOKS = {
    str(TaskType.SEGMENTATION): ("#332288", "o"),
    str(TaskType.CLASSIFICATION): ("#999933", "s"),
    str(TaskType.DETECTION): ("#882255", "^"),
    str(TaskType.REGRESSION): ("#66BBDD", "D"),
}

DIVERGING = LinearSegmentedColormap.from_list("harm_benefit", ["#A63603", "#F4A582", "#FAFAFA", "#92C5DE", "#05518F"])
"""Vermilion below zero, blue above, like the verdicts."""

GAIN_LABELS = {
    "absolute": "gain (unit-free score)",
    "relative": "gain (share of the base score)",
    "standardised": "gain (sd over seeds)",
}
