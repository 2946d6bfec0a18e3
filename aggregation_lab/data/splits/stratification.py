"""How components are dealt out: iterative stratification into parts, and nested ranks within the training part."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from aggregation_lab.data.challenge import Dataset

SPLITS = ("train", "val", "test")

_GOLDEN = (5**0.5 - 1) / 2


def case_labels(dataset: "Dataset") -> list[tuple[str, ...]]:
    """What each case counts for: its task, and within it its classes."""
    classes = zip(dataset.cases["task"], case_classes(dataset), strict=True)
    return [(task, *(f"{task}/{number}" for number in numbers)) for task, numbers in classes]


def case_classes(dataset: "Dataset") -> list[tuple[int, ...]]:
    """Classes or structures that each case shows, as its task's type counts them."""
    values = dict(zip(dataset.masks["mask_content"], dataset.masks["values"], strict=True))
    types = {name: task.type for name, task in dataset.tasks.items()}
    columns = (dataset.cases[column] for column in ("task", "label", "mask_content"))
    return [
        types[task].classes_shown(label, values[mask] if types[task].masked else "")
        for task, label, mask in zip(*columns, strict=True)
    ]


def stratify(counts: np.ndarray, shares: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The part (column of `shares`) that each component goes into.

    counts: components x labels, cases of each label; shares: parts, sum 1; order: components, random in [0, 1).

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011), with components instead of single
    examples: the label with the fewest components left is dealt out first, its largest components before
    the small ones, each into the part that is furthest behind its quota among those that can still hold it. A part
    wants at least one component of every label that has as many components as there are parts.
    """
    components, labels = counts.shape
    quota = _quotas(counts, shares)
    need = quota.copy()
    part = np.full(components, -1)
    holders = [np.flatnonzero(counts[:, label]) for label in range(labels)]
    left = np.array([len(held) for held in holders])
    while (left > 0).any():
        label = int(np.argmin(np.where(left > 0, left, components + 1)))
        open_ = holders[label][part[holders[label]] < 0]
        for component in open_[np.lexsort((order[open_], -counts[open_, label]))]:
            chosen = _choose(counts[component], label, need, quota, order[component])
            part[component] = chosen
            need[:, chosen] -= counts[component]
            left -= counts[component] > 0
    return part


def _quotas(counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Cases wanted per label and part. labels x parts."""
    total = counts.sum(axis=0)
    held = np.maximum((counts > 0).sum(axis=0), 1)
    quota = total[:, None] * shares
    enough = held >= len(shares)
    quota[enough] = np.maximum(quota[enough], (total / held)[enough, None])
    largest = int(np.argmax(shares))
    others = np.arange(len(shares)) != largest
    quota[:, largest] = total - quota[:, others].sum(axis=1)
    return np.maximum(quota, 1e-9)


def _choose(count: np.ndarray, label: int, need: np.ndarray, quota: np.ndarray, draw: float) -> int:
    behind = need / quota  # share of the quota still open, labels x parts
    fits = need[label] >= count[label] / 2
    if not fits.any():
        return int(np.argmax(need[label]))
    others = behind[count > 0].mean(axis=0)
    parts = len(need[label])
    shuffle = (np.arange(parts) + int(draw * parts)) % parts
    candidates = np.lexsort((shuffle, -others.round(9), -behind[label].round(9), ~fits))
    return int(candidates[0])


def nested_ranks(counts: np.ndarray, training: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Ranks in [0, 1) of the training components, 0 for the others; rank < f keeps about f of every signature.

    Components are sorted by signature (the labels they hold) and size, randomly within, and get the golden-ratio
    sequence: any run of neighbours in it is spread evenly over [0, 1), so each signature and each task is.
    """
    rank = np.zeros(len(counts))
    members = np.flatnonzero(training)
    signatures = [tuple(np.flatnonzero(counts[member])) for member in members]
    sizes = counts.sum(axis=1)
    ordered = sorted(zip(signatures, sizes[members], order[members], members, strict=True))
    start = order[members].sum()
    for position, (*_, member) in enumerate(ordered):
        rank[member] = (start + position * _GOLDEN) % 1.0
    return rank
