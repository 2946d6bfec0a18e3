"""Score tables that chance made: a study and its analysis, or one printable line; never another error, never a hang."""

import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from aggregation_lab.errors import AgglabError
from analysis.external import read_scores
from analysis.pipeline import analyse
from analysis.settings import Settings
from analysis.tables import latex, markdown, paper_tables

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "50"))
OWN_SEED = os.environ.get("FUZZ_SEED")
SECONDS = 10.0

FUZZ = settings(
    max_examples=EXAMPLES,
    derandomize=OWN_SEED is None,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

BASE = pd.DataFrame(
    [
        (
            task,
            kind,
            group,
            arm,
            seed_,
            share,
            n if task == "a" else int(n * share),
            0.5 + 0.01 * place + 0.02 * (arm == "AU") + 0.003 * seed_,
        )
        for place, (task, kind, group, n) in enumerate(
            [("a", "segmentation", "x", 90), ("b", "regression", "y", 300), ("c", "segmentation", "x", 800)]
        )
        for arm in ("TS", "AU")
        for seed_ in (0, 1)
        for share in (0.5, 1.0)
    ],
    columns=["task", "type", "group", "aggregation", "seed", "fraction", "n_train", "value"],
)
BASE["n_train"] = (BASE["n_train"] * BASE["fraction"].where(BASE["task"] != "a", 1.0)).astype(int)
PIECES = [b",", b"\n", b'"', b"\t", b";", b"#", b"\x00", b"\xff", b"\r", b"=", b"-", b"e9", b"NA", b"%", b"1,5", b"inf"]


@contextmanager
def limited() -> Iterator[None]:
    """Fails what does not end in time."""

    def late(*_: object) -> None:
        raise TimeoutError(f"no end after {SECONDS} s")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)  # processor time: other work on the machine does not count
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def tried(path, **how) -> bool:
    """Whether the table could be analysed; one printable line where not."""
    with limited(), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            analysis = analyse(read_scores(path, **how), Settings(draws=100))
        except AgglabError as error:
            assert str(error).isprintable(), error
            return False
        for table in paper_tables(analysis):
            assert table.to_csv() and latex(table) and markdown(table)
        return True


def seeded(test):
    return test if OWN_SEED is None else seed(int(OWN_SEED))(test)


changes = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 3), st.one_of(st.sampled_from(PIECES), st.binary(max_size=4))), max_size=5
)


@pytest.mark.slow
@seeded
@given(changes)
@FUZZ
def test_a_damaged_file(tmp_path_factory, changed):
    content = BASE.to_csv(index=False).encode()
    for where, cut, piece in changed:
        at = int(where * len(content))
        content = content[:at] + piece + content[at + cut :]
    path = tmp_path_factory.mktemp("fuzz") / "scores.csv"
    path.write_bytes(content)
    tried(path)


odd = st.one_of(
    st.sampled_from(
        ["NA", "", "=1", "-", "all", "undecided", "floor", "TS", "$a$", "_x", "a-b", "[", "*", "\\", "|", "0"]
    ),
    st.text(max_size=6),
)
number = st.one_of(
    st.sampled_from(["", "0", "1", "-1", "0.5", "50%", "1e308", "-1e308", "inf", "nan", "1,5", "1e-320", "99", "1e9"]),
    st.floats(allow_nan=False).map(repr),
    st.floats(0, 1).map(repr),
)
cells = st.tuples(st.floats(0, 1), st.sampled_from(list(BASE.columns)), odd, number)


@pytest.mark.slow
@seeded
@given(
    st.lists(cells, max_size=4),
    st.dictionaries(st.sampled_from(["a", "b", "c", "x", "TS", "AU"]), odd, max_size=4),
    st.lists(st.sampled_from(list(BASE.columns)), max_size=3, unique=True),
    st.lists(st.integers(0, len(BASE) - 1), max_size=12, unique=True),
    st.sampled_from([0.0, 1e-9, 1.0, 100.0, 1e8]),
    st.booleans(),
)
@FUZZ
def test_odd_names_and_values(tmp_path_factory, changed, renamed, dropped, left_out, scale, cases):
    rows = BASE.drop(index=left_out).replace(renamed)
    rows["value"] = rows["value"] * scale
    rows = rows.astype(str)
    for where, column, name, value in changed:
        if len(rows):
            is_name = column in ("task", "type", "group", "aggregation")
            rows.iloc[int(where * (len(rows) - 1)), rows.columns.get_loc(column)] = name if is_name else value
    if cases:
        rows = pd.concat([rows.assign(case=name) for name in ("p", "q", "r")])
    path = tmp_path_factory.mktemp("fuzz") / "scores.json"
    path.write_text(rows.drop(columns=dropped).to_json(orient="records", force_ascii=True))
    tried(path)


def test_the_table_that_is_changed_can_be_analysed(tmp_path):
    BASE.to_csv(tmp_path / "scores.csv", index=False)
    assert tried(tmp_path / "scores.csv")
