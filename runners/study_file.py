"""Reading a study file as plain data; every fault is one line naming the field, what it got and what it takes."""

import difflib
import typing
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from aggregation_lab.errors import StudyError
from runners.study import Study

SHIPPED = Path(__file__).parent / "studies"


def find_study(name: str) -> Path:
    """The file a study argument means: a path, or the bare name of a shipped study. Raises `StudyError`."""
    path = Path(name)
    if path.is_file():
        return path
    shipped = {file.stem: file for file in sorted(SHIPPED.glob("*.yaml"))}
    if name in shipped:
        return shipped[name]
    close = difflib.get_close_matches(path.stem, shipped, n=1)
    hint = f"did you mean {close[0]}?" if close else f"give a study file or one of {', '.join(shipped)}"
    raise StudyError(f"{name}: no such study file; {hint}")


def load_study(path: Path, *, data: Path | None = None) -> Study:
    """Read and check a study file; `data` takes the place of data.root.

    Raises `StudyError` with one line per fault.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: is not UTF-8; save the file as UTF-8") from error
    except yaml.YAMLError as error:
        raise StudyError(f"{path}: {_yaml_fault(error)}") from error
    if not isinstance(raw, dict):
        raise StudyError(f"{path}: holds {_shown(raw)}; a study file holds fields such as name, data, aggregations")
    study = parse_study(raw, str(path))
    return _with_paths(study, path.parent, data)


def parse_study(raw: dict[str, Any], source: str) -> Study:
    """The study in `raw`. Raises `StudyError`, each line starting with `source` and the field's dotted path."""
    try:
        return Study.model_validate(raw)
    except ValidationError as error:
        # A union reports every one of its members; the first word on a field is enough.
        lines: dict[str, str] = {}
        for fault in error.errors():
            lines.setdefault(_field(fault["loc"]), _explain(dict(fault)))
        fields = [field for field in lines if not any(other.startswith(f"{field}.") for other in lines)]
        raise StudyError("\n".join(f"{source}: {lines[field]}" for field in fields)) from error


class _PlainLoader(yaml.SafeLoader):
    """yaml.safe_load, but a key that stands twice is an error instead of being taken silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.MarkedYAMLError(problem=f"{key} stands twice; keep one", problem_mark=key_node.start_mark)
            seen.add(key if isinstance(key, str) else str(key))
        return super().construct_mapping(node, deep)


def _yaml_fault(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem or error.context}"
    return str(error).splitlines()[0]


def _with_paths(study: Study, folder: Path, data: Path | None) -> Study:
    """The same study with its paths made absolute, those in the file relative to the file."""

    def absolute(path: Path | None) -> Path | None:
        return None if path is None else (folder / path.expanduser()).resolve()

    root = data.expanduser().resolve() if data is not None else absolute(study.data.root)
    model = study.model
    if model.weights not in ("random", "hub"):
        model = model.model_copy(update={"weights": str(absolute(Path(model.weights)))})
    paths = study.data.model_copy(update={"root": root, "split": absolute(study.data.split)})
    return study.model_copy(update={"data": paths, "model": model})


def _field(location: tuple[int | str, ...]) -> str:
    """Dotted path of a fault, without the names pydantic gives to members of unions."""
    parts = [str(part) for part in location if not (isinstance(part, str) and ("[" in part or part in _UNION_NAMES))]
    return ".".join(parts)


_UNION_NAMES = {"none", "nullable"}
_PLAIN_WORDS = {
    "tuple_type": "a list",
    "dict_type": "fields, each `name: value`",
    "model_type": "fields, each `name: value`",
    "string_type": "text",
    "string_pattern_mismatch": "letters, digits, dots, dashes and underscores",
    "path_type": "a path",
    "too_short": "at least one entry",
}


def _explain(fault: dict[str, Any]) -> str:
    location, kind = fault["loc"], fault["type"]
    field = _field(location) or "study"
    if kind == "extra_forbidden":
        known = _fields_at(location[:-1])
        close = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"it takes {', '.join(known)}"
        return f"{field}: unknown field; {hint}"
    if kind == "missing":
        return f"{field}: is missing; every study needs it"
    if kind == "value_error":
        return f"{field}: {fault['msg'].removeprefix('Value error, ')}"
    message = _PLAIN_WORDS.get(kind) or fault["msg"].removeprefix("Input should be ")
    return f"{field}: got {_shown(fault['input'])}, it takes {message}"


def _shown(value: Any) -> str:
    text = repr(value) if value is not None else "nothing"
    return text if len(text) <= 60 else text[:57] + "..."


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields that the part of the study at `location` takes."""
    model: type[BaseModel] = Study
    for part in location:
        info = model.model_fields.get(str(part))
        if info is None:
            return []
        annotation: Any = info.annotation
        candidates = [annotation, *typing.get_args(annotation)]
        nested = [each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)]
        if not nested:
            return []
        model = nested[0]
    return list(model.model_fields)
