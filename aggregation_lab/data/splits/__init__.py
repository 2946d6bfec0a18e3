"""One split over all tasks."""
