"""Study files damaged at random: each is read and planned, or refused in clear words, in time."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aggregation_lab.data.splits.split import draw_split
from runners.execution.slurm.submit import overridden, parameters
from runners.planning.plain_yaml import parse_yaml
from runners.planning.plan import plan_runs
from runners.planning.study_file import SHIPPED, parse_study, read_study_file
from runners.planning.study_schema import Study
from tests.fuzzing import fuzzed, refused_clearly
from tests.tiny import STUDY

SHIPPED_TEXTS = [file.read_bytes() for file in sorted(SHIPPED.glob("*.yaml"))]
WHOLE = STUDY | {
    "data": {
        "groups": {"tiny_head": "head"}, "subjects": {"Kinds*": "([^/]+)_"}, "laterality": ["tiny_kind"],
        "shares": [0.6, 0.2, 0.2], "split_seed": 1, "phantoms": {"tasks": ["lung"], "scale": 0.1},
    },
    "aggregations": ["TS", {"mine": {"a": ["tiny_head", "tiny_head_det"], "b": ["tiny_kind", "tiny_head_axis"]}}],
    "fractions": [0.5, 1.0],
    "margins": {"default": 0.02, "tiny_head": 0.1},
    "slurm": {"partition": "gpu", "hours": 2, "directives": {"account": "lab", "exclusive": True}},
}  # fmt: skip
"""A study with every part that a file can have, for the tiny data."""

WORDS = st.sampled_from(
    ["TS", "AU", "tiny_head", "a", "", " ", "yes", "010", "1_0", "1:30:00", "2020-13-45", "~", "~nobody/x", "..", "a/b",
     "$HOME", "/dev/zero", "é", "e\u0301", "\u200b", "\u202e", "a\nb", "a\0b", "\ud800", "`id`", "$(id)", "'", "(a+)+$",
     "((", "[[a]", "x" * 5000, "random", "hub", "floor", "Floor", "task", "-0", "__class__", "%j", "{}", "*", "#"]
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 10**9, 10**400, 1e300, float("inf"), float("nan"), True, False, None]),
)
SCALARS = st.one_of(WORDS, NUMBERS, st.text(max_size=20))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(SCALARS, inner, max_size=4)),
    max_leaves=8,
)


def places_in(value: object) -> list[tuple]:
    """The way to every part of a study, the study itself included."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(), *((key, *rest) for key, inner in items for rest in places_in(inner))]


def replaced(value, way: tuple, new: object):
    """`value` with the part at the end of `way` replaced."""
    if not way:
        return new
    copy = value.copy()
    copy[way[0]] = replaced(value[way[0]], way[1:], new)
    return copy


@pytest.fixture(scope="module")
def plan(tiny_dataset):
    """Reads a study file and plans its runs on the tiny data."""
    split = draw_split(tiny_dataset)
    return lambda file: plan_runs(read_study_file(file), tiny_dataset, split)


def try_out(folder: Path, content: bytes, plan) -> None:
    file = folder / "study.yaml"
    file.write_bytes(content)
    with refused_clearly():
        plan(file)


def test_the_whole_study_is_one(tmp_path, plan):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(WHOLE))
    assert plan(tmp_path / "study.yaml")


@fuzzed
@given(st.sampled_from(places_in(WHOLE)), VALUES)
def test_any_value_in_any_field(tmp_path, plan, way, value):
    text = yaml.dump(replaced(WHOLE, way, value), allow_unicode=True, sort_keys=False)
    try_out(tmp_path, text.encode(errors="surrogatepass"), plan)


@fuzzed
@given(st.sampled_from([way for way in places_in(WHOLE) if way]), SCALARS)
def test_any_name_of_a_field(tmp_path, plan, way, name):
    part: dict = WHOLE
    for key in way[:-1]:
        part = part[key]
    moved = [*part, part[way[-1]]] if isinstance(part, list) else part | {name: part[way[-1]]}
    text = yaml.dump(replaced(WHOLE, way[:-1], moved), allow_unicode=True)
    try_out(tmp_path, text.encode(errors="surrogatepass"), plan)


PIECES = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [b"\t", b"\n", b"\0", b"---\n", b"...\n", b": ", b"- ", b"? ", b"&a ", b"*a ", b"<<: *a\n", b"!!int ",
         b"[" * 40, b"{a: " * 40, b"]", b"}", b"'", b'"', b"|\n", b">-\n", b"%YAML 1.1\n", b"%TAG ! x\n", b"#", b"@",
         b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9", b"\xc2\x85", b'"\\ud800"', b'"\\U00110000"', b"- " * 200, b"? " * 200,
         b"`", b",", b"~"]
    ),
)  # fmt: skip
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=4)


@fuzzed
@given(st.sampled_from([*SHIPPED_TEXTS, yaml.safe_dump(WHOLE).encode()]), EDITS)
def test_bytes_cut_and_put_in(tmp_path, plan, content, edits):
    for where, cut, piece in edits:
        start = round(where * len(content))
        content = content[:start] + piece + content[start + cut :]
    try_out(tmp_path, content, plan)


@fuzzed
@given(st.one_of(st.binary(max_size=300), st.text("ab:-[]{}&*!|>'\"%#?, \n\t01.e~<é", max_size=300).map(str.encode)))
def test_any_bytes(tmp_path, plan, content):
    try_out(tmp_path, content, plan)


PLAIN_TEXT = st.text(max_size=20).filter(str.isprintable)
PLAIN = st.recursive(
    st.one_of(
        PLAIN_TEXT,
        st.integers(-(10**200), 10**200),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(
            [True, False, None, "010", "yes", "1:30", "<<", "~", "null", "1e5", ".inf", "é", "# a", "a: b"]
        ),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(PLAIN_TEXT, inner, max_size=4)),
    max_leaves=8,
)


@fuzzed
@given(PLAIN)
def test_what_is_written_with_quotes_is_read_back(value):
    """JSON is YAML, and leaves nothing to guess."""
    text = json.dumps(value, ensure_ascii=False)
    assert json.dumps(parse_yaml(text), ensure_ascii=False) == text


@fuzzed
@given(st.one_of(st.sampled_from(["partition", "hours", "directives.account", "directives.comment"]), WORDS), SCALARS)
def test_options_of_slurm_keep_within_their_lines(key, value):
    """Nothing that is accepted can end its line of the job script, or its word in it."""
    with refused_clearly():
        settings = overridden(Study(name="x"), [f"{key}={value}"]).slurm
        asked = parameters(settings, "x")
        texts = [*map(str, asked.pop("additional_parameters").items()), *map(str, asked.values())]
        assert not any(char in text for text in texts for char in '\n\r\0`$"\\')


@fuzzed
@given(VALUES)
def test_any_data_of_python(value):
    with refused_clearly():
        parse_study(value if isinstance(value, dict) else {"name": value}, "study")
