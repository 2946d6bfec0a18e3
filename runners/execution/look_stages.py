"""What looks at the verdicts leave to be trained: the runs up to the next look, and those that may follow."""

from collections.abc import Sequence
from dataclasses import replace

from aggregation_lab.errors import StudyError
from runners.planning.plan import PlannedRun
from runners.planning.study_schema import Study
from runners.store.look_record import LookRecord, check_plan, fixed_settings, read_looks, wanted_runs
from runners.store.study_folder import StudyFolder
from runners.store.verdicts_seen import read_seen


def looks_of(study: Study, folder: StudyFolder) -> LookRecord:
    """The looks of a folder; where it has none yet, those that a first call plans.

    Raises `StudyError` where they are planned for other seeds, or can be planned no more since verdicts were read.
    """
    known = read_looks(folder)
    if known is not None:
        check_plan(folder, study, known)
        return known
    if counts := read_seen(folder).counts:
        raise StudyError(
            f"{folder}: its verdicts were read at {', '.join(map(str, counts))} seeds, so looks cannot be planned "
            "before the first; choose another --out"
        )
    from analysis.deciding.plan import planned_looks

    return LookRecord(planned_looks(study.seeds), plan=fixed_settings(study))


def compared_pairs(study: Study) -> list[tuple[str, str]]:
    """The comparisons that looks decide, as pairs of joint aggregation and base."""
    from analysis.contrasts import contrasts
    from analysis.study import aggregation_order

    names = aggregation_order(set(study.aggregations), study.compare.base.aggregation)
    return [(contrast.joint, contrast.base) for contrast in contrasts(names)]


def next_stage(study: Study, runs: Sequence[PlannedRun], record: LookRecord) -> list[PlannedRun]:
    """The runs of a plan that the next look needs; none where no look is to come."""
    return [] if record.finished else wanted_runs(runs, record, compared_pairs(study))


def all_stages(study: Study, runs: Sequence[PlannedRun], record: LookRecord) -> list[PlannedRun]:
    """The runs that are trained where no further comparison is closed before the last look."""
    last = replace(record.looks, made=record.looks.planned[:-1])
    return [] if record.finished else wanted_runs(runs, replace(record, looks=last), compared_pairs(study))
