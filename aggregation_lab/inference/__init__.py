"""Trained models in use: loading, prediction in original pixels, export."""
