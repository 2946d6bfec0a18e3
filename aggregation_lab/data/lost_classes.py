"""Structures so small that a mask at the training resolution no longer holds them."""

from collections import Counter

from aggregation_lab.data.cache import ImageCache
from aggregation_lab.data.challenge import Dataset

MOST_LOST = 0.01
"""Share of its masks that a class may be lost in without a word."""


def lost_classes(dataset: Dataset, cache: ImageCache) -> list[str]:
    """One line for each task of which a class is in the files of its masks and, in more than `MOST_LOST` of them, not
    in the masks of the cache: nearest neighbour takes single pixels, so what lies between them is trained as if it were
    not there. Scores are of the original masks."""
    size = cache.masks.shape[-1]
    held = dict(zip(dataset.masks["mask_content"], dataset.masks["values"], strict=True))
    cases = dataset.cases[dataset.cases["mask_content"] != ""]
    lines = []
    for task, contents in cases.groupby("task", sort=True)["mask_content"].unique().items():
        shown, lost = Counter[int](), Counter[int]()
        for content in contents:
            mask = cache.masks[cache.mask_row[content]]
            for index in filter(None, map(int, held[content].split(","))):
                shown[index] += 1
                lost[index] += not (mask == index).any()
        much = [f"class {k} in {lost[k]} of {shown[k]}" for k in sorted(shown) if lost[k] > MOST_LOST * shown[k]]
        if much:
            advice = "a larger training.image_size keeps small structures"
            lines.append(f"task {task}: masks of {size} px have lost {', '.join(much)}, as too small; {advice}")
    return lines
