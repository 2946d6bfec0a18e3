"""The study file of `agglab group --write`: the study of an output folder with one more partition."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from aggregation_lab.errors import StudyError
from aggregation_lab.files import write_text
from aggregation_lab.text import escaped, printable
from runners.planning.plain_yaml import parse_yaml, read_yaml
from runners.planning.study_file import parse_study
from runners.planning.study_schema import Study
from runners.store.study_folder import StudyFolder

NAME = "found"
"""What the partition is called; found2 and so on where the study has one of that name."""

_MARK = "# Written by `agglab group`"
"""How a file of this command begins, which alone it replaces."""


def check_target(file: Path) -> None:
    """Raise `StudyError` where the study file would replace something that this command has not written."""
    try:
        written = not file.exists() or file.is_file() and file.read_text(encoding="utf-8").startswith(_MARK)
    except (OSError, UnicodeDecodeError):
        written = False
    if not written:
        raise StudyError(
            f"--write {printable(str(file))}: is there and was not written by `agglab group`; choose another name"
        )


def write_found(file: Path, folder: StudyFolder, units: Mapping[str, Sequence[str]], about: Sequence[str]) -> str:
    """Write the folder's study with the partition `units`, and `about` as comments. Returns the partition's name.

    Paths in it are absolute, so that it can lie anywhere. Raises `StudyError` where the folder's study file is not
    that of its runs, or `file` holds something else.
    """
    check_target(file)
    study, source = folder.read_study(), folder.path / "study.yaml"
    raw = _with_paths(read_yaml(source), study)
    if parse_study(raw, str(source)) != study:
        raise StudyError(
            f"{source}: is not the study that the folder was made for; run `agglab run-grid` on it once more"
        )
    same = next((name for name, known in study.aggregations.items() if known and _sets(known) == _sets(units)), None)
    if same is not None:
        raise StudyError(
            f"--write {printable(str(file))}: {study.name} has this partition already, as {same}; train it"
        )
    name = _free_name(study)
    raw["aggregations"] = _extended(
        raw.get("aggregations"), study, name, {key: list(unit) for key, unit in units.items()}
    )
    comments = [f"{_MARK}: {study.name} with the partition {name}.", *(f"# {line}" for line in about), "#"]
    plain = yaml.safe_dump(raw, sort_keys=False, allow_unicode=True, width=110)
    text = "\n".join([*(escaped(line) for line in comments), plain])
    wanted = {**study.aggregations, name: {key: tuple(unit) for key, unit in units.items()}}
    if parse_study(parse_yaml(text), str(file)) != study.model_copy(update={"aggregations": wanted}):
        raise StudyError(
            f"--write {printable(str(file))}: a name in the study cannot be written to YAML and read again"
        )
    write_text(file, text)
    return name


def _with_paths(raw: Any, study: Study) -> dict[str, Any]:
    """The study as it was written, with the paths that it was read with."""
    found = dict(raw) if isinstance(raw, dict) else {}
    data, model = dict(found.get("data") or {}), dict(found.get("model") or {})
    for field, path in (("root", study.data.root), ("split", study.data.split)):
        if path is not None:
            data[field] = str(path)
    if "weights" in model:
        model["weights"] = study.model.weights
    arms = {
        name: {key: study.arms[name].model.weights if key == "model.weights" else value for key, value in arm.items()}
        for name, arm in (found.get("arms") or {}).items()
        if isinstance(arm, dict) and name in study.arms
    }
    parts = {"data": data, "model": model, "arms": arms}
    return {**found, **{name: part for name, part in parts.items() if part}}


def _sets(units: Mapping[str, Sequence[str]]) -> set[frozenset[str]]:
    return set(map(frozenset, units.values()))


def _free_name(study: Study) -> str:
    taken = {name.lower() for name in study.aggregations}
    return next(name for k in range(1, len(taken) + 2) if (name := f"{NAME}{k if k > 1 else ''}") not in taken)


def _extended(written: Any, study: Study, name: str, units: dict[str, list[str]]) -> Any:
    """The field `aggregations` with one more partition, in the form that it has."""
    if isinstance(written, dict):
        return {**written, name: units}
    listed = list(study.aggregations) if written is None else list(written)
    return [*listed, {name: units}]
