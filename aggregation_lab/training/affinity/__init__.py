"""How tasks of a joint run bear on each other while it is trained: the table `affinity`."""
