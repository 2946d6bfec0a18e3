"""Which images are of one patient."""
