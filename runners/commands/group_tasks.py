"""`agglab group`: the partition of a study's tasks that is predicted to gain most, and the study that trains it."""

import math
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from aggregation_lab.errors import ResultsError, StudyError
from aggregation_lab.files import file_digest
from aggregation_lab.storage.sealed_json import json_value
from aggregation_lab.version import __version__
from analysis.grouping import in_words
from analysis.grouping.find_groups import cautions, find_groups
from analysis.grouping.gain_model import LEVEL
from analysis.grouping.grouping_frames import found_groups
from analysis.grouping.proposal import Proposal, unit_names
from analysis.study import StudyTables
from runners.commands.found_study import check_target, write_found
from runners.commands.opened_scores import open_scores, reading, say_plainly, told_if_unfinished
from runners.console.terminal import print_json
from runners.planning.user_paths import absolute_path
from runners.store.study_folder import StudyFolder

_SOURCES = ("curves", "affinity")
"""Tables that a partition is found from."""


@dataclass(frozen=True)
class Asked:
    """What `agglab group` was asked for; `units` None: any number; `within` hours of training, None: any."""

    units: int | None = None
    within: float | None = None
    write: Path | None = None
    as_json: bool = False
    arm: str | None = None
    seed: int = 0


def group_tasks(out: Path, asked: Asked, console: Console) -> int:
    """Print the partition with what it may gain, and write the study that has it where that is asked for."""
    folder = StudyFolder(out)
    if asked.within is not None and not asked.within > 0:
        raise StudyError(f"--within {asked.within:g}: takes hours greater than 0")
    target = None
    if asked.write is not None:
        target = absolute_path(asked.write, "--write")
        folder.read_identity()
        check_target(target)
    study = open_scores(str(out), reading(None, (), asked.arm), console)
    with told_if_unfinished(study, console), console.status("predicting gains, searching partitions"):
        proposal = find_groups(study, units=asked.units, within=asked.within, seed=asked.seed)
        found = found_groups(proposal)
    name = None
    if target is not None:
        if proposal.same_as:
            raise ResultsError(
                f"{out}: the best partition found is {proposal.same_as}, which is trained already; nothing is written"
            )
        name = write_found(target, folder, unit_names(proposal.names), _provenance(proposal, found, out, study))
    said = [*_notes(study, proposal), *_to_do(proposal, name, asked, out)]
    if asked.as_json:
        print_json(_as_json(proposal, found, study, said, name))
        return 0
    for line in _lines(proposal, found, said):
        say_plainly(console, line)
    return 0


def _lines(proposal: Proposal, found: pd.DataFrame, notes: list[str]) -> list[str]:
    return [
        in_words.headline(proposal),
        *in_words.groups(found),
        *in_words.comparisons(proposal),
        *in_words.worth(proposal.prediction.errors),
        *notes,
    ]


def _notes(study: StudyTables, proposal: Proposal) -> list[str]:
    """What a reader must know beside the numbers."""
    said = [f"note: {note}" for note in cautions(study, proposal)]
    if len(study.compared_arms) > 1:
        said.append(f"note: found on the arm {study.arm}; a study file with it trains it in every arm")
    return said


def _to_do(proposal: Proposal, name: str | None, asked: Asked, out: Path) -> list[str]:
    """What training the partition takes, and how to start it."""
    if proposal.same_as:
        return []
    hours = proposal.missing_hours
    cost = (
        "its time is not known"
        if math.isnan(hours)
        else f"about {hours:.1f} worker hours by the pace of the joint runs"
    )
    if name is None:
        return [f"to train what is missing of it: {cost}; --write FILE makes the study"]
    written, there = (shlex.quote(str(path)) for path in (asked.write, out))
    return [f"{asked.write}: the study with the partition {name}", f"agglab run-grid {written} --out {there}: {cost}"]


def _provenance(proposal: Proposal, found: pd.DataFrame, out: Path, study: StudyTables) -> list[str]:
    """Where the partition comes from: comments of the study file."""
    digests = [f"{name}.parquet sha256 {_digest(out / f'{name}.parquet')[:16]}" for name in _SOURCES]
    asked = [f"units {proposal.units}"] if proposal.units is not None else ["any number of units"]
    asked += [f"within {proposal.within:g} worker hours"] if proposal.within is not None else []
    of_arm = f", arm {study.arm}" if study.arm else ""
    return [
        f"Found by agglab {__version__} for {', '.join(asked)}, on the validation scores of {out}{of_arm}, seed "
        f"{proposal.seed}.",
        f"From: {', '.join(digests)}; data set {(study.manifest.dataset or 'unknown')[:16]}, split "
        f"{(study.manifest.split or 'unknown')[:16]}.",
        in_words.headline(proposal),
        *in_words.groups(found),
        *(in_words.comparisons(proposal)[:1] if proposal.chances else []),
        "Comments of the study file are not carried over.",
    ]


def _digest(file: Path) -> str:
    try:
        return file_digest(file)
    except OSError:
        return "(no such table)"


def _as_json(
    proposal: Proposal, found: pd.DataFrame, study: StudyTables, notes: list[str], name: str | None
) -> dict[str, Any]:
    low, high = proposal.interval
    return {
        "study": study.manifest.study,
        "partition": {key: list(unit) for key, unit in unit_names(proposal.names).items()},
        "written_as": name,
        "same_as": proposal.same_as,
        "gain": proposal.gain,
        "low": low,
        "high": high,
        "level": LEVEL,
        "tasks": _records(found),
        "chance_over": proposal.chances,
        "not_told_apart": [
            {"partition": [list(unit) for unit in proposal.named(each.units)], "gain": each.gain, "chance": each.chance}
            for each in proposal.rivals
        ],
        "runners_up": len(proposal.search.best) - 1,
        "proven": proposal.search.proven,
        "missing_hours": json_value(proposal.missing_hours),
        "errors": _records(proposal.prediction.errors),
        "seed": proposal.seed,
        "notes": notes,
    }


def _records(rows: Any) -> list[dict[str, Any]]:
    return [{name: json_value(value) for name, value in row.items()} for row in rows.to_dict("records")]
