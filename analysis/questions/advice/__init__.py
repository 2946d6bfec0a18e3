"""What to train: the guideline, and what it is worth on tasks that it has not seen."""
