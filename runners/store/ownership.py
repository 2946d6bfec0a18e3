"""Whether a study may use an output folder: it must be new, or have been made for this study and these data."""

from aggregation_lab.errors import StudyError
from runners.planning.study_schema import Study
from runners.store.folder_lock import LOCKS
from runners.store.study_folder import StudyFolder


def check_owner(folder: StudyFolder, study: Study) -> None:
    """Refuse the folder of another study, of other phantoms or another split, or of something else.

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


def check_same(folder: StudyFolder, what: str, before: str | None, now: str) -> None:
    """Raise `StudyError` where the folder was made from another `what` (data set or split)."""
    if before is not None and before != now:
        raise StudyError(f"{folder}: was made from another {what}; choose another --out, or bring the old {what} back")
