"""Tests pass on any machine: comparisons of numbers say how near is near, and nothing is expected to be quick.

Another processor adds in another order: a default tolerance is one that nobody has thought about, and one machine's
rounding may happen to meet it. Another machine is slower, or busy.
"""

import ast

import pytest

from tests import ROOT

EXPLICIT = {
    "assert_allclose": [{"rtol", "atol"}],
    "allclose": [{"rtol", "atol"}],
    "isclose": [{"rtol", "atol"}, {"rel_tol", "abs_tol"}],
    "assert_close": [{"rtol", "atol"}],
    "approx": [{"rel", "abs"}, {"abs"}],  # with `abs` alone, pytest takes no relative one
    "assert_frame_equal": [{"rtol", "atol"}, {"check_exact"}],
    "assert_series_equal": [{"rtol", "atol"}, {"check_exact"}],
    "assert_index_equal": [{"rtol", "atol"}, {"check_exact"}, {"exact"}],
}
"""Functions that compare with a tolerance, and the settings of which one set has to be written out."""

DECIMALS_ONLY = {"assert_almost_equal", "assert_array_almost_equal", "assert_approx_equal", "assertAlmostEqual"}
"""Functions whose tolerance cannot be said both relatively and absolutely."""


def name_of(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def settings_of(call: ast.Call, constants: dict[str, set[str]]) -> set[str]:
    """Names of the settings of a call; `**NEAR` counts as those of the dictionary NEAR of the module."""
    given = set()
    for keyword in call.keywords:
        spread = isinstance(keyword.value, ast.Name) and keyword.arg is None
        given |= constants.get(keyword.value.id, set()) if spread else {keyword.arg or ""}
    return given


def dictionaries(tree: ast.Module) -> dict[str, set[str]]:
    """Keys of the dictionaries that a module defines at its top."""
    return {
        target.id: {key.value for key in node.value.keys if isinstance(key, ast.Constant)}
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def uncertain(text: str) -> list[str]:
    """Line and function of every comparison that leaves a tolerance to its default."""
    tree = ast.parse(text)
    constants = dictionaries(tree)
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name, given = name_of(call), settings_of(call, constants)
        vague = name in EXPLICIT and not any(needed <= given for needed in EXPLICIT[name])
        if vague or name in DECIMALS_ONLY:
            found.append(f"{call.lineno}: {name}")
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.stem)
def test_every_comparison_of_numbers_states_its_tolerances(path):
    assert uncertain(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "clear"),
    [
        ("np.testing.assert_allclose(a, b)", False),
        ("np.testing.assert_allclose(a, b, 1e-6)", False),
        ("np.testing.assert_allclose(a, b, atol=1e-6)", False),
        ("np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)", True),
        ("NEAR = {'rtol': 1e-6, 'atol': 1e-9}\nnp.testing.assert_allclose(a, b, **NEAR)", True),
        ("NEAR = {'rtol': 1e-6}\nnp.testing.assert_allclose(a, b, **NEAR)", False),
        ("assert a == pytest.approx(b)", False),
        ("assert a == approx(b, rel=1e-6)", False),
        ("assert a == approx(b, abs=1e-6)", True),
        ("assert torch.allclose(a, b, rtol=1e-4)", False),
        ("assert math.isclose(a, b, rel_tol=1e-4, abs_tol=0.0)", True),
        ("pd.testing.assert_frame_equal(a, b)", False),
        ("pd.testing.assert_frame_equal(a, b, check_exact=True)", True),
        ("np.testing.assert_almost_equal(a, b, decimal=3)", False),
    ],
)
def test_a_default_is_noticed(line, clear):
    assert (uncertain(line) == []) is clear


CLOCKS = {"monotonic", "perf_counter", "process_time", "thread_time", "getrusage"}
"""What a duration is measured with."""

LEAST_PATIENCE = 300.0
"""Seconds; a shorter limit is one that a busy machine meets."""

CLOCK_KEEPERS = {"waiting", "chaos"}
"""Modules that look at a clock: the one that waits for all others, and a benchmark of its own."""


def timing_faults(text: str, *, clocks: bool = True) -> list[str]:
    """Line of every limit on time that a busy machine could meet, and of every look at a clock."""
    found = []
    for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
        limits = [keyword.value for keyword in call.keywords if keyword.arg == "timeout"]
        short = [each.value for each in limits if isinstance(each, ast.Constant) and each.value is not None]
        if any(seconds < LEAST_PATIENCE for seconds in short):
            found.append(f"{call.lineno}: timeout={short[0]}")
        if clocks and name_of(call) in CLOCKS:
            found.append(f"{call.lineno}: {name_of(call)}")
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.stem)
def test_nothing_is_expected_to_be_quick(path):
    assert timing_faults(path.read_text(encoding="utf-8"), clocks=path.stem not in CLOCK_KEEPERS) == []


@pytest.mark.parametrize(
    ("line", "calm"),
    [
        ("process.communicate(timeout=60)", False),
        ("process.communicate(timeout=PATIENCE)", True),
        ("process.communicate(timeout=None)", True),
        ("assert time.monotonic() - start < 20", False),
        ("wait_for(lambda: path.exists())", True),
    ],
)
def test_haste_is_noticed(line, calm):
    assert (timing_faults(line) == []) is calm
