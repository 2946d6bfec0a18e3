"""The findings and verdicts for machines: `claims.json`."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from aggregation_lab.storage.sealed_json import json_value
from analysis.questions.findings import WHOLE
from analysis.report.citation import PAPER
from analysis.report.trace import pairs_by_gain, run_ids, runs_by_contrast
from analysis.result import Analysis

FORMAT = 1
"""Raised whenever a key of `claims.json` changes its meaning."""

_LEFT_OUT = frozenset({"metric", "unit", "joint_raw", "base_raw", "relative"})
"""Columns of the frame `gains` about raw metrics: verdicts rest on the unit-free score."""


def claims(analysis: Analysis) -> dict[str, Any]:
    """Findings and verdicts with their estimates and runs; settings and digests. Unknown numbers are null.

    A finding's `runs` names contrasts; the top-level `runs` lists the runs of each. A verdict's `runs` are its own, as
    are those of a change from arm to arm.
    """
    study, seed_gains = analysis.study, analysis.frames["seed_gains"]
    manifest = study.manifest
    return {
        "format": FORMAT,
        "study": manifest.study,
        "paper": PAPER,
        "settings": asdict(analysis.settings),
        "digests": {
            "dataset": manifest.dataset,
            "split": manifest.split,
            "scores": _digest(study.scores),
        },
        "version": manifest.version,
        "warnings": list(analysis.warnings),
        "findings": [_finding(analysis, row) for row in analysis.frames["findings"].to_dict("records")],
        "verdicts": _verdicts(analysis),
        "changes": _changes(analysis),
        "runs": runs_by_contrast(seed_gains),
    }


def _finding(analysis: Analysis, row: Mapping[Any, Any]) -> dict[str, Any]:
    frames = [name.strip() for name in str(row["evidence"]).split(",") if name.strip() in analysis.frames]
    return {
        "finding": json_value(row["finding"]),
        "claim": row["claim"],
        "part": None if row["part"] == WHOLE else row["part"],
        "estimate": json_value(row["estimate"]),
        "interval": [json_value(row["low"]), json_value(row["high"])],
        "p": json_value(row["p"]),
        "verdict": row["verdict"],
        "effect": row["effect"],
        "evidence": frames,
        "runs": sorted({contrast for name in frames for contrast in _contrasts(analysis, name)}),
    }


def _contrasts(analysis: Analysis, frame: str) -> set[str]:
    """Contrasts whose gains enter a frame."""
    known = set(analysis.frames["seed_gains"]["contrast"])
    rows = analysis.frames[frame]
    return known & set(rows["contrast"]) if "contrast" in rows else known


def _verdicts(analysis: Analysis) -> list[dict[str, Any]]:
    pairs = pairs_by_gain(analysis.frames["seed_gains"])
    return [
        {str(name): json_value(value) for name, value in row.items() if name not in _LEFT_OUT}
        | {"runs": run_ids(pairs.get((row["contrast"], float(row["fraction"]), row["task"]), ()))}
        for row in analysis.frames["gains"].to_dict("records")
    ]


def _changes(analysis: Analysis) -> list[dict[str, Any]]:
    """Differences of gains between arms and effects of arms; none where the study has one arm."""
    return [
        {str(name): json_value(value) for name, value in row.items()} | {"runs": str(row["runs"]).split()}
        for row in analysis.frames["arm_changes"].to_dict("records")
    ]


def _digest(rows: pd.DataFrame) -> str:
    """SHA-256 of a score table's rows as CSV."""
    return hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest()
