"""Annotation files that list images and classes: found, checked, and what their ids mean."""
