"""Bring your own: the score table of any trainer as a study."""

from analysis.external.score_table import EXAMPLES, PAPER, read_scores

__all__ = ["EXAMPLES", "PAPER", "read_scores"]
