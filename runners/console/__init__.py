"""What a person sees: the terminal and its streams."""
