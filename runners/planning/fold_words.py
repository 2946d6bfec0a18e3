"""What a plan says of rotating folds: which are tested, how much never is, and how small a fold is."""

from typing import TYPE_CHECKING

from aggregation_lab.text import printable
from runners.planning.study_schema import Study

if TYPE_CHECKING:
    import pandas as pd

    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.splits.folds import Folds


def fold_lines(study: Study, folds: "Folds", dataset: "Dataset") -> tuple[str, ...]:
    """The lines; none with one split."""
    count = study.data.folds
    if count == 1:
        return ()
    from aggregation_lab.data.splits.folds import fold_sizes

    sizes = fold_sizes(folds, dataset.cases)
    seeds_of = {fold: [seed for seed in study.seeds if study.fold(seed) == fold] for fold in range(count)}
    untested = [fold for fold, seeds in seeds_of.items() if not seeds]
    least = min(sizes.to_dict("records"), key=lambda row: row["subjects"])
    smallest = f"smallest fold: {_amount(least['images'], 'image')} of {_amount(least['subjects'], 'subject')}"
    return (
        f"{count} folds, the seed s tests fold s mod {count}: {_tested(seeds_of, untested, sizes)}",
        f"{smallest} ({printable(str(least['task']))}, fold {least['fold']}); `agglab validate --study` lists all",
    )


def _tested(seeds_of: dict[int, list[int]], untested: list[int], sizes: "pd.DataFrame") -> str:
    if not untested:
        most, fewest = (pick(map(len, seeds_of.values())) for pick in (max, min))
        times = {1: "once"}.get(most, f"{most} times") if most == fewest else f"{fewest} to {most} times"
        return f"every image is tested {times}"
    images = sizes.groupby("fold")["images"].sum()
    share = images.reindex(untested).sum() / images.sum()
    named = ", ".join(map(str, untested[:10])) + (" and more" if len(untested) > 10 else "")
    advice = f"seeds 0 to {len(seeds_of) - 1} test every image once"
    return f"{share:.0%} of the images are never tested (fold {named}); {advice}"


def _amount(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
