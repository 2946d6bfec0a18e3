"""M2DINO: encoder, experts, heads."""
