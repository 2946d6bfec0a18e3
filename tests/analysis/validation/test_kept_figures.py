"""A calibration that was stopped continues, and says by how many studies every figure is known."""

import numpy as np
import pandas as pd
import pytest

from analysis.validation import calibrate, kept_figures
from analysis.validation.design import Design
from analysis.validation.kept_figures import KeptFigures
from analysis.validation.scenario import Scenario

DESIGN = Design(tasks=2, seeds=2)
COUNTED: list[int] = []


def count(simulated: int, seed: int) -> dict[str, float]:
    COUNTED.append(seed)
    return {"coverage": 0.9 + seed / 100, "sometimes": float("nan") if seed % 2 else 1.0}


def draw(design: Design, seed: int) -> int:
    return seed


FIRST = Scenario("the first, 2 seeds", DESIGN, count, {"coverage": (0.9, 0.95)}, draw=draw)
OTHER = Scenario("another", DESIGN.with_(seeds=3), count, draw=draw)


class Here:
    """A pool that works in this process."""

    def __init__(self, *_: object, **__: object) -> None: ...
    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None: ...

    map = staticmethod(map)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    COUNTED.clear()
    monkeypatch.setattr(calibrate, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(calibrate, "scenarios", lambda: [FIRST, OTHER])

    def ask(studies: int, *chosen: str) -> str:
        calibrate.main(studies, *chosen, out=tmp_path / "kept", table=tmp_path / "docs.md")
        return (tmp_path / "kept" / "docs.md").read_text()

    return ask


def test_more_studies_are_added_to_those_that_are_there(asked, tmp_path):
    assert "| the first, 2 seeds | 4 | coverage, task | 0.915 ± 0.013 | 0.9 to 0.95 | inside |" in asked(4, "first")
    assert COUNTED == [0, 1, 2, 3] and not (tmp_path / "docs.md").exists()  # a scenario is missing
    text = asked(6)
    assert [0, 1, 2, 3, 4, 5, *range(6)] == COUNTED
    assert (tmp_path / "docs.md").read_text() == text
    assert "| the first, 2 seeds | 6 |" in text and "| another | 6 |" in text
    assert "| 1.000 [0.292, 1.000] |" in text  # studies without a figure do not count in it
    asked(5)
    assert len(COUNTED) == 12
    assert text == asked(6, "another")  # the table has all that is kept


def test_scenarios_of_one_kind_may_count_other_figures():
    text = calibrate.as_markdown({"one": pd.DataFrame({"fdr": [0.0]}), "other": pd.DataFrame({"gain_CG": [1.0, 2.0]})})
    assert text.splitlines()[0] == "| scenario | studies | false verdicts (FDR) | gain CG |"
    assert "| one | 1 | 0.000 [0.000, 0.975] | - |" in text and "| other | 2 | - | 1.500 ± 1.000 |" in text


def test_a_figure_that_no_study_has_was_not_measured(asked):
    text = calibrate.bounds_table([FIRST], {FIRST.name: pd.DataFrame({"sometimes": [1.0]})})
    assert "| the first, 2 seeds | 1 | coverage, task | - | 0.9 to 0.95 | not measured |" in text


def test_a_damaged_file_is_named_and_made_again(asked, tmp_path, capsys):
    asked(3, "another")
    (file,) = (tmp_path / "kept").glob("*.json")
    file.write_text(file.read_text().replace("0.91", "0.99"))
    asked(3, "another")
    assert COUNTED == [0, 1, 2] * 2
    assert f"{file}: its content has changed since it was written; its studies are simulated again" in (
        capsys.readouterr().out
    )


def test_figures_of_other_code_or_another_design_are_not_found(tmp_path, monkeypatch):
    kept = KeptFigures(tmp_path)
    kept.keep(FIRST, pd.DataFrame({"coverage": [0.9, np.nan]}))
    found = kept.read(FIRST)["coverage"].to_numpy()
    assert found[0] == 0.9 and np.isnan(found[1])
    assert kept.read(Scenario(FIRST.name, OTHER.design, count, draw=draw)).empty
    source = tmp_path / "sources"
    source.mkdir()
    (source / "changed.py").write_text("")
    monkeypatch.setattr(kept_figures, "_SOURCES", source)
    assert KeptFigures(tmp_path).read(FIRST).empty


def test_every_scenario_has_a_name_of_its_own():
    names = [scenario.name for scenario in calibrate.scenarios()]
    assert len(set(names)) == len(names) > 100
