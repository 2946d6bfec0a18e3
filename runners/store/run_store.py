"""The run folders of a study: their states, and setting aside results that cannot be used."""

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aggregation_lab.files import cannot_be_written, read_bytes
from aggregation_lab.run import DONE, SPEC, run_folders
from runners.planning.plan import PlannedRun, RunKey
from runners.store.other_runs.caps import Extension, extensions
from runners.store.other_runs.difference import changes, difference
from runners.store.other_runs.starts import held_back
from runners.store.run_files import SpecKey
from runners.store.run_folder import ERROR, UNTOUCHED, State, Status, latest_holder, read_done, run_state

SET_ASIDE = "runs-set-aside"
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
"""Why a folder cannot get a name: something else has it."""


class RunStore:
    """The run folders of one output folder, in its folder `root`."""

    def __init__(self, root: Path):
        self.root = root

    def folder(self, run: PlannedRun) -> Path:
        """Folder of the run: the one with its id, even if its unit had another name when it was made."""
        return self.folders([run])[run.id]

    def folders(self, runs: Sequence[PlannedRun]) -> dict[str, Path]:
        """Folder of every run, by id."""
        present = run_folders(self.root)
        return {run.id: present.get(run.id, self.root / run.folder_name) for run in runs}

    def present(self, runs: Sequence[PlannedRun]) -> dict[str, Status]:
        """State of every run from its folder and that of the run it starts from, by id: quick, and never stale."""
        states = {run_id: run_state(folder, run_id) for run_id, folder in self.folders(runs).items()}
        starting = [run for run in runs if run.start and states[run.id].state is State.PENDING]
        folders = run_folders(self.root) if starting else {}
        titles = {run.id: run.title for run in runs} if starting else {}
        firsts: dict[str, Status] = {}
        for run in starting:
            start = str(run.start)
            if start not in firsts:
                firsts[start] = run_state(folders.get(start, self.root / start), start)
            states[run.id] = held_back(states[run.id], firsts[start], titles.get(start, f"run {start}"))
        return states

    def begun(self, runs: Sequence[PlannedRun]) -> set[str]:
        """The runs, by id, of which a part is trained."""
        return {run_id for run_id, status in self.present(runs).items() if status.begun}

    def start_folder(self, run: PlannedRun) -> Path | None:
        """Folder of the run that this one starts from; None where it starts from none."""
        return run_folders(self.root).get(run.start, self.root / run.start) if run.start else None

    def statuses(self, runs: Sequence[PlannedRun]) -> dict[str, Status]:
        """State of every run, by id; stale where only other settings have a result, unless they are those of another
        cap, which it extends. `runs` is the whole plan."""
        states, folders = self.present(runs), run_folders(self.root)
        if any(status.state in UNTOUCHED for status in states.values()):
            earlier = self._finished_besides(runs)
            extended = self._extended(runs, states, earlier)
            for run_id, extension in extended.items():
                if not states[run_id].damaged and (extension.is_whole or not states[run_id].begun):
                    states[run_id] = replace(states[run_id], reason=extension.words)
            by_id = {run.id: run for run in runs}
            for run, spec in _successors(runs, [(key, spec) for _, key, spec in earlier]).values():
                if states[run.id].state in UNTOUCHED and run.id not in extended:
                    start = by_id.get(run.start or "")
                    before = _spec_in(folders.get((spec.get("start") or {}).get("run", "")))
                    first = start.spec.to_json() if start else None, before
                    states[run.id] = Status(State.STALE, difference(spec, run.spec.to_json(), first))
        return states | _of_outdated_groups(runs, states)

    def extensions(self, runs: Sequence[PlannedRun]) -> dict[str, Extension]:
        """By id what runs get from finished ones with another cap before they are trained, unless they have it already.

        `runs` is the whole plan."""
        if not any(run.is_open for run in runs):
            return {}  # none has a cap: no folder is read for it
        states = self.present(runs)
        found = self._extended(runs, states, self._finished_besides(runs))
        return {run_id: each for run_id, each in found.items() if each.is_whole or not states[run_id].begun}

    @staticmethod
    def _extended(
        runs: Sequence[PlannedRun], states: Mapping[str, Status], earlier: Sequence[tuple[Path, RunKey, dict[str, Any]]]
    ) -> dict[str, Extension]:
        pending = [run for run in runs if states[run.id].state is State.PENDING]
        return extensions(pending, [(folder, spec) for folder, _, spec in earlier])

    def held_by(self, process: int, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
        """Runs that a process of this machine, alive or dead, has claimed and not released."""
        folders = self.folders(runs)
        held = [run for run in runs if latest_holder(folders[run.id]) == process]
        return [run for run in held if not read_done(folders[run.id], run.id)]

    def digests(self, runs: Sequence[PlannedRun]) -> dict[str, Mapping[str, str]]:
        """Digests of the tables of the runs that are finished, by id."""
        done = {run_id: read_done(folder, run_id) for run_id, folder in self.folders(runs).items()}
        return {run_id: result.digests for run_id, result in done.items() if result}

    def set_aside_file(self, file: Path) -> list[Path]:
        """Move a file of the output folder to where runs are set aside. Returns where it is now."""
        return _moved(file, self.root.with_name(SET_ASIDE))

    def set_aside(self, runs: Sequence[PlannedRun]) -> list[Path]:
        """Move the folders of runs that are to be trained again to `runs-set-aside`; nothing is deleted.

        A run that somebody has claimed since the caller looked stays where it is. Returns where the folders are now.
        """
        moved = []
        for run_id, folder in self.folders(runs).items():
            if run_state(folder, run_id).state is not State.RUNNING:
                moved += _moved(folder, self.root.with_name(SET_ASIDE))
        return moved

    def forget_failures(self, runs: Sequence[PlannedRun]) -> None:
        """Let failed runs be taken again."""
        for folder in self.folders(runs).values():
            try:
                (folder / ERROR).unlink(missing_ok=True)
            except NotADirectoryError:
                continue  # a file in place of the folder: reported when the run is claimed
            except OSError as error:
                raise cannot_be_written(folder / ERROR, error) from error

    def _finished_besides(self, runs: Sequence[PlannedRun]) -> list[tuple[Path, RunKey, dict[str, Any]]]:
        """Folders, keys and specs of finished runs that are none of these, the latest last."""
        planned, finished, specs = {run.id for run in runs}, [], []
        for folder in (folder for run_id, folder in run_folders(self.root).items() if run_id not in planned):
            try:
                finished.append(((folder / DONE).stat().st_mtime, read_bytes(folder / SPEC), folder))
            except OSError:
                continue  # not finished, or set aside at this moment
        for _, text, folder in sorted(finished):
            if spec := SpecKey.parse(text):
                specs.append((folder, spec.key, json.loads(text)))
        return specs


def unkept(runs: Sequence[PlannedRun], states: Mapping[str, Status]) -> list[PlannedRun]:
    """The finished ones of the runs that lack a file which they should keep: the study did not ask for it then."""
    return [run for run in runs if states[run.id].state is State.DONE and run.files - states[run.id].kept]


def unkept_line(runs: Sequence[PlannedRun], states: Mapping[str, Status]) -> list[str]:
    """One line on how many of the runs lack a file which they should keep, and what to do; none where none does."""
    lacking = unkept(runs, states)
    if not lacking:
        return []
    missing = {name for run in lacking for name in run.files - states[run.id].kept}
    of_keep = {name for run in lacking for name in run.keep.files - states[run.id].kept}
    fields = ["keep"] * bool(of_keep) + ["affinity"] * bool(missing - of_keep)
    asked, files = f"{' and '.join(fields)} {'asks' if len(fields) == 1 else 'ask'}", ", ".join(sorted(missing))
    return [
        f"{len(lacking)} finished runs lack what {asked} for ({files}); `agglab run-grid STUDY --rerun unkept` trains "
        "them again"
    ]


def _of_outdated_groups(runs: Sequence[PlannedRun], states: Mapping[str, Status]) -> dict[str, Status]:
    """Runs of groups whose evidence is outdated and that are not trained yet are outdated with it: groups that were
    found with other settings are not trained with these unless somebody asks for it."""
    of = next((run for run in runs if run.is_evidence and states[run.id].state is State.STALE), None)
    if of is None:
        return {}
    reason = f"its groups were found from {of.title}, which is outdated: {states[of.id].reason}"
    waits = [run for run in runs if run.rests_on_found and states[run.id].state in UNTOUCHED]
    return {run.id: Status(State.STALE, reason) for run in waits}


def _successors(
    runs: Sequence[PlannedRun], earlier: Sequence[tuple[RunKey, dict[str, Any]]]
) -> dict[str, tuple[PlannedRun, dict[str, Any]]]:
    """The planned runs that take the place of earlier ones, by id, each with the latest spec that it replaces.

    The arms of a study have runs of one key. An earlier run was of the arm from which it differs least: an arm that has
    been added has no earlier run.
    """
    by_key: dict[RunKey, list[PlannedRun]] = {}
    for run in runs:
        by_key.setdefault(run.key, []).append(run)
    found = {}
    for key, spec in earlier:
        if key in by_key:
            changed = [len(changes(spec, run.spec.to_json())) for run in by_key[key]]
            nearest = by_key[key][changed.index(min(changed))]
            found[nearest.id] = nearest, spec
    return found


def _moved(folder: Path, kept: Path) -> list[Path]:
    """Where the folder is once it is moved into `kept`, under the next name that is free; nothing where it is gone."""
    number = 1
    try:
        kept.mkdir(exist_ok=True)
        while folder.exists():
            target = kept / f"{folder.name}.{number}"
            number += 1
            try:
                if not os.path.lexists(target):
                    return [folder.rename(target)]
            except FileNotFoundError:
                if folder.exists():
                    raise  # the destination is gone; a missing folder would only have been set aside by another grid
            except OSError as error:
                if error.errno not in _TAKEN or not os.path.lexists(target):
                    raise
    except OSError as error:
        raise cannot_be_written(kept, error) from error
    return []


def _spec_in(folder: Path | None) -> dict[str, Any] | None:
    """The spec of the run in a folder; None where it cannot be read."""
    try:
        text = read_bytes(folder / SPEC) if folder else b""
    except OSError:
        return None
    return json.loads(text) if SpecKey.parse(text) else None
