"""Figures of simulated studies, kept by scenario, so that a calibration that was stopped continues where it was.

They count for the code that made them: a file's name has a digest of the scenario, of every module of `analysis`, and
of the versions of what it computes with; figures of other code are not found again.
"""

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import scipy

from aggregation_lab.storage.sealed_json import json_value, read_sealed, write_sealed
from analysis.validation.scenario import Scenario

_SOURCES = Path(__file__).parents[1]


class KeptFigures:
    """The figures in `folder`: a file for each scenario, a row for each of its first studies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        sources = (file.read_text(encoding="utf-8") for file in sorted(_SOURCES.rglob("*.py")))
        self._code = _digest(*sources, np.__version__, pd.__version__, scipy.__version__)

    def read(self, scenario: Scenario) -> pd.DataFrame:
        """One row for each study that was counted, from the first on; empty where there is none.

        A damaged file is named on the screen, and its studies count as missing.
        """
        file = self._file(scenario)
        if not file.is_file():
            return pd.DataFrame()
        try:
            return pd.DataFrame(read_sealed(file)["figures"], dtype=float)
        except (OSError, ValueError, KeyError) as error:
            print(f"{file}: {error}; its studies are simulated again", flush=True)
            return pd.DataFrame()

    def keep(self, scenario: Scenario, figures: pd.DataFrame) -> None:
        """Write the figures of the first studies of a scenario."""
        columns = {str(name): [json_value(value) for value in figures[name].tolist()] for name in figures}
        file = self._file(scenario)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_sealed(file, {"scenario": scenario.name, "figures": columns})

    def _file(self, scenario: Scenario) -> Path:
        words = re.sub(r"[^a-z0-9.]+", "-", scenario.name.lower()).strip("-")
        about = _digest(repr(scenario.design), scenario.count.__qualname__, scenario.draw.__qualname__, self._code)
        return self._folder / f"{words}-{about}.json"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
