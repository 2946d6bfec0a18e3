"""Structures that masks lose at the training resolution are counted by task and class, and said in one line."""

import numpy as np
from PIL import Image

from aggregation_lab.data.cache import open_cache
from aggregation_lab.data.challenge import read_dataset
from aggregation_lab.data.lost_classes import lost_classes

SIZE = 32


def test_what_lies_between_the_pixels_that_are_taken_is_said(tiny_data, tmp_path):
    dataset = read_dataset(tiny_data)
    masked = dataset.cases[dataset.cases["mask_content"] != ""]
    task = masked["task"].iloc[0]
    paths = sorted(masked.loc[masked["task"] == task, "mask"].unique())
    assert lost_classes(dataset, open_cache(dataset, SIZE, tmp_path / "before")) == []
    for number, path in enumerate(paths[:2]):
        with Image.open(dataset.root / path) as opened:
            pixels = np.asarray(opened)
        taken = {int((row + 0.5) * len(pixels) / SIZE) for row in range(SIZE)}
        row = next(row for row in range(len(pixels)) if row not in taken)
        small = np.zeros_like(pixels)
        small[row, number] = pixels.max()
        Image.fromarray(small).save(dataset.root / path)
    dataset = read_dataset(tiny_data)
    (line,) = lost_classes(dataset, open_cache(dataset, SIZE, tmp_path / "after"))
    assert line.startswith(f"task {task}: masks of 32 px have lost class 2 in 2 of {len(paths)}, as too small; ")
