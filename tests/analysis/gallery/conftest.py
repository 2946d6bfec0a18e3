"""A finished study with kept predictions of all four task types, made once."""

from pathlib import Path

import pytest

from analysis.pipeline import analyse
from analysis.result import Analysis
from analysis.settings import Settings
from analysis.study import load_study
from tests.made_predictions import make_predicted


@pytest.fixture(scope="session")
def predicted(tiny_original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder; tests must not change it."""
    return make_predicted(tmp_path_factory.mktemp("predicted"), tiny_original)


@pytest.fixture(scope="session")
def analysed(predicted: Path) -> Analysis:
    return analyse(load_study(predicted), Settings(draws=50))
