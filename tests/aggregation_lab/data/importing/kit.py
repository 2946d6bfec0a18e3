"""Running `agglab import` and `agglab validate` as the command line does, and reading back what was written."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from aggregation_lab.data.challenge import Dataset, read_dataset
from runners.cli import main


def agglab(capsys, *arguments: object) -> tuple[int, str]:
    """Exit code and all that a command prints, run in this process."""
    capsys.readouterr()
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def imported(capsys, form: str, source: Path, out: Path, *options: object) -> str:
    """What an import prints that has to succeed, its folder found usable by `agglab validate`."""
    code, text = agglab(capsys, "import", form, source, out, *options)
    assert code == 0, text
    valid, found = agglab(capsys, "validate", out)
    assert valid == 0, found
    return text


def refused(capsys, *arguments: object) -> str:
    """The one line of a command that has to fail without a traceback."""
    code, text = agglab(capsys, *arguments)
    lines = [line for line in text.splitlines() if line.startswith("agglab: ")]
    assert code in (1, 2) and len(lines) == 1 and "Traceback" not in text, text
    return lines[0]


def pixels_of(dataset: Dataset, case: Any) -> np.ndarray:
    with Image.open(dataset.root / case.image) as image:
        return np.asarray(image)


def mask_of(dataset: Dataset, case: Any) -> np.ndarray:
    with Image.open(dataset.root / case.mask) as image:
        return np.asarray(image)


def read(out: Path, task: str | None = None) -> tuple[Dataset, pd.DataFrame]:
    """The data set in OUT, and the cases of a task, or of all."""
    dataset = read_dataset(out)
    return dataset, dataset.cases if task is None else dataset.cases[dataset.cases["task"] == task]
