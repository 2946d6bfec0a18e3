"""Which tasks together: what affinities and trained aggregations foretell of sets that nobody has trained yet."""
