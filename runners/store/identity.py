"""study.json: what an output folder belongs to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aggregation_lab.errors import StudyError
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from runners.planning.study_file import parse_study
from runners.planning.study_schema import Study

FORMAT = 1
"""Number of the form of study.json."""
_ORDERED = {"aggregations", "arms"}
"""Fields of a study whose entries have an order."""


@dataclass(frozen=True)
class Identity:
    """What an output folder belongs to; the digests are None until they are known."""

    study: Study
    dataset: str | None = None
    split: str | None = None

    def write(self, file: Path) -> None:
        settings = self.study.model_dump(mode="json")
        # Lists, because JSON objects are written with sorted keys and the order of these is the reader's.
        for ordered in _ORDERED & settings.keys():
            settings[ordered] = [{name: entry} for name, entry in settings[ordered].items()]
        write_sealed(file, {"format": FORMAT, "study": settings, "dataset": self.dataset, "split": self.split})


def read_identity(file: Path) -> Identity | None:
    """The content of `file`; None where it is not there. Raises `StudyError` where it is damaged or foreign."""
    damaged = f"{file}: was not written by agglab, or is damaged"
    try:
        value = read_sealed(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StudyError(f"{file}: cannot be read ({error.strerror}); choose another folder") from error
    except ValueError as error:
        raise StudyError(f"{damaged} ({error}); restore it, or choose another folder") from error
    digests = value.get("dataset"), value.get("split")
    typed = all(isinstance(digest, str | None) for digest in digests)
    if not typed or value.keys() != {"format", "study", "dataset", "split"}:
        raise StudyError(f"{damaged}; choose another folder")
    if value["format"] != FORMAT:
        raise StudyError(
            f"{file}: has format {value['format']}, this agglab reads {FORMAT}; choose another folder, "
            "or use the agglab that made it"
        )
    try:
        study = parse_study(_with_arms_by_name(value["study"]), str(file))
    except StudyError as error:
        first = str(error).splitlines()[0]
        raise StudyError(f"{first}; its settings are not valid in this agglab, choose another folder") from error
    return Identity(study, *digests)


def _with_arms_by_name(settings: Any) -> Any:
    """The settings as a study file has them, which lists no arms."""
    arms = settings.get("arms") if isinstance(settings, dict) else None
    return {**settings, "arms": {name: arm for entry in arms for name, arm in entry.items()}} if arms else settings
