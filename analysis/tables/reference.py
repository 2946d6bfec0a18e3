"""The table of TS beside the plain network that a study has as its reference."""

import pandas as pd

from analysis.named_frames import NamedFrames
from analysis.tables.cells import MISSING, decimals, limits, number, of_data, with_unit
from analysis.tables.order import at_full, by_task
from analysis.tables.paper import Column, PaperTable, Row, build, plain
from analysis.tables.tasks import metric_title


def reference_table(analysis: NamedFrames) -> PaperTable:
    """TS beside the plain network, by task at full data: metrics, their difference paired by seed, the margin."""
    raw = analysis.frames["reference"]
    rows = by_task(at_full(raw))
    name = rows["reference"].iloc[0]
    columns = [
        *plain(str, "task", "group"),
        Column("metric", metric_title, "metric"),
        Column(f"{name}, TS", lambda row: _mean(row, "mean", "sd"), "mean"),
        Column("TS", lambda row: _mean(row, "base_mean", "base_sd"), "base_mean"),
        Column(f"TS minus {name} [95%]", difference, "difference"),
        *plain(number, "margin"),
        Column("TS is", lambda row: "weak" if row["weak_base"] else MISSING, "weak_base"),
    ]
    note = (
        f"{name} is trained TS as a reference and enters no gain, finding or advice. Metrics: mean ± sd over seeds, "
        f"{of_data(rows['fraction'].iloc[0])}. TS minus: unit-free score over the seeds of both, positive where TS is "
        f"better; no interval where nothing repeats it. weak: {name} is better by more than the margin, so gains of "
        "joint models are gains over a weak baseline."
    )
    return build("reference", f"TS beside {name}", rows, columns, note=note, raw=raw)


def _mean(row: Row, mean: str, sd: str) -> str:
    digits = decimals(row["unit"])
    return number(row[mean], digits) + ("" if pd.isna(row[sd]) else f" ± {number(row[sd], digits)}")


def difference(row: Row) -> str:
    """TS minus the plain network with its interval, and its unit where it has one."""
    unit = row["difference_unit"]
    return with_unit(limits(row, "difference", digits=decimals(unit)), unit)
