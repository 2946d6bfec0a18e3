"""What a study's images share, counted over its split: the evidence that nothing leaks."""

import pandas as pd


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
