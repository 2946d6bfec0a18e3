"""Methods of statistics on plain arrays: no study, no frame."""
