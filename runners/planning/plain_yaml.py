"""YAML as a study file has it: one document of plain data, read without surprises and within bounds.

Numbers and truth values are those of YAML 1.2: no dates, no base 60, no octal numbers, no underscores in numbers; yes,
no, on and off are words. Keys are text, as they are written. Tags and merge keys are refused; aliases are taken as long
as what they expand to stays small.
"""

import codecs
import re
import stat
from pathlib import Path
from typing import Any, cast

import yaml

from aggregation_lab.errors import StudyError
from aggregation_lab.text import printable

MOST_BYTES = 256_000
MOST_VALUES = 20_000
"""Values that a file may hold, those counted again that an alias repeats."""
DEEPEST = 20
"""Levels of lists and fields inside each other; a study has five."""

_NOTHING = {"", "~", "null", "Null", "NULL"}
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,300})")
_NUMBER = re.compile(
    r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


def read_yaml(path: Path) -> Any:
    """The data in a file. Raises `StudyError` with one line where it cannot be read or is no plain YAML."""
    text = _text(path)
    try:
        return parse_yaml(text)
    except yaml.YAMLError as error:
        raise StudyError(f"{path}: {_fault(error, text)}") from error


def parse_yaml(text: str) -> Any:
    """The data in `text`. Raises `yaml.YAMLError`."""
    try:
        node = yaml.compose(text, Loader=_Composer)
    except ValueError as error:  # an escape beyond Unicode, a version of a thousand digits
        raise yaml.YAMLError(f"an escape or a directive is not valid ({error})") from error
    return None if node is None else _value(node)


def plain_scalar(text: str) -> Any:
    """The value of a word without quotes: None, a truth value, a number, or the text itself."""
    if text in _NOTHING:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
    return text


class _Composer(yaml.SafeLoader):
    """Builds the tree of a document, and stops where it grows beyond the bounds."""

    def __init__(self, stream: str):
        super().__init__(stream)
        self._depth, self._values = 0, 0
        self._sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        event, before = self.peek_event(), self._values
        mark = event.start_mark
        if getattr(event, "tag", None) is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise _refusal(f"the tag {tag} is not taken; write the plain value", mark)
        if self._depth > DEEPEST:
            raise _refusal(f"lists and fields are nested deeper than {DEEPEST} levels", mark)
        self._depth += 1
        node = cast(yaml.Node, super().compose_node(parent, index))
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent) and node not in self._sizes:
            raise _refusal(f"*{event.anchor} stands inside of what it repeats", mark)
        self._values += self._sizes.get(node, 1)
        if self._values > MOST_VALUES:
            raise _refusal(f"the file holds more than {MOST_VALUES} values, repeated ones counted", mark)
        self._sizes[node] = self._values - before
        return node


def _refusal(problem: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _value(node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return _fields(node)
    scalar = cast(yaml.ScalarNode, node)
    text = _one_line(scalar)
    return text if scalar.style else plain_scalar(text)


def _fields(node: yaml.MappingNode) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _refusal("a list or fields stand where a name belongs", key.start_mark)
        name = _one_line(key)
        if name == "<<" and not key.style:
            raise _refusal("the merge key << is not taken; write the fields out", key.start_mark)
        if name in fields:
            raise _refusal(f"{name} stands twice; keep one", key.start_mark)
        fields[name] = _value(value)
    return fields


def _one_line(node: yaml.ScalarNode) -> str:
    """Text of a scalar; control characters and line breaks have no use in any field of a study."""
    for char in node.value:
        if re.match(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", char):
            kind = "a line break" if char == "\n" else f"the character {printable(char)}"
            raise _refusal(f"a text holds {kind}; write it on one line, in plain characters", node.start_mark)
    return node.value


def _text(path: Path) -> str:
    """Text of a regular file in UTF-8, or in UTF-16 if its first bytes say so. Raises `StudyError`."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise StudyError(f"{path}: is no regular file; give a study file")
        with open(path, "rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > MOST_BYTES:
        raise StudyError(f"{path}: is larger than {MOST_BYTES // 1000} kB; is it a study file?")
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StudyError(f"{path}: line {line}: is not UTF-8; save the file as UTF-8") from error


def _fault(error: yaml.YAMLError, text: str) -> str:
    """One line on what is wrong with the file."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"line {line}: holds the character U+{error.character:04X}; a study file is plain text"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        line, problem = error.problem_mark.line + 1, error.problem or error.context or "cannot be read"
        if "another document" in problem:
            problem = "a second document begins; a study file holds one"
        elif "'\\t'" in problem:
            problem = "a tab; indent with blanks"
        return f"line {line}: {printable(problem)}"
    return printable(str(error).splitlines()[0])
