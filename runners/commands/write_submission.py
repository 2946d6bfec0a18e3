"""What `agglab submit` does: whose model answers which task, the files, and a receipt beside them."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from aggregation_lab.errors import AgglabError, ResultsError
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from aggregation_lab.text import printable
from aggregation_lab.version import __version__
from runners.commands.use_models import heard, open_model
from runners.console.terminal import print_json
from runners.execution.progress import preparation, say
from runners.planning.user_paths import absolute_path, output_path
from runners.store.kept_models import Choice, choose_models


def submit_to_challenge(
    sources: Sequence[Path],
    val: Path,
    out: Path,
    aggregation: str | None,
    device: str | None,
    console: Console,
    *,
    some: bool,
    as_json: bool,
) -> int:
    """Write the submission into `out` and its receipt beside it. Raises `AgglabError` where a task has no model."""
    from aggregation_lab.inference.submission import write_submission
    from aggregation_lab.inference.val_rows import read_val_rows

    folder = output_path(out)
    rows = read_val_rows(absolute_path(val, "VAL"))
    tasks = list(dict.fromkeys(row.task for row in rows))
    given = [absolute_path(source, "RUN_OR_STUDY") for source in sources]
    choices = choose_models(given, tasks, aggregation)
    missing = [task for task in tasks if task not in choices]
    if missing:
        names = ", ".join(printable(task, 60) for task in missing)
        if not some or len(missing) == len(tasks):
            raise ResultsError(f"no model for {names}; give runs that have one, or leave their rows out with --partial")
        count = sum(row.task in missing for row in rows)
        say(heard(console), f"warning  {count} rows are left out, no model for {names}")
    answered = [row for row in rows if row.task in choices]
    used = {task: choices[task] for task in tasks if task in choices}
    counts = {task: sum(row.task == task for row in answered) for task in used}
    console.print(_table(used, counts))
    models = {task: partial(open_model, choice.folder, task, None, device, console) for task, choice in used.items()}
    receipt: dict[str, Any] = {
        "models": {task: {**asdict(choice), "folder": choice.folder.name} for task, choice in used.items()},
        "rows": len(answered),
        "left_out": {task: sum(row.task == task for row in rows) for task in missing},
        "agglab": __version__,
    }
    file = folder.with_name(f"{folder.name}.json")
    _check_receipt(file, receipt)

    def whole(files: dict[str, str]) -> None:
        receipt["files"] = files
        write_sealed(file, receipt)

    write_submission(answered, models, folder, preparation(console), whole)
    count = len(receipt["files"])
    say(console, f"{folder}: {len(answered)} rows of {len(used)} tasks, each answered once, in {count} files")
    if as_json:
        print_json({"folder": str(folder), **receipt})
    return 0


def _check_receipt(file: Path, receipt: dict[str, Any]) -> None:
    """Raise `AgglabError` where the receipt would replace another file than that of the same submission, whose writing
    was stopped before its folder got its name."""
    if not os.path.lexists(file):
        return
    try:
        found = read_sealed(file)
    except (OSError, ValueError):
        found = {}
    if {**found, "files": None} != {**json.loads(json.dumps(receipt)), "files": None}:
        raise AgglabError(f"{file}: is there already, and the receipt goes there; choose another --out, or move it")


def _table(used: dict[str, Choice], counts: dict[str, int]) -> Table:
    table = Table(box=None)
    for title in ("task", "rows", "model", "validation score", "seeds", "run"):
        table.add_column(title)
    for task, choice in used.items():
        score = "" if choice.score is None else f"{choice.score:.3f}"
        seeds = "" if choice.score is None else str(choice.seeds)
        table.add_row(task, str(counts[task]), choice.label, score, seeds, choice.folder.name)
    return table
