"""What a run has from another one of its folder: the weights that it starts from, or what a smaller cap has left it."""
