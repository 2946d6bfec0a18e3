"""Which runs decide what is undecided, and when training may stop."""
