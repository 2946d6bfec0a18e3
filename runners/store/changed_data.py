"""Whether the data of an output folder are those that its runs were made from, and what is other about them."""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from aggregation_lab.errors import StudyError
from aggregation_lab.text import enumerated, printable
from runners.planning.data_digests import case_digests, dataset_digest
from runners.planning.study_schema import DataConfig, FolderConfig
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
