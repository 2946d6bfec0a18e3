"""The search for `found` in a grid: from the finished runs that groups are found from to a plan with their units."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FLOOR, FOUND
from aggregation_lab.manifest import Manifest
from aggregation_lab.storage.sealed_json import json_value
from aggregation_lab.version import __version__
from analysis.grouping import in_words
from analysis.grouping.find_groups import cautions, find_groups
from analysis.grouping.gain_model import LEVEL
from analysis.grouping.grouping_frames import found_groups
from analysis.grouping.proposal import Proposal, unit_names
from analysis.study import StudyTables
from runners.execution.groups import can_search
from runners.planning.found_settings import FoundSettings
from runners.planning.plan import Label, PlannedRun
from runners.planning.study_schema import Study
from runners.store.collect import FinishedRun, finished_runs, gather
from runners.store.found_partition import FoundPartition, evidence, table_digests
from runners.store.prepare import plan_again
from runners.store.prepared_data import read_tasks
from runners.store.study_folder import StudyFolder

_SEED = 0
"""Of the draws behind chances and intervals; which partition is found does not depend on it."""


def search_groups(folder: StudyFolder, say: Callable[[str], None]) -> list[PlannedRun]:
    """The plan with the units of `found`, which are searched for where nobody has yet, and written before the plan is.

    The caller holds the lock `preparing`. Where another grid has given the folder a study that seeks none, or of which
    the runs that groups are found from are not finished, the plan is as it was. Raises `ResultsError` where no
    partition can be found, and `DamagedResult`.
    """
    study, runs = folder.read_study(), folder.read_plan()
    if folder.find_found(study) is None:
        if not can_search(folder, runs):
            return runs
        tables = evidence_tables(folder, study, runs)
        asked = study.found or FoundSettings()
        proposal = find_groups(
            tables,
            units=asked.units,
            within=asked.within,
            seed=_SEED,
            repeats=_repeats(study),
            option="found.units",
        )
        partition = _partition(proposal, tables, folder, study, runs)
        partition.write(folder.found_file)
        for line in (partition.why[0], *_shared(proposal)):
            say(f"{FOUND}: {line}")
        for name, unit in partition.units.items():
            say(f"  {name}: {', '.join(unit)}")
        say(f"why, and what it rests on: {folder.found_file}; {FOUND} is not searched for again")
    return plan_again(folder)


def evidence_tables(folder: StudyFolder, study: Study, runs: Sequence[PlannedRun]) -> StudyTables:
    """The tables of the runs that groups are found from, as those of their aggregations alone.

    Test scores are emptied, so that nothing can be chosen by them; what stands beside them, such as sizes, is kept.
    """
    finished = []
    for result in finished_runs(folder, [run for run in runs if run.is_evidence]):
        labels = tuple(label for label in result.run.labels if _informs(study, label, result.run))
        finished.append(FinishedRun(replace(result.run, labels=labels), result.folder, result.digests))
    recorded = [result for result in finished if "affinity" in result.digests]
    scores = gather(folder, finished, "scores")
    about = Manifest(
        study.name,
        margins={name: study.margin(task) for name, task in read_tasks(folder).items()},
        settings={"data": {"folds": study.data.folds}},
    )
    return StudyTables(
        about,
        _without_values(scores[(scores["split"] == "test") & (scores["aggregation"] != FLOOR)]),
        runs=gather(folder, finished, "runs"),
        curves=gather(folder, finished, "curves"),
        affinity=gather(folder, recorded, "affinity") if recorded else None,
        arm=study.base_arm,
    )


def _informs(study: Study, label: Label, run: PlannedRun) -> bool:
    return study.informs_found(label.aggregation, label.arm or next(iter(study.variants)), run.spec.fraction)


def _without_values(scores: pd.DataFrame) -> pd.DataFrame:
    return scores.assign(value=np.nan).reset_index(drop=True)


def _repeats(study: Study) -> float:
    """How often a unit of the partition is trained; a smaller fraction counts as its share."""
    arms = sum(arm.holds(FOUND) for arm in study.variants.values())
    return arms * len(study.seeds) * sum(study.fractions) / max(study.fractions)


def _shared(proposal: Proposal) -> list[str]:
    if not proposal.same_as:
        return []
    return [f"this partition is {proposal.same_as}: its runs are shared, and there is nothing to compare the two by"]


def _partition(
    proposal: Proposal, tables: StudyTables, folder: StudyFolder, study: Study, runs: Sequence[PlannedRun]
) -> FoundPartition:
    identity, rests_on = folder.read_identity(), evidence(runs, folder.runs)
    low, high = proposal.interval
    about = {"gain": proposal.gain, "low": low, "high": high, "missing_hours": proposal.missing_hours}
    return FoundPartition(
        units={name: list(unit) for name, unit in unit_names(proposal.names).items()},
        options=(study.found or FoundSettings()).model_dump(),
        seed=proposal.seed,
        arm=study.base_arm,
        seeds=sorted({run.spec.seed for run in runs if run.is_evidence}),
        runs=rests_on,
        tables=table_digests(rests_on),
        dataset=identity.dataset,
        split=identity.split,
        version=__version__,
        why=[
            in_words.headline(proposal),
            *in_words.groups(found_groups(proposal)),
            *in_words.comparisons(proposal),
            *in_words.worth(proposal.prediction.errors),
            *cautions(tables, proposal),
        ],
        about={name: json_value(value) for name, value in about.items()}
        | {
            "level": LEVEL,
            "chance_over": proposal.chances,
            "same_as": proposal.same_as,
            "informed": proposal.prediction.informed,
            "proven": proposal.search.proven,
        },
    )
