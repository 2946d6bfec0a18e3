"""Is the analysis right? Simulated studies of known truth."""
