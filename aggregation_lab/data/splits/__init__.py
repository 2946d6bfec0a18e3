"""One split over all tasks, or folds that rotate."""
