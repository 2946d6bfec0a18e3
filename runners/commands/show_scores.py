"""`agglab scores`: the per-task table of every arm, with the plain network beside it where the study names one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aggregation_lab.aggregation import FOUND
from aggregation_lab.errors import NotWritableError, StudyError
from aggregation_lab.files import write_text
from aggregation_lab.naming import encoder_title
from aggregation_lab.storage.spreadsheet_csv import csv_text
from aggregation_lab.tasks import METRICS
from aggregation_lab.text import exact_per_cent, printable
from runners.commands.scoreboard import on_screen, scoreboard, summary
from runners.execution.groups import outdated_lines, unfound
from runners.execution.progress import say
from runners.planning.plan import PlannedRun
from runners.planning.study_schema import Study
from runners.store.collect import FinishedRun, finished_runs, gather, manifest
from runners.store.study_folder import StudyFolder


def show_scores(out: Path, metric: str | None, fraction: float | None, console: Console) -> int:
    """Collect what has finished, print the per-task table of each arm and fraction, write it as scoreboard.csv."""
    folder = StudyFolder(out)
    study, runs = folder.read_study(), folder.read_plan()
    if metric is not None and metric not in METRICS:
        raise StudyError(f"--metric {printable(metric)}: is unknown; it takes {', '.join(METRICS)}")
    own = {str(task.type): task.type for run in runs for task in run.spec.tasks}
    known = list(dict.fromkeys(["score", *(each.name for kind in own.values() for each in kind.metrics)]))
    if metric is not None and metric not in known:
        raise StudyError(f"--metric {metric}: no task of the study has it; it takes {', '.join(known)}")
    if fraction is not None and fraction not in study.fractions:
        raise StudyError(
            f"--fraction {fraction:g}: the study has {', '.join(f'{share:g}' for share in study.fractions)}"
        )
    finished, boards = finished_runs(folder, runs), []
    scores = gather(folder, finished, "scores")
    plain = _Reference.of(study, folder, finished, scores)
    compared = [name for name in study.variants if name != study.reference]
    for arm in compared:
        names = [name for name in study.aggregations if study.variants[arm].holds(name)]
        rows = scores[scores["arm"] == arm]
        if plain:
            rows = pd.concat([rows, plain.scores.assign(aggregation=plain.column)])
        of_arm = f", arm {arm}" if len(compared) > 1 else ""
        for share in study.fractions if fraction is None else [fraction]:
            shown = [*names, *([plain.column] if plain else [])]
            board = scoreboard(rows, shown, share, metric)
            part = "" if share == 1 else f", {exact_per_cent(share, '')} of the training data"
            title = f"{study.name}{of_arm}: test scores, mean ± sd over seeds{part}"
            console.print(on_screen(board, shown, title))
            say(console, summary(board, names, plain.column if plain else None))
            if plain:
                console.print(plain.beside(arm, share))
            boards.append(board.assign(fraction=share, arm=arm))
        for line in plain.notes[arm] if plain else ():
            say(console, f"note: {printable(line, 2000)}")
    for line in _about_found(folder, study, runs):
        say(console, f"note: {line}")
    file = out / "scoreboard.csv"
    written = f"written to {file}"
    try:
        write_text(file, csv_text(_for_machines(boards, plain, several=len(study.variants) > 1)))
    except NotWritableError as error:
        written = f"note: {error.fault}; what is shown is written nowhere"
    if len(finished) < len(runs):
        count = f"{len(finished)} of {len(runs)} runs have a result"
        say(console, f"{count}, the table lacks the others; see `agglab status`")
    say(console, written)
    return 0


def _about_found(folder: StudyFolder, study: Study, runs: Sequence[PlannedRun]) -> list[str]:
    """Why the column of the partition `found` is empty, or the same as another one, or outdated."""
    search = unfound(folder, study, runs, folder.runs.statuses(runs)) if study.seeks_found else None
    if search:
        return [f"{FOUND} has no scores yet: {search.reason}"]
    found = folder.find_found(study)
    same = found.about.get("same_as") if found else None
    shared = [f"{FOUND} is {same}: its runs, and so its scores, are the same"] if same else []
    return [*shared, *outdated_lines(folder, study, runs)]


def _for_machines(boards: Iterable[pd.DataFrame], plain: "_Reference | None", *, several: bool) -> pd.DataFrame:
    """The rows of all tables, those of the reference once, as TS of its arm; a column `arm` where there are several."""
    rows = pd.concat(boards)
    if plain:
        is_plain = rows["aggregation"] == plain.column
        rows = rows.assign(
            arm=rows["arm"].where(~is_plain, plain.arm), aggregation=rows["aggregation"].where(~is_plain, "TS")
        ).drop_duplicates(ignore_index=True)
    return rows if several else rows.drop(columns="arm")


@dataclass(frozen=True, eq=False)
class _Reference:
    """The plain network of a study: its arm, its scores, and for every other arm the frame `reference` with notes."""

    arm: str
    scores: pd.DataFrame
    frames: Mapping[str, pd.DataFrame]
    notes: Mapping[str, list[str]]

    @classmethod
    def of(
        cls, study: Study, folder: StudyFolder, finished: list[FinishedRun], scores: pd.DataFrame
    ) -> "_Reference | None":
        """None where the study has no reference."""
        if study.reference is None:
            return None
        from analysis.arms.reference import reference, weak_baselines
        from analysis.frames import frame
        from analysis.settings import Settings
        from analysis.study import StudyTables

        single = [run for run in finished if any(label.aggregation == "TS" for label in run.run.labels)]
        cases = gather(folder, single, "cases")
        about = manifest(folder, [result.run for result in finished], finished=len(finished))
        whole = StudyTables(about, scores[scores["split"] == "test"], cases[cases["split"] == "test"])
        frames, notes = {}, {}
        for name in whole.compared_arms:
            # without a finished run there is nothing to draw cases from
            frames[name] = reference(whole.of_arm(name), Settings()) if single else frame("reference", [])
            notes[name] = weak_baselines(whole.of_arm(name), frames[name])
        own = scores[(scores["arm"] == study.reference) & (scores["aggregation"] == "TS")]
        return cls(study.reference, own, frames, notes)

    @property
    def column(self) -> str:
        return f"{encoder_title(self.arm)}, TS"

    def beside(self, arm: str, share: float) -> Table:
        """TS minus the reference, by task."""
        from analysis.tables.cells import number
        from analysis.tables.order import by_task, records
        from analysis.tables.reference import difference

        name = encoder_title(self.arm)
        table = Table(title=f"TS minus {name}, unit-free score", title_justify="left")
        table.box, table.pad_edge = SIMPLE_HEAD, False
        for title in ("group", "task", "difference [95 %]", "margin", "seeds", "TS is"):
            table.add_column(title, justify="right" if title in ("difference [95 %]", "margin", "seeds") else "left")
        rows = self.frames[arm]
        for row in records(by_task(rows[rows["fraction"] == share])):
            verdict = f"weaker than {name} by more than the margin" if row["weak_base"] else ""
            cells = (difference(row), number(row["margin"]), str(row["seeds"]), verdict)
            table.add_row(*(Text(printable(str(cell))) for cell in (row["group"], row["task"], *cells)))
        return table
