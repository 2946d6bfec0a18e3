"""Simulated conditions under which the statistics have to hold, each with the bounds of its figures."""
