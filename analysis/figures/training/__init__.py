"""Figures of what training has left: validation curves, and which experts serve which tasks."""
