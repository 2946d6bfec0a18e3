"""Questions across arms, the variants of model and training of one study. All others look at one arm alone."""
