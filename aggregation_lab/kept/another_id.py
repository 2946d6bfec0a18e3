"""The result of a finished run as that of another one, which would be the same but for its id."""

from pathlib import Path
from typing import Any

from aggregation_lab import results
from aggregation_lab.errors import ResultsError
from aggregation_lab.files import file_digest, write_bytes
from aggregation_lab.kept.digests import KEPT, check_digest, read_kept
from aggregation_lab.kept.model_files import read_description, read_weights, write_description, write_weights
from aggregation_lab.kept.predictions import relabelled
from aggregation_lab.run import DONE, MODEL, PREDICTIONS, RunSpec, weights_file
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed


def write_as(spec: RunSpec, source: Path, folder: Path) -> None:
    """Write what the finished run in `source` has left into `folder` as the result of `spec`, `done.json` last.

    Every file gets the id of `spec` in place of the other one, and is what training anew would have written. Raises
    `ResultsError` naming a file that is gone or not what the run wrote, and `AgglabError` where one cannot be written.
    """
    try:
        done = read_sealed(source / DONE)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{source / DONE}: cannot be used ({error})") from error
    digests = {name: _table_as(spec, source, folder, name, digest) for name, digest in done.get("digests", {}).items()}
    kept = {name: _kept_as(spec, source, folder, name) for name in done.get(KEPT, {})}
    changed: dict[str, Any] = {"run": spec.id, "digests": digests, "taken_over": done["run"]}
    write_sealed(folder / DONE, {**done, **changed, **({KEPT: kept} if kept else {})})


def _table_as(spec: RunSpec, source: Path, folder: Path, name: str, digest: str) -> str:
    file, (_, table) = f"{name}.parquet", results.find_table(name)
    check_digest(source / file, digest)
    frame = results.read_table(source / file, table)
    results.write_table(frame.assign(run=spec.id), table, folder / file)
    return file_digest(folder / file)


def _kept_as(spec: RunSpec, source: Path, folder: Path, name: str) -> str:
    kinds = {weights_file(kind): kind for kind in ("last", "best")}
    if name in kinds:
        write_weights(folder, kinds[name], read_weights(source, kinds[name]), spec.id)
    elif name == MODEL:
        write_description(folder, {**read_description(source), "run": spec.id, "spec": spec.to_json()})
    elif name == PREDICTIONS:
        write_bytes(folder / name, relabelled(read_kept(source, name), spec.id))
    else:
        write_bytes(folder / name, read_kept(source, name))
    return file_digest(folder / name)
