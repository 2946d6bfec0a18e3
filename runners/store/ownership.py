"""Whether a study may use an output folder: it must be new, or have been made for this study and these data."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregation_lab.errors import StudyError
from aggregation_lab.text import enumerated, printable
from runners.planning.data_digests import case_digests, dataset_digest
from runners.planning.study_schema import DataConfig, FolderConfig, Study
from runners.store.folder_lock import LOCKS
from runners.store.identity import Identity
from runners.store.prepared_data import load_dataset
from runners.store.study_folder import StudyFolder

if TYPE_CHECKING:
    from aggregation_lab.data.challenge import Dataset

_DECIDING = sorted({*DataConfig.model_fields} - {*FolderConfig.model_fields} | {"tasks", "subset", "subjects"})
"""Fields of `data` that decide which cases a study has, and what their targets and subjects are."""

_IN_WORDS = {
    "content": "image",
    "height": "image",
    "width": "image",
    "mask_content": "mask",
    "label": "label",
    "box": "box",
    "points": "points",
    "subject": "subject",
}
"""What a column of the case table is of."""

_NAMED = 3
"""Most cases that are named of each kind of change."""


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


def check_data(folder: StudyFolder, known: Identity, now: DataConfig, dataset: "Dataset") -> None:
    """Raise `StudyError` where `folder` was made from another data set than the one that is read `now`, naming the
    fields of the study, or else the cases, that make it another one."""
    if known.dataset in (None, dataset_digest(dataset)):
        return
    before, after = (data.model_dump(mode="json") for data in (known.study.data, now))
    fields = [name for name in _DECIDING if before[name] != after[name]]
    if fields:
        changes = [f"data.{name} {_value(before[name])}, the study now has {_value(after[name])}" for name in fields]
        raise StudyError(f"{folder}: was made with {'; with '.join(changes)}; choose another --out")
    said = _changes(folder, dataset)
    raise StudyError(
        f"{folder}: was made from another data set{': ' if said else ''}{said}; choose another --out, or bring the old "
        "data set back"
    )


def _value(value: Any) -> str:
    return printable(json.dumps(value, ensure_ascii=False)) if value else "none"


def _changes(folder: StudyFolder, dataset: "Dataset") -> str:
    """In words, the cases that are other ones than those that `folder` keeps; empty where that cannot be said."""
    try:
        old = load_dataset(folder)
    except StudyError:  # it is damaged, and would be written again
        return ""
    before, after = case_digests(old), case_digests(dataset)
    was, now = ({row["case"]: row for row in table.to_dict("records")} for table in (old.cases, dataset.cases))

    def parts(case: str) -> str:
        differing = [word for column, word in _IN_WORDS.items() if _text(was[case][column]) != _text(now[case][column])]
        return f"{case} ({', '.join(dict.fromkeys(differing))})"

    changed = [case for case in before if case in after and before[case] != after[case]]
    gone = [case for case in before if case not in after]
    new = [case for case in after if case not in before]
    said = [
        _counted(f"{len(changed)} of {len(before)} cases", "changed", changed, parts),
        _counted(str(len(gone)), "gone", gone, str),
        _counted(str(len(new)), "new", new, str),
    ]
    return ", ".join(filter(None, said))


def _text(value: Any) -> str:
    return json.dumps(value, default=list)


def _counted(count: str, how: str, cases: Sequence[str], named: Callable[[str], str]) -> str:
    if not cases:
        return ""
    more = "such as " if len(cases) > _NAMED else ""
    examples = enumerated([printable(named(case), 300) for case in cases[:_NAMED]])
    return f"{count} {'is' if len(cases) == 1 else 'are'} {how} ({more}{examples})"
