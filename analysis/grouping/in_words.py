"""A proposal in words: who with whom and why, what it may gain, what cannot be told from it, what it is worth.

Names of tasks stand as they are; who prints a line escapes them.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from aggregation_lab.text import decimals_of_limit, whole_per_cent
from analysis.grouping.gain_model import LEVEL
from analysis.grouping.measured_gains import BASE
from analysis.grouping.predicted_gain import ALL_SIGNALS, MODEL
from analysis.grouping.proposal import SURE, Proposal, unit_names
from analysis.grouping.set_features import NAIVE

NO_BETTER = (
    "where the choice to use them is made anew without what is left out, that is no better than no information: take "
    "predicted gains and chances for a guess, and let the test scores of the trained groups decide"
)
_SHOWN = 5
"""Near-ties that are written out."""


def signed(value: float, digits: int = 3) -> str:
    """A gain with its sign, none on zero."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def between(low: float, high: float) -> str:
    """Both limits of an interval; words where it has no ends."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return "no interval: too few tasks"
    lower, upper = (signed(limit, decimals_of_limit(limit)) for limit in (low, high))
    return f"[{lower}, {upper}]"


def partition_text(units: Sequence[Sequence[str]]) -> str:
    """`a + b | c`: units parted by strokes, those of several tasks first."""
    return " | ".join(" + ".join(unit) for unit in unit_names(units).values())


def reasons(proposal: Proposal) -> dict[tuple[str, ...], str]:
    """Why each unit (by the names of its tasks) is predicted to gain what it does."""
    model, trained = proposal.prediction.model, _trained_units(proposal)
    parts, found = model.reasons(proposal.members), {}
    for k, (unit, names) in enumerate(zip(proposal.best.units, proposal.names, strict=True)):
        if len(unit) == 1:
            found[names] = f"alone, as in {BASE}: its gain is 0"
            continue
        added = [f"{family} {signed(float(np.nanmean(values[k])))}" for family, values in parts.items()]
        text = ", ".join(added) + ", against the mean trained set" if added else ""
        known = [f"measured in {trained[unit]}"] if unit in trained else []
        basis = [
            *known,
            *([text] if text else [] if known else ["the tasks' own mean gain in the sets that were trained"]),
        ]
        found[names] = "; ".join(basis)
    return found


def _trained_units(proposal: Proposal) -> dict[tuple[int, ...], str]:
    sets = proposal.prediction.measured.sets
    labels = sets["aggregation"] + "/" + sets["unit"]
    return dict(zip(sets["members"], labels, strict=True))


def headline(proposal: Proposal) -> str:
    """What was found, and its mean gain."""
    joint = sum(len(unit) > 1 for unit in proposal.best.units)
    low, high = proposal.interval
    units = len(proposal.best.units)
    return (
        f"{units} unit{'s' * (units != 1)}, {joint} of several tasks: predicted mean gain over {BASE} "
        f"{signed(proposal.gain)} on validation scores, {LEVEL:.0%} interval {between(low, high)}"
    )


def groups(found: pd.DataFrame) -> list[str]:
    """A line for each unit of the frame `found_groups`, with the predicted gain of every task."""
    lines = []
    for unit, rows in found.groupby("unit", sort=False):
        why = rows["why"].iloc[0]
        if len(rows) == 1:
            lines.append(f"{unit}: {rows['task'].iloc[0]} ({why})")
            continue
        each = [
            f"{row['task']} {signed(row['predicted'])} {between(row['low'], row['high'])}"
            for row in rows.to_dict("records")
        ]
        lines.append(f"{unit}: {', '.join(each)} ({why})")
    return lines


def comparisons(proposal: Proposal) -> list[str]:
    """The chance to beat what is trained, and what cannot be told from the proposal."""
    chances = [f"{name} {whole_per_cent(chance, '')}" for name, chance in proposal.chances.items()]
    lines = [f"chance that its mean gain is larger than that of {', '.join(chances)}"] if chances else []
    low, _ = proposal.interval
    if low <= 0:
        lines.append(f"not surely better than {BASE}: the interval of the mean gain holds 0")
    if proposal.rivals:
        several = f"{len(proposal.rivals)} of its {len(proposal.search.best) - 1} runners-up"
        equal = f", {proposal.ties} with the same prediction" if proposal.ties else ""
        lines.append(
            f"not told apart (a chance below {SURE:.0%} that the proposal is better): {several}{equal}, such as"
        )
        shown = proposal.rivals[:_SHOWN]
        lines += [f"  {signed(each.gain)} {partition_text(proposal.named(each.units))}" for each in shown]
    if not proposal.search.proven:
        lines.append(
            f"made of the best of {proposal.search.weighed:,} sets of tasks; with so many tasks not all can be weighed"
        )
    return lines


def left_out(errors: pd.DataFrame) -> tuple[str, str]:
    """What is left out to judge predictions, sets or, where one set was trained, tasks; and the column of the error."""
    several = errors["error_new_set"].notna().all()
    return ("sets", "error_new_set") if several else ("tasks", "error_new_task")


def worth(errors: pd.DataFrame) -> list[str]:
    """What the prediction is worth, beside the naive baselines."""
    by_name = {row["predictor"]: row for row in errors.to_dict("records")}
    what, error = left_out(errors)
    naive = [f"{name} {by_name[name][error]:.3f}" for name in NAIVE if name in by_name]
    whole = by_name[MODEL]
    lines = [f"error of the gain on {what} left out: {whole[error]:.3f}; naive baselines: {', '.join(naive)}"]
    if what == "sets":
        lines.append(f"error on tasks left out: {whole['error_new_task']:.3f}")
    lines.append(basis(by_name))
    return [*lines, NO_BETTER] if no_better(whole) else lines


def no_better(whole: Mapping[Hashable, Any]) -> bool:
    """Whether affinities are used, and the whole procedure has no smaller error than no information: a row of
    `errors`."""
    return uses_affinities(whole) and not whole["skill"] > 0


def uses_affinities(whole: Mapping[Hashable, Any]) -> bool:
    """Whether predictions rest on affinities: the row of the whole procedure."""
    return str(whole["reason"]).startswith("uses")


def basis(by_name: Mapping[Hashable, Mapping[Hashable, Any]]) -> str:
    """What the prediction rests on: rows of `errors` by predictor."""
    whole = by_name[MODEL]
    if uses_affinities(whole):
        return f"the prediction {whole['reason']}"
    why = "no affinities were recorded"
    if ALL_SIGNALS in by_name:
        row = by_name[ALL_SIGNALS]
        more = f" ({-row['skill']:.0%} more mean square error)" if row["skill"] < -0.005 else ""
        why = f"affinities are not used, for all together they are {row['reason']}{more}"
    return (
        f"{why}: nothing but the gains of trained sets tells who should be with whom, so that units which are not "
        "trained yet are arbitrary"
    )
