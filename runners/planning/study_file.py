"""Reading a study file as plain data; every fault is one line naming the field, what it got and what it takes."""

import difflib
import re
import typing
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from aggregation_lab.aggregation import ARROW, stages
from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.errors import ModelError, StudyError
from aggregation_lab.method_names import missing_packages
from aggregation_lab.text import printable
from runners.planning.encoder_names import encoder_fault
from runners.planning.plain_yaml import read_yaml
from runners.planning.study_schema import Study
from runners.planning.user_paths import absolute_path, data_path, input_path

SHIPPED = Path(__file__).parents[1] / "studies"
MOST_FAULTS = 20
"""Faults of a file that are reported; more than these have one obvious cause."""


def find_study(name: str) -> Path:
    """The file a study argument means: a path, or the bare name of a shipped study. Raises `StudyError`."""
    shipped = {file.stem: file for file in sorted(SHIPPED.glob("*.yaml"))}
    if name in shipped and not Path(name).is_file():
        return shipped[name]
    path = absolute_path(name, "STUDY")
    if path.exists():
        return Path(name).expanduser()
    close = difflib.get_close_matches(path.stem, shipped, n=1)
    hint = f"did you mean {close[0]}?" if close else f"give a study file or one of {', '.join(shipped)}"
    raise StudyError(f"{name}: no such study file; {hint}")


def read_study_file(path: Path, *, data: Path | None = None) -> Study:
    """Read and check a study file; `data` takes the place of data.root.

    Raises `StudyError` with one line per fault.
    """
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise StudyError(f"{path}: holds {_shown(raw)}; a study file holds fields such as name, data, aggregations")
    study = _with_paths(parse_study(raw, str(path)), path, data)
    fault = _fault_of(study.model, _used(study.training, study.aggregations))
    if fault := fault or _fault_of_arms(study) or _fault_of_second_stage(study):
        raise StudyError(f"{path}: {fault}")
    return study


def _fault_of(model: ModelConfig, training: TrainingConfig) -> str | None:
    """What keeps a model from being built or trained here, after the name of its field; None where nothing does."""
    if fault := encoder_fault(model, training):
        return fault
    missing = missing_packages(training.aggregator)
    return f"training.aggregator: {missing}" if missing else None


def _fault_of_arms(study: Study) -> str | None:
    """`_fault_of` of the arms."""
    for name, arm in study.variants.items():
        fault = _fault_of(arm.model, _used(arm.training, filter(arm.holds, study.aggregations)))
        if fault and name in study.arms:
            return f"arms.{name}.{fault}"
        if fault:
            return f"reference: {fault.removeprefix('model.encoder: ')}"
    return None


def _fault_of_second_stage(study: Study) -> str | None:
    """What keeps a second stage from being trained here; its model is that of the first."""
    aggregator = study.specialise.get("aggregator")
    missing = missing_packages(aggregator) if aggregator else None
    if missing:
        return f"specialise.aggregator: {missing}"
    for arm in study.variants.values() if study.specialise else ():
        last = [pair[1] for pair in map(stages, filter(arm.holds, study.aggregations)) if pair]
        fault = encoder_fault(arm.model, _used(study.second_stage(arm), last)) if last else None
        if fault:
            return f"specialise.{fault.removeprefix('training.')}"
    return None


def _used(training: TrainingConfig, aggregations: Iterable[str]) -> TrainingConfig:
    """What the runs of the aggregations take of the training: units of one task have no method."""
    return training.one_task if all(name == "TS" for name in aggregations) else training


@contextmanager
def faults_in(file: Path) -> Iterator[None]:
    """Errors that name a field of the study name its file, too."""
    try:
        yield
    except (StudyError, ModelError) as error:
        field = re.match(r"\w+", str(error))
        if field and field.group() in Study.model_fields:
            lines = str(error).splitlines()
            raise type(error)("\n".join(f"{file}: {line}" for line in lines)) from error
        raise


def parse_study(raw: dict[str, Any], source: str) -> Study:
    """The study in `raw`. Raises `StudyError`, each line starting with `source` and the field's dotted path."""
    try:
        return Study.model_validate(raw)
    except ValidationError as error:
        # A union reports every one of its members; the first fault of a field is enough.
        lines: dict[str, str] = {}
        for fault in error.errors(include_url=False)[:MOST_FAULTS]:
            lines.setdefault(_field(fault["loc"]), _explain(dict(fault)))
        fields = [field for field in lines if not any(other.startswith(f"{field}.") for other in lines)]
        more = error.error_count() - MOST_FAULTS
        last = [f"and {more} more faults"] if more > 0 else []
        reported = [*(lines[field] for field in fields), *last]
        raise StudyError("\n".join(f"{source}: {line}" for line in reported)) from error


def _with_paths(study: Study, file: Path, data: Path | None) -> Study:
    """The same study with its paths made absolute, those in the file relative to the file. Raises `StudyError`."""
    given, folder = study.data, file.parent
    root, split = given.root, given.split
    if data is not None:
        root = data_path(data)
    elif root is not None:
        root = data_path(root, f"{file}: data.root", folder)
    if split is not None:
        split = input_path(split, f"{file}: data.split", folder, folders=True)
    model = _with_weights(study.model, f"{file}: model", folder)
    arms = {
        name: arm.model_copy(update={"model": _with_weights(arm.model, f"{file}: arms.{name}.model", folder)})
        for name, arm in study.arms.items()
    }
    data_section = given.model_copy(update={"root": root, "split": split})
    return study.model_copy(update={"data": data_section, "model": model, "arms": arms})


def _with_weights(model: ModelConfig, field: str, folder: Path) -> ModelConfig:
    """The model with the path of its checkpoint made absolute. Raises `StudyError`."""
    if model.weights in ("random", "hub"):
        return model
    return model.model_copy(update={"weights": str(input_path(model.weights, f"{field}.weights", folder))})


def _field(location: tuple[int | str, ...]) -> str:
    """Dotted path of a fault, without the names pydantic gives to members of unions."""
    parts = [str(part) for part in location if not (isinstance(part, str) and ("[" in part or part in _UNION_NAMES))]
    return printable(".".join(parts))


_UNION_NAMES = {"none", "nullable"}
_PLAIN_WORDS = {
    "tuple_type": "a list",
    "dict_type": "fields, each `name: value`",
    "model_type": "fields, each `name: value`",
    "string_type": "text",
    "string_pattern_mismatch": "letters, digits, dots, dashes and underscores",
    "path_type": "a path",
    "is_instance_of": "a path",
    "too_short": "at least one entry",
    "finite_number": "a finite number",
    "bool_type": "true or false",
}


def _explain(fault: dict[str, Any]) -> str:
    location, kind = fault["loc"], fault["type"]
    field = _field(location) or "study"
    if kind == "extra_forbidden":
        known = _fields_at(location[:-1])
        close = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"it takes {', '.join(known)}"
        return f"{field}: unknown field; {hint}"
    if kind == "missing" and isinstance(location[-1], int):
        return f"{field}: is missing; the list takes {location[-1] + 1} entries or more"
    if kind == "missing":
        return f"{field}: is missing; every study needs it"
    if kind == "value_error":
        return f"{field}: {fault['msg'].removeprefix('Value error, ')}"
    if kind == "too_long":
        return f"{field}: has too many entries; {fault['msg'][:1].lower()}{fault['msg'][1:]}"
    if kind == "string_too_long":
        return f"{field}: got {_shown(fault['input'])}, it takes {fault['ctx']['max_length']} characters at most"
    if kind == "string_pattern_mismatch" and ARROW in fault["ctx"]["pattern"]:
        both = f"two such names with {ARROW} between, as in AU{ARROW}TS"
        return f"{field}: got {_shown(fault['input'])}, it takes {_PLAIN_WORDS[kind]}, or {both}"
    message = _PLAIN_WORDS.get(kind) or fault["msg"].removeprefix("Input should be ")
    if kind == "string_type" and isinstance(fault["input"], int | float):
        message += "; put it in quotes"
    return f"{field}: got {_shown(fault['input'])}, it takes {message}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return printable(repr(list(value) if isinstance(value, tuple) else value), 60)


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields that the part of the study at `location` takes."""
    model: type[BaseModel] = Study
    if location[:1] == ("specialise",):
        location = ("training", *location[1:])  # its fields
    parts = [part for index, part in enumerate(location) if location[:index] != ("arms",)]  # an arm has a name
    parts = [part for part in parts if not str(part).startswith("[")]  # the member of a union, which is no field
    for part in parts:
        info = model.model_fields.get(str(part))
        if info is None:
            return []
        nested = _models_in(info.annotation)
        if not nested:
            return []
        model = nested[0]
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a field may hold, however deep in unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]
