"""timm's networks as encoders: plain ViTs, whose one map the image path stands beside, and pyramids of maps."""
