"""Figures on grouping: affinities, predicted against measured gains, and what partitions cost and score."""
