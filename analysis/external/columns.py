"""Which column of a foreign score table is which: capitals, blanks and dashes mean nothing, other names are mapped."""

import difflib
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from aggregation_lab.errors import ResultsError
from analysis.external.score_file import Sheet, shown

NEEDED = ("task", "aggregation", "seed", "value")
OPTIONAL = ("metric", "direction", "fraction", "n_train", "type", "group", "case", "subject", "split")
_OWN = frozenset({"run", "unit", "n_cases", "n_undefined"})
"""Other columns of a study's own table, which an analysis does not need."""

_OTHER_NAMES = {
    "task": ("taskid", "taskname", "dataset"),
    "aggregation": ("arm", "method", "model", "paradigm", "setting", "strategy", "approach", "training", "condition"),
    "seed": ("fold", "repeat", "repetition", "replicate", "trial", "run", "split"),
    "value": ("score", "result", "dice", "dsc", "auc", "iou", "mean", "performance", "metricvalue", "accuracy"),
}
"""Names that others give a column: suspected where the column is missing, never read unasked."""


def squashed(name: str) -> str:
    """A column name without what programs change in it."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[\W_]+", "", folded)


_KNOWN = {squashed(name): name for name in (*NEEDED, *OPTIONAL)}


def is_known(name: str) -> bool:
    """Whether a header cell names a column that is used."""
    return squashed(name) in _KNOWN


def named_columns(
    sheet: Sheet, mapped: Mapping[str, str], path: Path, *, needed: tuple[str, ...] = NEEDED
) -> tuple[pd.DataFrame, list[str]]:
    """The cells under the names of this project, and a note on columns that are not used.

    `mapped` gives for one of these names that of the file. Raises `ResultsError` where a column is missing, or where
    two columns have one name.
    """
    places = _mapped_places(sheet, mapped, path)
    taken = set(places.values())
    for place, header in enumerate(sheet.header):
        name = _KNOWN.get(squashed(header))
        if name is None or place in taken or name in mapped:
            continue
        if name in places:
            both = f"columns {places[name] + 1} and {place + 1} are both called {name}"
            raise ResultsError(f"{path}: {both}; keep one, or rename the other")
        places[name] = place
    missing = [name for name in needed if name not in places]
    if missing:
        raise ResultsError(f"{path}: {_missing(sheet, missing, places)}")
    unused = [
        header
        for place, header in enumerate(sheet.header)
        if place not in places.values() and header and squashed(header) not in map(squashed, _OWN)
    ]
    unused = [name for name in unused if not re.fullmatch(r"unnamed\d*", squashed(name))]
    notes = [f"Columns that are not used: {shown(unused)}."] if unused else []
    cells = sheet.cells[list(places.values())].set_axis(list(places), axis=1)
    return cells, notes


def _mapped_places(sheet: Sheet, mapped: Mapping[str, str], path: Path) -> dict[str, int]:
    places = {}
    for name, theirs in mapped.items():
        same = [place for place, header in enumerate(sheet.header) if header == theirs.strip()]
        same = same or [place for place, header in enumerate(sheet.header) if squashed(header) == squashed(theirs)]
        if len(same) != 1:
            found = "no column" if not same else f"{len(same)} columns"
            raise ResultsError(
                f"{path}: --map {name}={shown([theirs])}: {found} of that name; it has {shown(sheet.header)}"
            )
        places[name] = same[0]
    return places


def _missing(sheet: Sheet, missing: list[str], places: Mapping[str, int]) -> str:
    free = [header for place, header in enumerate(sheet.header) if place not in places.values() and header]
    spread = _spread(missing, free)
    if spread:
        return spread
    how = []
    for name in missing:
        like = next((header for header in free if squashed(header) in _OTHER_NAMES.get(name, ())), None)
        close = difflib.get_close_matches(name, [squashed(header) for header in free], n=1, cutoff=0.75)
        like = like or next((header for header in free if close and squashed(header) == close[0]), None)
        how.append(f"--map {name}={shown([like]) if like else 'COLUMN'}")
    return (
        f"misses column {', '.join(missing)}; needed are {', '.join(NEEDED)}, used if there {', '.join(OPTIONAL)}; "
        f"it has {shown(sheet.header)}; if one of these is meant, say so: {' '.join(how)}"
    )


def _spread(missing: list[str], free: list[str]) -> str:
    """What to do with a table that has a column for every arm or seed; "" where it is none."""
    arms = [header for header in free if header.strip().upper() in ("TS", "CG", "AU")]
    runs = [header for header in free if re.fullmatch(r"(seed|fold|run|rep)?\d+", squashed(header))]
    for name, columns in (("aggregation", arms), ("seed", runs)):
        if "value" in missing and name in missing and len(columns) > 1:
            melt = f"pandas: table.melt(id_vars=[the others], var_name='{name}', value_name='value')"
            return (
                f"has a column for each {name} ({shown(columns)}); write a row for each, with {name} and value ({melt})"
            )
    return ""
