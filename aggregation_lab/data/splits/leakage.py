"""What a split drawn for each task alone would have leaked: the reason for one split over all tasks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aggregation_lab.data.challenge import Dataset
from aggregation_lab.data.splits.split import find_components


@dataclass(frozen=True, eq=False)
class Leakage:
    """How images are shared, and what independent splits would have done with it.

    `images` counts distinct image contents, `shared_images` those that serve more than one task; `near_duplicates`
    counts pairs, `mirrored` those of them in which one is a mirror image; `components` and `largest_component` (in
    images) describe what a split keeps together.

    `table` has a row per task: task, cases, images, shared (images that another task uses too), test (mean test
    images of an independent split), copies (mean test images whose very bytes are in the training set of any
    OTHER task), kin (mean test images with the same image, a near-duplicate or the same subject in the training set of
    any task, its own included), and copies_share, kin_share (over test).
    """

    images: int
    shared_images: int
    near_duplicates: int
    mirrored: int
    components: int
    largest_component: int
    table: pd.DataFrame


def leakage(
    dataset: Dataset, *, shares: Sequence[float] = (0.7, 0.15, 0.15), draws: int = 20, seed: int = 0
) -> Leakage:
    """Simulate `draws` independent image-wise random splits per task and count what they leak, on average."""
    component_of = find_components(dataset)
    contents = sorted(component_of)
    row = {content: number for number, content in enumerate(contents)}
    component = np.array([component_of[content] for content in contents])
    of_task: dict[str, np.ndarray] = {
        str(task): np.array(sorted({row[content] for content in cases["content"]}))
        for task, cases in dataset.cases.groupby("task")
    }
    uses = np.zeros(len(contents), dtype=int)
    for members in of_task.values():
        uses[members] += 1
    sums = {task: np.zeros(3) for task in of_task}
    generator = np.random.default_rng(seed)
    for _ in range(draws):
        _add_draw(sums, of_task, component, shares, generator)
    cases = dataset.cases["task"].value_counts()
    records = []
    for task, members in of_task.items():
        test, copies, kin = sums[task] / draws
        records.append(
            {
                "task": task,
                "cases": int(cases[task]),
                "images": len(members),
                "shared": int((uses[members] > 1).sum()),
                "test": test,
                "copies": copies,
                "kin": kin,
                "copies_share": copies / test,
                "kin_share": kin / test,
            }
        )
    return Leakage(
        images=len(contents),
        shared_images=int((uses > 1).sum()),
        near_duplicates=len(dataset.near_duplicates),
        mirrored=int(dataset.near_duplicates["mirrored"].sum()),
        components=int(component.max()) + 1,
        largest_component=int(np.bincount(component).max()),
        table=pd.DataFrame(records),
    )


def _add_draw(
    sums: dict[str, np.ndarray],
    of_task: dict[str, np.ndarray],
    component: np.ndarray,
    shares: Sequence[float],
    generator: np.random.Generator,
) -> None:
    """Draw one split per task and add its test images, leaked copies and leaked kin to `sums`."""
    trained = np.zeros(len(component), dtype=int)
    train, test = {}, {}
    for task, members in of_task.items():
        shuffled = generator.permutation(members)
        held = max(1, round(shares[2] * len(members)))
        train[task] = shuffled[: round(shares[0] * len(members))]
        test[task] = shuffled[-held:]
        trained[train[task]] += 1
    kin = np.bincount(component, weights=trained) > 0
    for task in of_task:
        own = np.zeros(len(component), dtype=int)
        own[train[task]] = 1
        copies = (trained - own)[test[task]] > 0
        sums[task] += (len(test[task]), copies.sum(), kin[component[test[task]]].sum())


def sharing(cases: pd.DataFrame, near_duplicates: pd.DataFrame, split: pd.DataFrame) -> dict[str, int]:
    """Counts of images, images that serve several tasks, near-duplicate pairs and components.

    `crossing_components`, `crossing_images` and `crossing_subjects` count those with cases in two parts of the split: 0
    in a valid one. `cases` has columns case, task, content, subject; `split` case, component, split.
    """
    placed = cases[["case", "task", "content", "subject"]].merge(split, on="case")
    parts = {name: placed.groupby(name)["split"].nunique() for name in ("component", "content", "subject")}
    return {
        "images": int(placed["content"].nunique()),
        "shared_images": int((placed.groupby("content")["task"].nunique() > 1).sum()),
        "near_duplicates": len(near_duplicates),
        "components": len(parts["component"]),
        "crossing_components": int((parts["component"] > 1).sum()),
        "crossing_images": int((parts["content"] > 1).sum()),
        "crossing_subjects": int((parts["subject"] > 1).sum()),
    }
