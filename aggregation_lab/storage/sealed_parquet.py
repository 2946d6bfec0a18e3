"""Parquet files with a digest of the table's content in their metadata, so that damage is noticed.

Parquet's checksums of pages are not read by default, and its metadata have none.
"""

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aggregation_lab.files import read_bytes, write_atomic

DIGEST = b"agglab_digest"
LABEL = b"agglab_label"


def content_digest(table: pa.Table) -> str:
    """SHA-256 of names, types and values; how they are laid out in memory or on disk does not enter."""
    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = str(column.type).replace("<element: ", "<item: ")  # Parquet has another name for a list's items
        digest.update(f"{name} {kind} {len(column)}".encode())
        _feed(digest, pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type))
    return digest.hexdigest()


def _feed(digest: "hashlib._Hash", values: pa.Array) -> None:
    digest.update(np.packbits(values.is_valid().to_numpy(zero_copy_only=False)).tobytes())
    kind = values.type
    if pa.types.is_null(kind):
        return
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        digest.update(
            pc.list_value_length(values).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64).tobytes()
        )
        _feed(digest, values.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind):
        wide = pa.large_string() if pa.types.is_string(kind) or pa.types.is_large_string(kind) else pa.large_binary()
        text = values.fill_null("" if wide == pa.large_string() else b"").cast(wide)
        _, offsets, data = text.buffers()
        if len(text) and offsets is not None:
            bounds = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
            digest.update(np.diff(bounds).tobytes())
            if data is not None:
                digest.update(memoryview(data)[bounds[0] : bounds[-1]])
    else:
        filled = values.fill_null(False if pa.types.is_boolean(kind) else 0)
        digest.update(filled.to_numpy(zero_copy_only=False).tobytes())


def sealed(table: pa.Table, label: str = "") -> pa.Table:
    """The same table with its digest and a label, which says what it was made from, in the metadata."""
    seal = {LABEL: label, DIGEST: content_digest(table)}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **seal})


def fault(table: pa.Table, label: str | None = None) -> str:
    """Why the content is not what was sealed with that label; "" where it is.

    Without a label to ask for, a table that has no digest because it is from elsewhere is taken as it is.
    """
    metadata = table.schema.metadata or {}
    if DIGEST not in metadata:
        return "" if label is None else "lacks its digest"
    if metadata[DIGEST].decode(errors="replace") != content_digest(table):
        return "is damaged, its content is not what was written"
    other = label is not None and metadata.get(LABEL, b"").decode(errors="replace") != label
    return "was made from something else" if other else ""


def write_frame(path: Path, frame: pd.DataFrame, label: str = "") -> None:
    """Write a sealed Parquet file, atomically."""
    table = sealed(pa.Table.from_pandas(frame, preserve_index=False), label)
    write_atomic(path, lambda stream: pq.write_table(table, stream))


def read_frame(path: Path, label: str = "") -> pd.DataFrame:
    """What `write_frame` wrote with that label. Raises `OSError`, and `ValueError` for anything else or damaged."""
    return parsed(read_bytes(path), label).to_pandas()


def remembered_frame(path: Path | None, label: str) -> pd.DataFrame | None:
    """What an earlier call wrote with that label; None where it is absent, damaged or was made from something else."""
    if path is None or not path.is_file():
        return None
    try:
        return read_frame(path, label)
    except (OSError, ValueError):
        return None


def parsed(content: bytes, label: str | None = None) -> pa.Table:
    """The table in the bytes of a Parquet file. Raises `ValueError` where `fault` reports one."""
    try:
        table = pq.read_table(BytesIO(content))
        reason = fault(table, label)
    except Exception as error:  # a damaged file fails in many ways
        raise ValueError(f"is not a readable Parquet file ({' '.join(str(error).splitlines())})") from error
    if reason:
        raise ValueError(reason)
    return table
