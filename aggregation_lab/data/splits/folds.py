"""Rotating folds: every replicate tests another fold of the components, so that together they test every image.

The components of all tasks are dealt out into K folds at once. Replicates with fold k test fold k, validate on the next
one and train on the rest: K splits of the same data, in each of which what belongs together stays together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.rows.problems import Problem
from aggregation_lab.data.splits.part_checks import check_parts
from aggregation_lab.data.splits.split import (
    EXPORT_FILE,
    Split,
    draw_split,
    find_components,
    random_order,
    split_table,
    table_digest,
    table_text,
)
from aggregation_lab.data.splits.stratification import SPLITS, count_labels, nested_ranks, stratify
from aggregation_lab.files import write_json, write_text

FOLDS_FILE = "folds.csv"

ADVICE = "take fewer folds, or folds: 1"


@dataclass(frozen=True, eq=False)
class Folds:
    """The splits of a study: one for each fold, or a single one for all replicates.

    `warnings` says what could not be kept.
    """

    splits: tuple[Split, ...]
    warnings: tuple[Problem, ...] = field(default=())

    def split(self, fold: int | None) -> Split:
        """The split of the replicates that test a fold; None with a single split."""
        return self.splits[fold or 0]

    @cached_property
    def table(self) -> pd.DataFrame:
        """Columns case, component, fold, and the nested rank in each replicate's training part (rank_0, rank_1, ...);
        with a single split its table."""
        first = self.splits[0].table
        if len(self.splits) == 1:
            return first
        fold = np.zeros(len(first), int)
        for number, split in enumerate(self.splits):
            fold[(split.table["split"] == "test").to_numpy()] = number
        ranks = {f"rank_{number}": split.table["rank"] for number, split in enumerate(self.splits)}
        return pd.DataFrame({"case": first["case"], "component": first["component"], "fold": fold, **ranks})

    @property
    def parts(self) -> pd.DataFrame:
        """Columns case, component, split: what must not share a component, parts of the one split or the folds."""
        if len(self.splits) == 1:
            return self.table
        return self.table.assign(split="fold " + self.table["fold"].astype(str))[["case", "component", "split"]]

    @property
    def digest(self) -> str:
        """sha256 of the table."""
        return table_digest(self.table)

    def save(self, folder: Path) -> None:
        """Write folds.csv and, for other tools, nnU-Net's splits_final.json, an entry per fold with `test` added; a
        single split as `Split.save` does."""
        if len(self.splits) == 1:
            return self.splits[0].save(folder)
        write_text(Path(folder) / FOLDS_FILE, table_text(self.table))
        write_json(Path(folder) / EXPORT_FILE, [{part: split.cases(part) for part in SPLITS} for split in self.splits])


def draw_folds(dataset: Dataset, folds: int, *, shares: Sequence[float] = (0.7, 0.15, 0.15), seed: int = 0) -> Folds:
    """Deal the components of a data set out into `folds` folds of about the same size, for all tasks at once.

    With one fold a single split is drawn, with `shares`: see `draw_split`. Each task and each of its classes is spread
    over the folds as evenly as its components allow. The result depends on the data and on `seed`, not on the order of
    rows.

    Raises `DataError` with every task that a replicate would leave without a training, validation or test case, or with
    a single class to test; a class absent from a part is a warning.
    """
    if folds == 1:
        split = draw_split(dataset, shares=shares, seed=seed)
        return Folds((split,), split.warnings)
    components = _Components.of(dataset, seed)
    fold = stratify(components.counts, np.full(folds, 1 / folds), components.order)
    return _splits(dataset, components, fold, folds, dataset.root)


def splits_of(dataset: Dataset, fold: np.ndarray, folds: int, source: Path, *, seed: int = 0) -> Folds:
    """The splits that the fold of each case (N, in the order of the data set) makes; components lie whole in a fold.

    Every replicate has nested ranks of its own, see `Split`. Raises as `draw_folds` does, naming `source`.
    """
    components = _Components.of(dataset, seed)
    fold_of_component = np.zeros(len(components.counts), int)
    fold_of_component[components.of_case] = fold
    return _splits(dataset, components, fold_of_component, folds, source)


@dataclass(frozen=True, eq=False)
class _Components:
    """What is dealt out: the component `of_case` (N), and of each component its `counts` of labels and its `order`."""

    of_case: np.ndarray
    counts: np.ndarray
    order: np.ndarray

    @classmethod
    def of(cls, dataset: Dataset, seed: int) -> "_Components":
        component_of = find_components(dataset)
        of_case = dataset.cases["content"].map(component_of).to_numpy()
        return cls(of_case, count_labels(dataset, of_case), random_order(component_of, seed))


def _splits(dataset: Dataset, components: _Components, fold: np.ndarray, folds: int, source: Path) -> Folds:
    """The splits that the fold of each component makes."""
    tables, of_case = [], components.of_case
    for number in range(folds):
        part = _parts(fold, number, folds)
        rank = nested_ranks(components.counts, part == 0, components.order)
        tables.append(split_table(dataset.cases["case"], of_case, part[of_case], rank[of_case]))
    return checked(dataset, tables, source)


def checked(dataset: Dataset, tables: Sequence[pd.DataFrame], source: Path) -> Folds:
    """Folds of the splits in `tables`. Raises `DataError` on tasks that a replicate cannot train or score."""
    return Folds(tuple(map(Split, tables)), check_parts(dataset, tables, source, ADVICE, "folds"))


def replicate_tables(table: pd.DataFrame, folds: int) -> list[pd.DataFrame]:
    """The table of each replicate's split, from that of `Folds`."""
    fold, component = (table[name].to_numpy(int) for name in ("fold", "component"))
    ranks = [table[f"rank_{number}"].to_numpy(float) for number in range(folds)]
    return [
        split_table(table["case"], component, _parts(fold, number, folds), rank) for number, rank in enumerate(ranks)
    ]


def _parts(fold: np.ndarray, tested: int, folds: int) -> np.ndarray:
    """The index in `SPLITS` of everything that lies in `fold`, in the replicate that tests the fold `tested`."""
    return np.where(fold == tested, 2, np.where(fold == (tested + 1) % folds, 1, 0))


def fold_sizes(folds: Folds, cases: pd.DataFrame) -> pd.DataFrame:
    """Test images and subjects of every task in every fold: columns task, fold, images, subjects.

    `cases` has columns case, task, subject.
    """
    placed = cases.merge(folds.table[["case", "fold"]], on="case")
    sizes = placed.groupby(["task", "fold"], as_index=False).agg(
        images=("case", "size"), subjects=("subject", "nunique")
    )
    return sizes[["task", "fold", "images", "subjects"]]
