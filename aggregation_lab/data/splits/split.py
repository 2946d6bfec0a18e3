"""ONE split over all tasks: what belongs together stays together, whatever task it serves."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.rows.problems import Problem
from aggregation_lab.data.splits.part_checks import check_parts
from aggregation_lab.data.splits.stratification import SPLITS, count_labels, nested_ranks, stratify
from aggregation_lab.errors import DataError
from aggregation_lab.files import read_bytes, write_json, write_text
from aggregation_lab.text import printable

SPLIT_FILE = "split.csv"
EXPORT_FILE = "splits_final.json"

_COLUMNS = {"case": str, "component": int, "split": str, "rank": float}


@dataclass(frozen=True, eq=False)
class Split:
    """Which case is trained on, validated on, tested on.

    `table` has one row per case, sorted: case, component (number), split (train, val or test), rank in [0, 1). A
    fraction f keeps the training cases with rank < f, so that smaller fractions lie inside larger ones; all cases of
    a component have one rank. `warnings` says what could not be kept, such as a rare class without a test case.
    """

    table: pd.DataFrame
    warnings: tuple[Problem, ...] = field(default=())

    def cases(self, split: str, task: str | None = None, fraction: float = 1.0) -> list[str]:
        """Case ids of one split, sorted; of one task and, for train, of one fraction.

        Raises `DataError` where the fraction leaves a task no training case.
        """
        table = self.table[self.table["split"] == split]
        if task is not None:
            table = table[table["case"].str.startswith(f"{task}/")]
        if split == "train":
            lowest = table["rank"].min()
            table = table[table["rank"] < fraction]
            if task is not None and table.empty and lowest < 1:
                advice = f"take more than {lowest:.3g}"
                raise DataError(f"fraction {fraction:g}: leaves task {task} no training case; {advice}")
        return sorted(table["case"])

    @property
    def digest(self) -> str:
        """sha256 of the table."""
        return table_digest(self.table)

    def save(self, folder: Path) -> None:
        """Write split.csv and, for other tools, nnU-Net's splits_final.json (one fold, with `test` added)."""
        write_text(Path(folder) / SPLIT_FILE, table_text(self.table))
        write_json(Path(folder) / EXPORT_FILE, [{split: self.cases(split) for split in SPLITS}])

    @staticmethod
    def load(path: Path, dataset: Dataset | None = None) -> "Split":
        """Read split.csv, or the folder that holds it; with `dataset`, check that it is a split of these data.

        Components are those of the data, where the file, made by hand or for other data, has others. Raises `DataError`
        where the file is absent or damaged, misses or does not know a case, parts a component, or leaves a task without
        what `draw_split` gives it; `warnings` are as there.
        """
        path = Path(path)
        file = path / SPLIT_FILE if path.is_dir() else path
        table = _read(file)
        if dataset is None:
            return Split(table)
        check_match(table, dataset, file)
        table = with_components(table, dataset)
        advice = "give it some in the file, or draw the split again"
        return Split(table, check_parts(dataset, [table], file, advice))


def table_text(table: pd.DataFrame) -> str:
    """A table of a split or of folds as CSV."""
    return table.to_csv(index=False, lineterminator="\n")


def table_digest(table: pd.DataFrame) -> str:
    """sha256 of `table_text`."""
    return hashlib.sha256(table_text(table).encode()).hexdigest()


def draw_split(dataset: Dataset, *, shares: Sequence[float] = (0.7, 0.15, 0.15), seed: int = 0) -> Split:
    """Draw the split of a data set into train, val and test, the same for every paradigm, fraction and seed.

    Components go whole into one part; each task keeps its shares and its classes as well as its components allow.
    The result depends on the data and on `seed`, not on the order of rows.

    Raises `DataError` with every task that the split leaves without a training, validation or test case, or, for
    classification, with a single class in test. A class or structure absent from a part is only a warning: metrics
    count it as undefined, and a class with one or two subjects cannot be everywhere.
    """
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise DataError(f"split shares: got {tuple(shares)}; give three numbers above 0 that sum to 1")
    component_of = find_components(dataset)
    component = dataset.cases["content"].map(component_of).to_numpy()
    counts = count_labels(dataset, component)
    order = random_order(component_of, seed)
    part = stratify(counts, np.asarray(shares, dtype=float), order)
    rank = nested_ranks(counts, part == 0, order)
    table = split_table(dataset.cases["case"], component, part[component], rank[component])
    return Split(table, check_parts(dataset, [table], dataset.root, "add cases or leave the task out"))


def split_table(case: pd.Series, component: np.ndarray, part: np.ndarray, rank: np.ndarray) -> pd.DataFrame:
    """The table of a `Split`, from values of each case; `part` is an index of `SPLITS`."""
    columns = {
        "case": case.to_numpy(dtype=object),
        "component": component,
        "split": np.array(SPLITS, dtype=object)[part],
        "rank": rank,
    }
    return pd.DataFrame(columns).sort_values("case", ignore_index=True)


def find_components(dataset: Dataset) -> dict[str, int]:
    """Component number of each image content.

    Two images are in one component if they are byte-equal, near-duplicates, of one subject, or linked by a chain of
    such images. Numbers follow the smallest content of each component, so they do not depend on the order of rows.
    """
    contents = sorted(set(dataset.cases["content"]))
    subjects = sorted(set(dataset.cases["subject"]))
    content_node = {content: node for node, content in enumerate(contents)}
    subject_node = {subject: node for node, subject in enumerate(subjects, start=len(contents))}
    pairs = dataset.near_duplicates
    pairs = pairs[pairs["first"].isin(content_node) & pairs["second"].isin(content_node)]
    left = [*dataset.cases["content"].map(content_node), *pairs["first"].map(content_node)]
    right = [*dataset.cases["subject"].map(subject_node), *pairs["second"].map(content_node)]
    size = len(contents) + len(subjects)
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    number: dict[int, int] = {}
    return {content: number.setdefault(int(component[node]), len(number)) for content, node in content_node.items()}


def crossing(cases: pd.DataFrame, column: str) -> pd.Index:
    """Values of a column, such as `component`, that have cases in two parts or more of `split`: the worst first."""
    parts = cases.groupby(column)["split"].nunique().sort_values(ascending=False, kind="stable")
    return parts.index[parts > 1]


def random_order(component_of: Mapping[str, int], seed: int) -> np.ndarray:
    """A random number in [0, 1) per component, from its smallest content and the seed."""
    first: dict[int, str] = {}
    for content in sorted(component_of):
        first.setdefault(component_of[content], content)
    draws = (hashlib.sha256(f"{seed} {first[number]}".encode()).digest()[:8] for number in range(len(first)))
    return np.array([int.from_bytes(draw, "big") / 2**64 for draw in draws])


def _read(file: Path) -> pd.DataFrame:
    if file.suffix == ".json":
        raise DataError(f"{file}: holds folds, and the study has folds: 1; set data.folds, or give split.csv")
    if file.exists() and not file.is_file():  # a pipe or a device would be read forever
        raise DataError(f"{file}: is no regular file; give split.csv or the folder that holds it")
    try:
        table = pd.read_csv(StringIO(read_bytes(file).decode("utf-8-sig")), dtype=str, keep_default_na=False)
        if list(table.columns) != list(_COLUMNS):
            raise ValueError(f"its columns are {printable(', '.join(table.columns))}, not {', '.join(_COLUMNS)}")
        # Python's own float() gives back the very number that was written
        table = pd.DataFrame({name: [kind(text) for text in table[name]] for name, kind in _COLUMNS.items()})
    except FileNotFoundError as error:
        raise DataError(f"{file}: does not exist; draw a split first") from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"{file}: is not a readable split ({' '.join(str(error).split())}); draw the split again"
        ) from error
    if not table["split"].isin(SPLITS).all() or table["case"].duplicated().any():
        raise DataError(f"{file}: is not a split of train, val and test with each case once; draw the split again")
    wrong = ~((table["rank"] >= 0) & (table["rank"] < 1))
    if wrong.any():  # such a case would be trained on at no fraction
        case, rank = table.loc[wrong, ["case", "rank"]].iloc[0]
        reason = "a rank is 0 or more and less than 1, and a fraction trains on the cases whose rank is below it"
        raise DataError(f"{file}: rank of {printable(str(case))} is {rank:g}; {reason}")
    return table


def with_components(table: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """The table (case, component) with the components of the data, where its own ones group the cases otherwise."""
    component_of = find_components(dataset)
    own = table["case"].map(dict(zip(dataset.cases["case"], dataset.cases["content"].map(component_of), strict=True)))
    same = np.array_equal(pd.factorize(own)[0], pd.factorize(table["component"])[0])
    return table if same else table.assign(component=own)


def check_match(table: pd.DataFrame, dataset: Dataset, file: Path) -> None:
    """Raise `DataError` where `table` (case, split) is not of these cases, or parts a component."""
    known, given = set(dataset.cases["case"]), set(table["case"])
    for cases, what in ((known - given, "misses"), (given - known, "knows")):
        if cases:
            tail = "" if what == "misses" else " that the data do not have"
            raise DataError(f"{file}: {what} {len(cases)} case(s){tail}, first {min(cases)}; draw the split again")
    frame = dataset.cases.merge(table, on="case")
    frame["component"] = frame["content"].map(find_components(dataset))
    parted = crossing(frame, "component")
    if len(parted):
        first = frame.loc[frame["component"] == parted[0], "case"].min()
        raise DataError(f"{file}: parts the component of case {first}, images leak; draw the split again")
