"""From a study file to runs and back to tables: planning, run folders, worker processes, the command line.

This package trains nothing itself; it hands runs to `aggregation_lab` and gathers what they leave.
"""
