"""What the commands of `agglab` do."""
