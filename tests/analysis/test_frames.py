"""Frames: what is declared is what there is; a contrast's label is never read back and never shared."""

from itertools import product

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.contrasts import Contrast, contrast_name
from analysis.frames import FRAMES, frame, ordered

REGRET = dict.fromkeys(FRAMES["regret"], 1.0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (REGRET | {"wrost": 2.0}, "unknown columns ['wrost'], missing columns []"),
        ({name: 1.0 for name in REGRET if name != "worst"}, "unknown columns [], missing columns ['worst']"),
    ],
)
def test_a_misspelt_or_missing_column_is_an_error(row, said):
    with pytest.raises(ValueError) as error:
        frame("regret", [REGRET, row])
    assert said in str(error.value)
    with pytest.raises(ValueError):
        ordered("regret", pd.DataFrame([row]))


def test_an_optional_column_may_be_missing_in_a_row():
    plan = dict.fromkeys(FRAMES["power"], 1.0)
    found = frame("power", [plan, {name: 1.0 for name in plan if name != "hours"}])
    assert list(found.columns) == list(FRAMES["power"]) and found["hours"].isna().tolist() == [False, True]


def test_every_frame_with_a_contrast_says_which_sides_it_compares():
    for name, columns in FRAMES.items():
        assert ("contrast" in columns) == ({"joint", "base"} <= set(columns)), name


def test_plain_contrasts_read_as_ever():
    assert Contrast("AU", "TS").columns == {"contrast": "AU-TS", "joint": "AU", "base": "TS"}
    assert contrast_name("mine (2)", "TS") == "mine (2)-TS"


def test_hyphens_do_not_make_two_contrasts_one():
    assert contrast_name("a-b", "c") == "(a-b)-c"
    assert contrast_name("a", "b-c") == "a-(b-c)"
    parts = ["", *("".join(letters) for size in (1, 2, 3, 4) for letters in product("a-()", repeat=size))]
    labels = {contrast_name(joint, base) for joint, base in product(parts, parts)}
    assert len(labels) == len(parts) ** 2


@given(*[st.text("ab-()", max_size=12)] * 4)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_labels_differ_where_contrasts_do(joint, base, other_joint, other_base):
    same = contrast_name(joint, base) == contrast_name(other_joint, other_base)
    assert same == ((joint, base) == (other_joint, other_base))
