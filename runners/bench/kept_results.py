"""One file for each result of a long comparison, so that one that was killed continues where it was."""

from pathlib import Path
from typing import Any

from aggregation_lab.files import sweep
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from aggregation_lab.training.recording import versions


def read_result(file: Path) -> dict[str, Any] | None:
    """The result in `file`; None where it is not there, or is damaged, which is said."""
    sweep(file.parent, [file.name])
    if file.is_file():
        try:
            return read_sealed(file)
        except (OSError, ValueError) as error:
            print(f"{file}: {error}; it is made again", flush=True)
    return None


def keep_result(file: Path, made: dict[str, Any]) -> dict[str, Any]:
    """Write what was made into `file`, with the versions that made it; returns what `read_result` will."""
    result = {**made, "versions": versions()}
    write_sealed(file, result)
    return result
