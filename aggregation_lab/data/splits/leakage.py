"""How tasks share images, whether the split parts what belongs together, and what a split per task would leak."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import crossing, find_components


@dataclass(frozen=True, eq=False)
class Leakage:
    """How images are shared, and what independent splits would have done with it.

    `images` counts distinct image contents, `shared_images` those that serve more than one task; `near_duplicates`
    counts pairs, `mirrored` those of them in which one is a mirror image; `components` and `largest_component` (in
    images) describe what a split keeps together.

    `table` has a row per task: task, cases, images, shared (images that another task uses too), test (mean test
    images of an independent split), copies (mean test images whose very bytes are in the training set of any
    OTHER task), related (mean test images with the same image, a near-duplicate or the same subject in the training
    set of any task, its own included), and copies_share, related_share (over test).
    """

    images: int
    shared_images: int
    near_duplicates: int
    mirrored: int
    components: int
    largest_component: int
    table: pd.DataFrame


def sharing(cases: pd.DataFrame, near_duplicates: pd.DataFrame, split: pd.DataFrame) -> dict[str, int]:
    """Counts of images, images that serve several tasks, near-duplicate pairs and components.

    `crossing_components`, `crossing_images` and `crossing_subjects` count those with cases in two parts of the split: 0
    in a valid one. `cases` has columns case, task, content, subject; `split` case, component, split.
    """
    placed = cases[["case", "task", "content", "subject"]].merge(split, on="case")
    kinds = {"crossing_components": "component", "crossing_images": "content", "crossing_subjects": "subject"}
    return _counts(placed, near_duplicates) | {name: len(crossing(placed, column)) for name, column in kinds.items()}


def _counts(cases: pd.DataFrame, near_duplicates: pd.DataFrame) -> dict[str, int]:
    """`cases` has columns task, content and component."""
    return {
        "images": int(cases["content"].nunique()),
        "shared_images": int((cases.groupby("content")["task"].nunique() > 1).sum()),
        "near_duplicates": len(near_duplicates),
        "components": int(cases["component"].nunique()),
    }


def leakage(
    dataset: Dataset, *, shares: Sequence[float] = (0.7, 0.15, 0.15), draws: int = 20, seed: int = 0
) -> Leakage:
    """Simulate `draws` independent image-wise random splits per task and count what they leak, on average."""
    component_of = find_components(dataset)
    contents = sorted(component_of)
    index = {content: number for number, content in enumerate(contents)}
    component = np.array([component_of[content] for content in contents])
    images_of = {
        str(task): np.array(sorted({index[content] for content in contents}))
        for task, contents in dataset.cases.groupby("task")["content"]
    }
    sums = {task: np.zeros(3) for task in images_of}
    generator = np.random.default_rng(seed)
    for _ in range(draws):
        _add_draw(sums, images_of, component, shares, generator)
    cases = dataset.cases.assign(component=dataset.cases["content"].map(component_of))
    table = pd.DataFrame([sums[task] / draws for task in images_of], columns=["test", "copies", "related"])
    table.insert(0, "task", list(images_of))
    table.insert(1, "cases", table["task"].map(cases["task"].value_counts()))
    table.insert(2, "images", [len(images) for images in images_of.values()])
    uses = np.bincount(np.concatenate(list(images_of.values())))
    table.insert(3, "shared", [int((uses[images] > 1).sum()) for images in images_of.values()])
    return Leakage(
        **_counts(cases, dataset.near_duplicates),
        mirrored=int(dataset.near_duplicates["mirrored"].sum()),
        largest_component=int(np.bincount(component).max()),
        table=table.assign(
            copies_share=table["copies"] / table["test"],
            related_share=table["related"] / table["test"],
        ),
    )


def _add_draw(
    sums: Mapping[str, np.ndarray],
    images_of: Mapping[str, np.ndarray],
    component: np.ndarray,
    shares: Sequence[float],
    generator: np.random.Generator,
) -> None:
    """Draw one split per task and add the numbers of its test images, and of leaked copies and relatives, to `sums`."""
    trained = np.zeros(len(component), dtype=int)
    train, test = {}, {}
    for task, images in images_of.items():
        shuffled = generator.permutation(images)
        train[task] = shuffled[: round(shares[0] * len(images))]
        test[task] = shuffled[-max(1, round(shares[2] * len(images))) :]
        trained[train[task]] += 1
    trained_component = np.bincount(component, weights=trained) > 0
    for task in images_of:
        by_task = np.zeros(len(component), dtype=int)
        by_task[train[task]] = 1
        copies = (trained - by_task)[test[task]] > 0
        sums[task] += (len(test[task]), copies.sum(), trained_component[component[test[task]]].sum())
