"""From a study file to planned runs and what they cost. Knows no process."""
