"""The columns of a score table from elsewhere: capitals, blanks and dashes mean nothing, other names are mapped."""

import re
import shlex
from collections.abc import Mapping

import pandas as pd

from aggregation_lab.naming import closest, squashed
from analysis.external.names import metric_of_column
from analysis.external.sheet import Sheet, shown

NEEDED = ("task", "aggregation", "seed", "value")
OPTIONAL = ("metric", "direction", "fraction", "n_train", "type", "group", "case", "subject", "split", "arm")
_UNUSED = re.compile(r"run|unit|ncases|nundefined|unnamed\d*")
"""Other columns of a study's own table, and a table's index, squashed: an analysis does not need them."""

_OTHER_NAMES = {
    "task": ("taskid", "taskname", "dataset"),
    "aggregation": ("arm", "method", "model", "paradigm", "setting", "strategy", "approach", "training", "condition"),
    "seed": ("fold", "repeat", "repetition", "replicate", "trial", "run", "split"),
    "value": ("score", "result", "dice", "dsc", "auc", "iou", "mean", "performance", "metricvalue", "accuracy"),
}
"""Names that others give a column: suspected where the column is missing, never read unasked."""

_KNOWN = {squashed(name): name for name in (*NEEDED, *OPTIONAL)}


def is_known(name: str) -> bool:
    """Whether a header cell names a column that is used."""
    return squashed(name) in _KNOWN


def named_columns(sheet: Sheet, mapped: Mapping[str, str]) -> pd.DataFrame:
    """The cells under the names of this project; columns that are not used are noted.

    `mapped` gives for one of these names that of the file. Raises `ResultsError` where a column is missing, or where
    two columns have one name.
    """
    indices = {name: _mapped_index(sheet, name, theirs) for name, theirs in mapped.items()}
    taken = set(indices.values())
    for index, header in enumerate(sheet.header):
        name = _KNOWN.get(squashed(header))
        if name is None or index in taken or name in mapped:
            continue
        if name in indices:
            both = f"columns {indices[name] + 1} and {index + 1} are both called {name}"
            raise sheet.fail(f"{both}; keep one, or rename the other")
        indices[name] = index
    if "aggregation" not in indices:
        indices.pop("arm", None)  # what many call the aggregation, and no more than a guess
    free = [header for index, header in enumerate(sheet.header) if index not in indices.values() and header]
    missing = [name for name in NEEDED if name not in indices]
    if missing:
        raise sheet.fail(_missing(sheet, missing, free))
    unused = [header for header in free if not _UNUSED.fullmatch(squashed(header))]
    if unused:
        sheet.notes.append(f"Columns that are not used: {shown(unused)}.")
    cells = sheet.cells[list(indices.values())].set_axis(list(indices), axis=1)
    called = metric_of_column(sheet.header[indices["value"]])
    if called is None or "metric" in indices:
        return cells
    sheet.notes.append(f"Values are of {called}, as their column is called.")
    return cells.assign(metric=called)


def _mapped_index(sheet: Sheet, name: str, theirs: str) -> int:
    same = [index for index, header in enumerate(sheet.header) if header == theirs.strip()]
    same = same or [index for index, header in enumerate(sheet.header) if squashed(header) == squashed(theirs)]
    if len(same) != 1:
        count = "no column" if not same else f"{len(same)} columns"
        raise sheet.fail(f"--map {name}={shown([theirs])}: {count} of that name; it has {shown(sheet.header)}")
    return same[0]


def _missing(sheet: Sheet, missing: list[str], free: list[str]) -> str:
    spread = _spread(missing, free)
    if spread:
        return spread
    meant = {name: closest(name, free, _OTHER_NAMES.get(name, ())) for name in missing}
    how = [f"--map {name}={shlex.quote(shown([like])) if like else 'COLUMN'}" for name, like in meant.items()]
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
