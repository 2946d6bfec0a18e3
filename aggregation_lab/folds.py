"""Which fold a seed tests: a function of the seed alone, so that seeds added to a study move no fold."""

FEWEST_FOLDS = 3
"""A replicate needs one fold to test, one to validate and one to train on."""

MOST_FOLDS = 100
"""Folds of which each would hold one image in a hundred."""


def fold_of(seed: int, folds: int) -> int:
    """The fold that the replicate of a seed tests: the seeds 0 to `folds` - 1 test each fold once."""
    return seed % folds
