"""`found` in a grid: whether its groups are to be searched for, what for, and whether that is possible yet."""

from collections.abc import Callable, Mapping, Sequence

from aggregation_lab.aggregation import FOUND
from runners.execution.first_stages import titles
from runners.options import GridOptions, Rerun
from runners.planning.plan import PlannedRun, names_found
from runners.planning.study_schema import Study
from runners.store.found_partition import outdated, outdated_line, search_status
from runners.store.prepare import plan_again
from runners.store.run_folder import State, Status
from runners.store.run_store import SET_ASIDE
from runners.store.study_folder import StudyFolder


def asks_for_found(options: GridOptions) -> bool:
    """Whether runs of `found` are among those that a grid is asked for."""
    return not options.only or any(map(names_found, options.only))


def why_anew(folder: StudyFolder, study: Study, runs: Sequence[PlannedRun], options: GridOptions) -> str | None:
    """Why a grid leaves the groups that were found and searches anew, "" where it is asked to train everything again;
    None where it does not. What is outdated is searched for anew where a grid is asked for that."""
    found = folder.find_found(study)
    if found is None or not asks_for_found(options) or options.rerun not in (Rerun.ALL, Rerun.STALE):
        return None
    reason = outdated(found, study, runs, folder.runs)
    return reason if reason or options.rerun is Rerun.ALL else None


def searched_anew(
    folder: StudyFolder,
    study: Study,
    runs: Sequence[PlannedRun],
    options: GridOptions,
    say: Callable[[str], None],
) -> Sequence[PlannedRun]:
    """The plan without the groups that were found, where there is a reason to search anew; else the plan as it is, and
    a line on what is outdated. The caller holds the lock `preparing`."""
    reason = why_anew(folder, study, runs, options)
    if reason is None:
        for line in outdated_lines(folder, study, runs):
            say(line)
        return runs
    for moved in folder.runs.set_aside_file(folder.found_file):
        kept = f"what was found before is kept in {SET_ASIDE}/{moved.name}"
        say(f"{FOUND}: is searched for anew{f' ({reason})' if reason else ''}; {kept}")
    return plan_again(folder)


def seeks_groups(
    folder: StudyFolder,
    study: Study,
    runs: Sequence[PlannedRun],
    states: Mapping[str, Status],
    options: GridOptions,
) -> bool:
    """Whether a grid searches for the groups once it can. With `--rerun failed` where a failure keeps it from that."""
    if not study.seeks_found or folder.find_found(study) is not None or not asks_for_found(options):
        return False
    search = search_status(runs, states)
    return options.rerun is not Rerun.FAILED or (search is not None and search.state is State.BLOCKED)


def unfound(
    folder: StudyFolder, study: Study, runs: Sequence[PlannedRun], states: Mapping[str, Status]
) -> Status | None:
    """How far the search is, where a study seeks groups that are not found yet; `runs` is the whole plan."""
    return search_status(runs, states) if folder.find_found(study) is None else None


def outdated_lines(folder: StudyFolder, study: Study, runs: Sequence[PlannedRun]) -> list[str]:
    """One line where the groups that were found rest on other runs, or options, than the study has now."""
    found = folder.find_found(study)
    return outdated_line(outdated(found, study, runs, folder.runs)) if found else []


def can_search(folder: StudyFolder, runs: Sequence[PlannedRun]) -> bool:
    """Whether every run of the plan is finished that the groups are found from."""
    needed = [run for run in runs if run.is_evidence]
    search = search_status(needed, folder.runs.present(needed))
    return search is not None and search.state is State.PENDING


def evidence_besides(
    chosen: Sequence[PlannedRun], plan: Sequence[PlannedRun], states: Mapping[str, Status]
) -> list[PlannedRun]:
    """What the groups are found from and is neither finished nor chosen."""
    ids = {run.id for run in chosen}
    return [run for run in plan if run.is_evidence and run.id not in ids and states[run.id].state is not State.DONE]


def evidence_line(besides: Sequence[PlannedRun]) -> list[str]:
    """What to say of these before anything starts."""
    return [f"trained besides, as {FOUND} is found from them: {titles(besides)}"] if besides else []
