"""THE CONTRACT: the tidy tables that a study leaves behind and that `analysis` reads.

Five tables, each a Parquet file. `scores` and `cases` are what an analysis needs; `runs`, `curves` and `routing` say
how far a score can be trusted. A sixth, `affinity`, is there where a study recorded it. Any trainer that writes
`scores` (and, for resampling, `cases`) in this schema can use the analysis layer. Importing this module imports neither
torch nor the rest of the package's data code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aggregation_lab.errors import ResultsError
from aggregation_lab.files import read_bytes, write_atomic
from aggregation_lab.storage.sealed_parquet import parsed, sealed

SCHEMA_VERSION = 3
"""Raised with every column that is added: that column is `since` this version."""

ONLY_ARM = "main"
"""The arm of a study that names none."""

SEEDLESS = -1
"""`seed` of rows that no training produced: those of the aggregation `floor`."""


@dataclass(frozen=True)
class Column:
    """`since` is the first schema that has the column, `before` what it holds in tables of an earlier one, None where
    nothing is known (and the column `nullable`)."""

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = False
    since: int = 1
    before: object = None


@dataclass(frozen=True)
class Table:
    """A table's columns and the columns that identify a row."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @cached_property
    def schema(self) -> pa.Schema:
        fields = [
            pa.field(column.name, column.type, column.nullable, {"meaning": column.meaning}) for column in self.columns
        ]
        return pa.schema(fields, {"agglab_table": self.name, "agglab_schema": str(SCHEMA_VERSION)})

    def without(self, *names: str) -> "Table":
        """The same table lacking some columns: a run is written before its aggregations are known."""
        return Table(
            self.name,
            tuple(column for column in self.columns if column.name not in names),
            tuple(name for name in self.key if name not in names),
        )


TEXT, INT, FLOAT, FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()

_RUN = (
    Column("run", TEXT, "identity of the run: hash of everything that defines its result"),
    Column(
        "arm",
        TEXT,
        "variant of model and training, as the study names it; main where it names none",
        since=2,
        before=ONLY_ARM,
    ),
    Column("aggregation", TEXT, "TS, CG, AU, floor, or a partition of the user's"),
    Column("unit", TEXT, "unit of the aggregation the run trained"),
)
_TASK = (
    Column("task", TEXT, "task id"),
    Column("type", TEXT, "segmentation, classification, detection or regression"),
    Column("group", TEXT, "clinical group"),
)
_DESIGN = (
    Column("fraction", FLOAT, "share of the training components used, in (0, 1]"),
    Column("seed", INT, "seed of the run; -1 for the floor"),
)

SCORES = Table(
    "scores",
    (
        *_RUN,
        *_TASK,
        *_DESIGN,
        Column("n_train", INT, "training cases of this task at this fraction"),
        Column("split", TEXT, "val or test"),
        Column("metric", TEXT, "name in aggregation_lab.tasks.METRICS"),
        Column("direction", TEXT, "higher or lower is better"),
        Column("value", FLOAT, "the score; missing where it is undefined", nullable=True),
        Column("n_cases", INT, "cases the score was computed from"),
        Column("n_undefined", INT, "terms left out because undefined: classes absent from the split"),
    ),
    key=("arm", "aggregation", "task", "fraction", "seed", "split", "metric"),
)

CASES = Table(
    "cases",
    (
        *_RUN,
        *_TASK,
        *_DESIGN,
        Column("split", TEXT, "val or test"),
        Column("case", TEXT, "case id in the case table"),
        Column("subject", TEXT, "patient, video or image the case comes from: the unit of resampling"),
        Column("quantity", TEXT, "name in aggregation_lab.metrics.QUANTITIES"),
        Column("index", INT, "class or point the quantity belongs to; 0 where there is one"),
        Column("value", FLOAT, "the quantity"),
    ),
    key=("arm", "aggregation", "task", "fraction", "seed", "split", "case", "quantity", "index"),
)

RUNS = Table(
    "runs",
    (
        *_RUN,
        Column("tasks", TEXT, "task ids of the unit, joined by +"),
        *_DESIGN,
        Column("steps", INT, "optimiser steps"),
        Column("images_seen", INT, "training images seen, repeats counted"),
        Column("passes", FLOAT, "images seen over training images"),
        Column("flops", FLOAT, "counted floating point operations of training, forward and backward"),
        Column(
            "start",
            TEXT,
            "run whose weights this one started from: the first stage of AU>TS; empty without one",
            since=3,
            before="",
        ),
        Column(
            "passes_before",
            FLOAT,
            "passes of the first stage over the same images; 0 without one, missing where its run has no result",
            nullable=True,
            since=3,
            before=0.0,
        ),
        Column(
            "flops_before",
            FLOAT,
            "operations of the first stage, by the share of its images that were of these tasks; 0 or missing alike",
            nullable=True,
            since=3,
            before=0.0,
        ),
        Column("parameters", INT, "trainable parameters"),
        Column("seconds", FLOAT, "wall seconds of the run, scoring included"),
        Column("train_seconds", FLOAT, "wall seconds of the training steps"),
        Column("peak_memory", FLOAT, "peak memory in bytes: of the device on an accelerator, of the process else"),
        Column("converged", FLAG, "no task was still improving on validation at the end"),
        Column("device", TEXT, "device the run was trained on"),
        Column("precision", TEXT, "fp32 or bf16"),
        Column("versions", TEXT, "versions of python, agglab and libraries, and the commit if known"),
        Column("started", TEXT, "start in UTC, ISO 8601"),
        Column("resumes", INT, "times the run was continued from a checkpoint"),
    ),
    key=("run", "arm", "aggregation"),
)

CURVES = Table(
    "curves",
    (
        *_RUN,
        *_TASK,
        *_DESIGN,
        Column("step", INT, "optimiser steps done"),
        Column("images_seen", INT, "training images of the unit seen so far"),
        Column("loss", FLOAT, "training loss of the task, mean since the last row", nullable=True),
        Column("score", FLOAT, "unit-free score on the validation cases", nullable=True),
        Column(
            "still_improving", FLAG, "the score was still rising at the end of the run, or where its cooldown began"
        ),
    ),
    key=("arm", "aggregation", "task", "fraction", "seed", "step"),
)

ROUTING = Table(
    "routing",
    (
        *_RUN,
        *_TASK,
        *_DESIGN,
        Column("block", INT, "transformer block, counted from 0"),
        Column("expert", INT, "expert, counted from 0"),
        Column("share", FLOAT, "mean gate weight over all tokens of the task's test cases"),
    ),
    key=("arm", "aggregation", "task", "fraction", "seed", "block", "expert"),
)

TABLES = {table.name: table for table in (SCORES, CASES, RUNS, CURVES, ROUTING)}


@dataclass(frozen=True)
class Signal:
    """What a signal is, in full and in the words of a colour bar. `signed`: zero stands in the middle of its values;
    `is_distance`: small values are of tasks that are alike."""

    meaning: str
    short: str
    signed: bool = False
    is_distance: bool = False


SIGNALS = {
    "lookahead": Signal(
        "relative fall of the loss of task_j after a step on task_i alone: 1 - after / before",
        "relative fall of the loss after a step",
        signed=True,
    ),
    "gradient_cosine": Signal(
        "cosine of the gradients of both tasks' losses, each on images of its own",
        "cosine of gradients, each task on its own images",
        signed=True,
    ),
    "probe_gradient_cosine": Signal(
        "cosine of the gradients of both heads' entropy on the same images, without labels",
        "cosine of gradients on the same images, without labels",
        signed=True,
    ),
    "gradient_gramian": Signal(
        "inner product of the gradients of `gradient_cosine`", "inner product of gradients", signed=True
    ),
    "feature_cka": Signal("linear CKA of what both heads read of the same images", "linear CKA of features"),
    "routing_similarity": Signal(
        "cosine of the mean gates of all experts, each task on images of its own", "cosine of expert gates"
    ),
    "image_divergence": Signal(
        "energy distance of both tasks' training images, before any training; 0 for alike",
        "energy distance of images (small: alike)",
        is_distance=True,
    ),
}
"""Signals of the table `affinity`; of these that a study has, the first is drawn. The only one with a direction is
`lookahead`."""

AFFINITY = Table(
    "affinity",
    (
        *_RUN,
        *_DESIGN,
        Column("moment", INT, "moment of recording, counted from 0"),
        Column("step", INT, "optimiser steps done"),
        Column("signal", TEXT, "name in aggregation_lab.results.SIGNALS"),
        Column("task_i", TEXT, "task id; with a direction, the one that a step is made on"),
        Column("task_j", TEXT, "other task id; with a direction, the one that the effect is on"),
        Column("value", FLOAT, "the signal; a pair without a defined value has no row"),
    ),
    key=("arm", "aggregation", "fraction", "seed", "moment", "signal", "task_i", "task_j"),
)

OPTIONAL_TABLES = {table.name: table for table in (AFFINITY,)}
"""Tables that a study has where it asked for them."""

STUDY_LABELS = ("arm", "aggregation", "unit", "group", "start", "passes_before", "flops_before")
"""Columns that a study adds: a run knows neither its arms and aggregations nor the study's clinical groups, nor what
another run has cost."""

RUN_TABLES = {name: table.without(*STUDY_LABELS) for name, table in TABLES.items()}
"""The tables as a run writes them into its folder."""

OPTIONAL_RUN_TABLES = {name: table.without(*STUDY_LABELS) for name, table in OPTIONAL_TABLES.items()}


def find_table(name: str) -> tuple[Table, Table]:
    """The table of that name, optional or not, as a study has it and as a run writes it."""
    if name in OPTIONAL_TABLES:
        return OPTIONAL_TABLES[name], OPTIONAL_RUN_TABLES[name]
    return TABLES[name], RUN_TABLES[name]


def validate(frame: pd.DataFrame, table: Table, source: str = "") -> pa.Table:
    """The frame as an Arrow table of exactly `table.schema`.

    Raises `ResultsError` naming the source, the column and, where there is one, the row: a missing or unknown
    column, a value of the wrong type, an empty cell where none may be, or two rows with the same key.
    """
    where = source or f"{table.name} table"
    names = [column.name for column in table.columns]
    missing = [name for name in names if name not in frame.columns]
    unknown = [str(name) for name in frame.columns if name not in names]
    if missing or unknown:
        parts = [f"misses column {', '.join(missing)}"] if missing else []
        parts += [f"has unknown column {', '.join(unknown)}"] if unknown else []
        raise ResultsError(f"{where}: {' and '.join(parts)}; a {table.name} table has {', '.join(names)}")
    arrays = []
    for column in table.columns:
        try:
            array = pa.Array.from_pandas(frame[column.name], type=column.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ResultsError(f"{where}: column {column.name} must be {column.type}: {error}") from error
        if array.null_count and not column.nullable:
            row = array.is_null().index(True).as_py()
            raise ResultsError(f"{where}: column {column.name} is empty in row {row}; it must be filled in every row")
        arrays.append(array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array)
    repeated = _repeated(frame, table.key)
    if repeated.any():
        row = frame[list(table.key)].iloc[int(repeated.to_numpy().argmax())].to_dict()
        raise ResultsError(
            f"{where}: {int(repeated.sum())} repeated row(s), first {row}; {', '.join(table.key)} identify a row"
        )
    return pa.Table.from_arrays(arrays, schema=table.schema)


def _repeated(frame: pd.DataFrame, key: Sequence[str]) -> pd.Series:
    """Rows whose key occurs in an earlier row.

    Rows in the order of their key, as `append` leaves them, are compared with their neighbours, which is much faster.
    """
    if len(frame) < 2:
        return pd.Series(False, frame.index)
    tied = np.ones(len(frame) - 1, bool)
    for name in key:
        column = pa.array(frame[name])
        before, after = column.slice(0, len(tied)), column.slice(1)
        equal = pc.equal(before, after).to_numpy(zero_copy_only=False)
        if (tied & ~equal & ~pc.less(before, after).to_numpy(zero_copy_only=False)).any():
            return frame.duplicated(list(key))  # not in order
        tied &= equal
    return pd.Series(np.concatenate([[False], tied]), frame.index)


def write_table(frame: pd.DataFrame, table: Table, path: Path, label: str = "") -> None:
    """Validate and write atomically as Parquet, with the digest of its content and a label that says what it was made
    from. Raises `ResultsError`."""
    arrow = sealed(validate(frame, table, str(path)), label)
    write_atomic(path, lambda stream: pq.write_table(arrow, stream, compression="snappy"))


def read_table(path: Path, table: Table, label: str | None = None) -> pd.DataFrame:
    """Read and validate one Parquet table; with `label`, only what `write_table` has written with it.

    A table of an earlier schema gets the columns that it lacks. Raises `ResultsError` where the file is missing,
    unreadable, of another table or of another schema version, or where its content is not what was written.
    """
    try:
        content = read_bytes(path)
    except FileNotFoundError as error:
        raise ResultsError(f"{path}: does not exist; run the study first") from error
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror or error}); make it readable") from error
    try:
        arrow = parsed(content, label)
    except ValueError as error:
        raise ResultsError(f"{path}: {error}; delete it and collect again") from error
    metadata = {key.decode(): value.decode() for key, value in (arrow.schema.metadata or {}).items()}
    if metadata.get("agglab_table", table.name) != table.name:
        raise ResultsError(f"{path}: holds the table {metadata['agglab_table']}, not {table.name}")
    version = metadata.get("agglab_schema", str(SCHEMA_VERSION))
    readable = [str(number) for number in range(1, SCHEMA_VERSION + 1)]
    if version not in readable:
        raise ResultsError(
            f"{path}: has schema {version}, this version reads {', '.join(readable[:-1])} and {readable[-1]}; "
            "collect the study again"
        )
    frame = arrow.to_pandas()
    for place, column in enumerate(table.columns):
        if column.since > int(version) and column.name not in frame:
            held = pa.array([column.before] * len(frame), column.type).to_pandas()
            frame.insert(min(place, frame.shape[1]), column.name, held)
    validate(frame, table, str(path))
    return frame


def append(frames: Sequence[pd.DataFrame], table: Table) -> pd.DataFrame:
    """Rows of several frames of one table, in the order of its key, as one validated frame.

    Rows that are given twice identically count once; two different rows with the same key raise `ResultsError`.
    """
    columns = [column.name for column in table.columns]
    filled = [frame[columns] for frame in frames if len(frame)]
    empty = pd.DataFrame({column.name: pd.Series(dtype=column.type.to_pandas_dtype()) for column in table.columns})
    frame = pd.concat(filled, ignore_index=True) if filled else empty
    frame = frame.sort_values(list(table.key), ignore_index=True)
    if _repeated(frame, table.key).any():
        frame = frame.drop_duplicates(ignore_index=True)
    validate(frame, table)
    return frame
