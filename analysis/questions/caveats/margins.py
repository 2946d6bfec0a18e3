"""Caveats of margins: that nobody chose them, that they were changed, and that they are large."""

import pandas as pd

from aggregation_lab.manifest import DEFAULT_MARGIN
from aggregation_lab.tasks import METRICS
from analysis.frames import at_full
from analysis.questions.caveats.sentences import if_any, named
from analysis.study import StudyTables

LARGE_MARGIN = 0.25
"""Share of what the base has learned over the floor from which on a margin is no small loss."""


def of_chosen_margins(study: StudyTables, gains: pd.DataFrame, data: pd.DataFrame) -> list[str]:
    """Margins that nobody chose, that were changed, or that there are none of."""
    about, tasks = study.manifest, set(study.scores["task"])
    found: list[str] = []
    chosen = about.margins if about.margins_named is None else about.margins_named
    unnamed = f"No margin was named for {{}}: {DEFAULT_MARGIN:g} stands in, a default that was not chosen for them."
    in_a_unit = set(data.loc[data["margin"].isna(), "task"]) - set(gains.loc[gains["margin"].notna(), "task"])
    none = (
        "Gains of {} are in the unit of the metric, in which there is no margin: any loss that is shown to differ from "
        "0 is harm there, however small, and no meaningful loss cannot be shown. Give a unit-free metric of such a "
        "task, too, such as the error as a share of the image's size, name a margin in the unit (--margin TASK=LOSS), "
        "or judge relative gains (--scale relative), of which the margin is a share of the base."
    )
    changed = [
        f"{task} ({was:g} to {now:g})" for task, (was, now) in sorted(about.margins_changed.items()) if task in tasks
    ]
    if changed:
        found.append(
            f"Margins were changed after verdicts had been read, in {len(changed)} of {len(tasks)} tasks, "
            f"{named(changed)}: where that was because of them, verdicts of no meaningful loss or harm say less than "
            "stated."
        )
    found += if_any(tasks - set(chosen) - in_a_unit, len(tasks), unnamed)
    return found + if_any(in_a_unit & set(gains["task"]), len(tasks), none)


def of_large_margins(study: StudyTables, data: pd.DataFrame) -> list[str]:
    """Tasks whose margin is a large part of what there is to lose, one sentence each."""
    full = at_full(data)
    where = " (--margin TASK=LOSS)" if study.chosen else " under `margins:` of the study file"
    large = full[full["margin_share"].astype(float) > LARGE_MARGIN]
    return [
        f"{row['task']}: the margin {row['margin']:g}{_in_metric(row['metric'], row['margin_raw'])} is "
        f"{100 * row['margin_share']:.0f} % of what {study.aggregations[0]} has learned over the floor, so no "
        f"meaningful loss says little; give the task a smaller margin of its own{where} before the next runs."
        for row in large.to_dict("records")
    ]


def _in_metric(metric: str, margin: float) -> str:
    unit = METRICS[metric].unit if metric in METRICS else "1"
    return "" if unit == "1" or pd.isna(margin) else f" ({margin:.1f} {unit})"
