"""What a report says of the partition that the grid has found: which it is, why, and what of its comparison is fair."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aggregation_lab.aggregation import FOUND
from aggregation_lab.text import enumerated
from analysis.frames import at_full
from analysis.grouping.found_means import LATER, OF_CHOICE
from analysis.report import words
from analysis.result import Analysis
from analysis.tables.cells import true_minus


@dataclass(frozen=True)
class Found:
    """What stands before the reasons of the choice: an introduction and what the comparison may claim."""

    intro: str
    units: tuple[str, ...]
    fair: tuple[str, ...]
    why: tuple[str, ...]


def found(analysis: Analysis) -> Found | None:
    """The words of the section; None where the grid has found no partition."""
    about = analysis.study.manifest.found
    if about is None:
        return None
    units = tuple(f"{name}: {', '.join(tasks)}." for name, tasks in about["units"].items())
    return Found(_intro(about), units, fair(analysis, about), tuple(true_minus(str(line)) for line in about["why"]))


def _intro(about: Mapping[str, Any]) -> str:
    asked = [f"{name} {value:g}" for name, value in about["options"].items() if value is not None]
    named = ", ".join(f"{name} {digest[:16]}" for name, digest in about["tables"].items())
    return (
        f"The grid has found this partition ({', '.join(asked) or 'any number of units'}) from the validation scores "
        f"of its finished runs with {_seeds(about['seeds'])}, and trained it afterwards as {FOUND}. It was written "
        f"once, and later runs have not changed it. Digests of what it rests on: {named}."
    )


def _seeds(seeds: list[int]) -> str:
    return f"seed{'s' * (len(seeds) != 1)} {enumerated([str(seed) for seed in seeds])}"


def fair(analysis: Analysis, about: Mapping[str, Any]) -> tuple[str, ...]:
    """What the comparison of the partition may claim: what of it the choice was blind to."""
    same = about["about"].get("same_as")
    if same:
        return (
            f"It is the partition {same}: both have the same runs, so there is nothing to compare, and no verdict of "
            f"{FOUND} stands in this report.",
        )
    said = [
        "With rotating folds every image is validated by one seed and tested by another: the choice is not blind to "
        "the test images, and gains of the partition may be too large."
        if analysis.study.manifest.folds > 1
        else "No test case had a part in the choice, which saw validation scores alone.",
        _shared(analysis),
        "One head start is left: the choice saw validation scores of the very models that the partition is compared "
        "with, and of those that it shares, and a model that was lucky in training is so on test cases, too. Seeds "
        "that were added after the choice are free of that.",
        _later(analysis),
    ]
    if about.get("outdated"):
        said.append(f"What it was found from has changed since: {about['outdated']}.")
    return tuple(line for line in said if line)


def _shared(analysis: Analysis) -> str:
    """The tasks of which another aggregation has the same model."""
    scores = at_full(analysis.study.scores)
    own = scores[scores["aggregation"] == FOUND].drop_duplicates(["task", "run"])
    if own.empty:
        return f"No run of {FOUND} has finished yet."
    others = scores[scores["aggregation"] != FOUND]
    held = others.merge(own[["task", "run"]], on=["task", "run"]).groupby("task")["aggregation"].unique()
    tasks = [f"{task} ({enumerated(sorted(names))})" for task, names in held.items()]
    if not tasks:
        return "All of its units were trained after the choice."
    return (
        f"Of {words.count(own['task'].nunique(), 'task')}, {len(tasks)} {'has' if len(tasks) == 1 else 'have'} a model "
        f"that another aggregation has, too: {', '.join(tasks)}. There the partition is no evidence beside that one."
    )


def _later(analysis: Analysis) -> str:
    """The mean gain with seeds of the choice and with later ones."""
    parts = []
    for name, rows in analysis.frames["found_means"].groupby("contrast", sort=False):
        means = {str(row["which"]): _mean(row) for row in rows.to_dict("records")}
        if LATER in means:
            of_choice = means.get(OF_CHOICE, "unknown")
            parts.append(f"{name} {of_choice} with the seeds of the choice and {means[LATER]} with later ones")
    if not parts:
        return "There are none in this study: raise `seeds`, and the same partition is trained with them."
    return (
        f"Mean over tasks, with Student's 95 % interval over seeds, for these tasks and test cases: {'; '.join(parts)}."
    )


def _mean(row: Mapping[Any, Any]) -> str:
    """Mean over seeds and tasks with its interval, from two seeds on, and the number of seeds."""
    interval = words.limits(row["low"], row["high"])
    return f"{words.signed(row['gain'])}{interval and ' '}{interval} ({words.count(int(row['seeds']), 'seed')})"


def sentence(analysis: Analysis) -> str:
    """One sentence for the methods paragraph; empty where the grid has found no partition."""
    about = analysis.study.manifest.found
    if about is None:
        return ""
    blind = "" if analysis.study.manifest.folds > 1 else ", no test case among them,"
    return (
        f"The partition {FOUND} was chosen by predicted gains on the validation cases{blind} of the other aggregations "
        f"with {_seeds(about['seeds'])}, before any unit of its own was trained."
    )
