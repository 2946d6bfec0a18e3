"""The partition of tasks that is predicted to gain most: what `agglab group` and a grid with `found` ask for."""

from dataclasses import replace

from aggregation_lab.errors import ResultsError, StudyError
from analysis.grouping.affinities import affinities
from analysis.grouping.measured_gains import BASE, measured_gains
from analysis.grouping.predicted_gain import affinity_matrices, predict_gains
from analysis.grouping.proposal import Proposal, propose
from analysis.grouping.unit_costs import unit_costs
from analysis.study import StudyTables


def find_groups(
    study: StudyTables,
    *,
    units: int | None = None,
    within: float | None = None,
    seed: int = 0,
    repeats: float | None = None,
    option: str = "--units",
) -> Proposal:
    """The best partition of one arm's tasks, by validation scores; `seed` is of the draws behind its chances, `repeats`
    how often a unit is trained, where the tables do not tell (`UnitCosts`).

    Raises `ResultsError` where the tables do not hold what it takes, and `StudyError` where `units`, which the user
    knows as `option`, are more than the tasks.
    """
    measured = measured_gains(study)
    tasks = list(measured.tasks.index)
    missing = sorted(set(study.manifest.margins) - set(tasks))
    if missing:
        raise ResultsError(
            f"{study.manifest.study}: {BASE} is not finished in {', '.join(missing)}; a partition holds every task, so "
            "finish these first"
        )
    if units is not None and not 1 <= units <= len(tasks):
        raise StudyError(f"{option} {units}: the study has {len(tasks)} tasks; it takes 1 to {len(tasks)}")
    prediction = predict_gains(measured, affinity_matrices(affinities(study), tasks))
    costs = unit_costs(study, measured)
    if costs is not None and repeats is not None:
        costs = replace(costs, repeats=repeats)
    return propose(prediction, costs, units=units, within=within, seed=seed)


def cautions(study: StudyTables, proposal: Proposal) -> list[str]:
    """What a reader must know beside the numbers."""
    found = []
    if proposal.same_as:
        found.append(f"this partition is {proposal.same_as}, which is trained already")
    if len(proposal.prediction.measured.aggregations) < 2:
        only = proposal.prediction.measured.aggregations[0]
        found.append(
            f"{only} is the only trained aggregation with units of several tasks, so nothing shows how the gain of a "
            "task changes from set to set; another one (CG, or a partition of your own) would"
        )
    if not proposal.prediction.recorded:
        found.append(
            "affinities may tell more; a study that is trained here can record them: `affinity: {}` in its file and "
            "`agglab run-grid STUDY --rerun unkept`"
        )
    if study.manifest.folds > 1:
        found.append(
            "with rotating folds every image is validated by one seed and tested by another, so the choice is not "
            "blind to the test images"
        )
    return found
