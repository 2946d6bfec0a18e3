"""The finished study with kept predictions, analysed once."""

from pathlib import Path

import pytest

from analysis.pipeline import analyse
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.study import load_study


@pytest.fixture(scope="session")
def analysed(predicted: Path) -> Analysis:
    return analyse(load_study(predicted), Settings(draws=50))
