"""Training of one run: from batches and losses to checkpoints and tables."""
