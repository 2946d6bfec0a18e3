"""Figures on grouping: predicted against measured gains, and what partitions cost and score."""
