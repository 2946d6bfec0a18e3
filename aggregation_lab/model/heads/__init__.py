"""One file per task type: its head, its loss, and how its target is augmented; see `heads.network`."""
