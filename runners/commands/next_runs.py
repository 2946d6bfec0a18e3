"""`agglab next`: the runs that are expected to decide most undecided verdicts per hour."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from aggregation_lab.errors import ResultsError, StudyError
from analysis.deciding.next_runs import Step, all_runs, next_steps
from analysis.deciding.open_verdicts import OpenVerdicts, open_verdicts
from analysis.deciding.units import trained_units
from analysis.grouping.find_groups import find_groups
from analysis.grouping.proposal import Proposal
from analysis.settings import Settings
from analysis.study import StudyTables
from runners.commands.opened_scores import open_scores, reading, say_plainly, told_if_unfinished
from runners.console.terminal import print_json
from runners.store.verdicts_seen import note_reading

_SHOWN = 6
"""Verdicts of a step that are named."""

_HOURS = "worker hours"


@dataclass(frozen=True)
class Asked:
    """What `agglab next` was asked for; `hours` on one worker, None: the best steps whatever they take."""

    hours: float | None = None
    arm: str | None = None
    draws: int = 2000
    as_json: bool = False


@dataclass(frozen=True)
class Partition:
    """Another partition that may gain more than those which are trained; `why_not` says why there is none."""

    proposal: Proposal | None = None
    why_not: str = ""

    @property
    def chance(self) -> float:
        """The least of its chances of a larger mean gain than one of the trained aggregations."""
        return min(self.proposal.chances.values()) if self.proposal else float("nan")


def show_next(out: Path, asked: Asked, console: Console) -> int:
    """Print the next runs, what they take, and what they are expected to decide; then the next partition."""
    if asked.hours is not None and not asked.hours > 0:
        raise StudyError(f"--hours {asked.hours:g}: takes hours greater than 0")
    study = open_scores(str(out), reading(None, (), asked.arm), console)
    note_reading(study)
    with told_if_unfinished(study, console), console.status("reading the verdicts, weighing runs"):
        units = trained_units(study)
        verdicts = open_verdicts(study, Settings(draws=asked.draws))
        seeds = sorted({seed for unit in units for seed in unit.seeds} | set(study.manifest.settings.get("seeds", ())))
        steps = next_steps(units, verdicts.planned, seeds, asked.hours or float("inf"))
        partition = _partition(study, asked)
    if asked.as_json:
        print_json(_as_json(study, verdicts, steps, partition, asked))
        return 0
    for line in [*_lines(verdicts, steps, asked), *_how(steps, seeds, out), *_of_partition(partition)]:
        say_plainly(console, line)
    return 0


def _partition(study: StudyTables, asked: Asked) -> Partition:
    try:
        return Partition(find_groups(study, within=asked.hours))
    except ResultsError as error:
        return Partition(None, str(error).removeprefix(f"{study.manifest.study}: "))


def _lines(verdicts: OpenVerdicts, steps: Sequence[Step], asked: Asked) -> list[str]:
    if not verdicts.undecided:
        return [f"all {verdicts.verdicts} verdicts are decided: no further seed changes one that is"]
    lines = [f"{verdicts.undecided} of {verdicts.verdicts} verdicts are undecided"]
    if verdicts.below_floor:
        lines.append(
            f"{verdicts.below_floor} of them are over a base whose mean is not above its floor: none is planned for"
        )
    if verdicts.unplanned:
        lines.append(
            f"{verdicts.unplanned} of them have no scatter over seeds to plan from: another seed of their units shows "
            "some (one decides nothing)"
        )
    for number, step in enumerate(steps, 1):
        trained = ", ".join(f"{name} s{_ranges(seeds)}" for name, seeds in step.units)
        lines.append(
            f"{number}. {step.contrast.name} at fraction {step.fraction:g}: {trained}: {step.hours:.2g} {_HOURS}, "
            f"{step.decided:.1f} verdicts expected, {step.per_hour:.2g} an hour"
        )
        likely = sorted(step.chances.items(), key=lambda item: -item[1])
        named = [f"{verdict.contrast.name} {verdict.task} {chance:.2f}" for verdict, chance in likely[:_SHOWN]]
        lines.append(f"   chance of a verdict then: {', '.join(named)}")
    if not steps and verdicts.planned:
        fits = "fits, and " if asked.hours is not None else ""
        lines.append(f"no run {fits}is expected to decide any of the others: test subjects decide them, `agglab power`")
    if steps:
        spent, hoped = sum(step.hours for step in steps), sum(step.decided for step in steps)
        within = f" of {asked.hours:g}" if asked.hours is not None else ""
        lines.append(f"in all {spent:.2g}{within} {_HOURS}, {hoped:.1f} verdicts expected")
    return lines


def _how(steps: Sequence[Step], known: Sequence[int], out: Path) -> list[str]:
    """How to train the steps, and what that does to the error rates."""
    if not steps:
        return []
    runs = all_runs(steps)
    wanted = sorted({seed for seeds in runs.values() for seed in seeds})
    names = dict.fromkeys(f"{name}/f{step.fraction:g}/s*" for step in steps for name, _ in step.units)
    only = " ".join(f"--only {shlex.quote(name)}" for name in names)
    first = ""
    if new := [seed for seed in wanted if seed not in known]:
        first = f"add the seeds {_ranges(new)} to `seeds` of the study file, then "
    return [
        f"to train them: {first}agglab run-grid STUDY --out {shlex.quote(str(out))} {only}",
        "note: seeds that are added because verdicts are undecided raise the chance of a false one; `agglab run-grid "
        "STUDY --until-decided` plans its looks beforehand and keeps it",
    ]


def _of_partition(partition: Partition) -> list[str]:
    if partition.proposal is None:
        return [f"another partition: none is proposed ({partition.why_not})"]
    found = partition.proposal
    if found.same_as:
        return [f"another partition: none is predicted to gain more than {found.same_as}, which is trained"]
    hours = found.missing_hours
    rate = "" if math.isnan(hours) or not hours else f", {partition.chance / hours:.2g} an hour"
    took = "an unknown time" if math.isnan(hours) else f"{hours:.2g} {_HOURS}"
    units = "; ".join(", ".join(unit) for unit in found.names if len(unit) > 1)
    over = ", ".join(f"{name} {chance:.2f}" for name, chance in found.chances.items())
    return [
        f"another partition ({units}; the others alone): predicted mean gain {found.gain:+.3f}, chance that it is "
        f"larger than that of {over}: {took}{rate}; `agglab group` says what that prediction is worth"
    ]


def _ranges(seeds: Sequence[int]) -> str:
    """`3-5,8`."""
    parts: list[list[int]] = []
    for seed in seeds:
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)


def _as_json(
    study: StudyTables, verdicts: OpenVerdicts, steps: Sequence[Step], partition: Partition, asked: Asked
) -> dict[str, Any]:
    found = partition.proposal
    hours = found.missing_hours if found else float("nan")
    return {
        "study": study.manifest.study,
        "hours": asked.hours,
        "verdicts": verdicts.verdicts,
        "undecided": verdicts.undecided,
        "below_floor": verdicts.below_floor,
        "without_scatter": verdicts.unplanned,
        "steps": [
            {
                "contrast": step.contrast.name,
                "fraction": step.fraction,
                "runs": [{"unit": name, "seeds": list(seeds)} for name, seeds in step.units],
                "worker_hours": step.hours,
                "verdicts_expected": step.decided,
                "chances": [
                    {"contrast": verdict.contrast.name, "task": verdict.task, "chance": chance}
                    for verdict, chance in step.chances.items()
                ],
            }
            for step in steps
        ],
        "partition": None
        if found is None
        else {
            "units": [list(unit) for unit in found.names],
            "same_as": found.same_as,
            "gain": found.gain,
            "chance_over": found.chances,
            "worker_hours": None if math.isnan(hours) else hours,
        },
        "no_partition": partition.why_not,
    }
