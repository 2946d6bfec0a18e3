"""Whether a study may use an output folder: it must be new, or have been made for this study and these data."""

from pathlib import Path

from aggregation_lab.errors import StudyError
from runners.planning.study_schema import Study
from runners.store.folder_lock import LOCKS
from runners.store.study_folder import StudyFolder


def check_owner(folder: StudyFolder, study: Study) -> None:
    """Refuse the folder of another study, of other phantoms or another split, of phantoms in place of data, or of
    something else.

    What a first preparation did not come to, since it failed or was stopped, binds nobody. Raises `StudyError` naming
    what differs.
    """
    identity = folder.find_identity()
    if identity is None:
        names = {path.name for path in folder.path.iterdir()} if folder.path.is_dir() else set()
        if foreign := sorted(names.difference(LOCKS)):
            raise StudyError(f"{folder}: holds {foreign[0]} but no study; choose an empty or new folder as --out")
        return
    if identity.study.name != study.name and folder.plan_file.exists():
        raise StudyError(
            f"{folder}: belongs to the study {identity.study.name}, not {study.name}; choose another --out"
        )
    before, now = identity.study.data, study.data
    if identity.dataset is not None:
        _check_source(folder, before.root, now.root)
    fixed = ["phantoms"] if now.root is None and before.root is None and identity.dataset is not None else []
    if identity.split is not None:
        drawn = now.split is None and before.split is None
        fixed += ["shares", "split_seed", "folds"] if drawn else ["folds"]
    for field in fixed:
        was, now_is = (data.model_dump(mode="json")[field] for data in (before, now))
        if was != now_is:
            raise StudyError(
                f"{folder}: was made with data.{field} {was}, the study now has {now_is}; choose another --out"
            )


def _check_source(folder: StudyFolder, before: Path | None, now: Path | None) -> None:
    """Raise `StudyError` where phantoms would take the place of data, or data that of phantoms."""
    if before is not None and now is None:
        raise StudyError(f"{folder}: was made from the data in {before}; give --data, or choose another --out")
    if before is None and now is not None and now.resolve() != folder.data.resolve():
        raise StudyError(
            f"{folder}: was made from phantoms, the study now has the data in {now}; leave --data (data.root) out, or "
            "choose another --out"
        )


def check_split(folder: StudyFolder, before: str | None, now: str) -> None:
    """Raise `StudyError` where the runs of the folder were made with another split."""
    if before is not None and before != now:
        raise StudyError(f"{folder}: was made from another split; choose another --out, or bring the old split back")
