"""Tests, in folders that mirror the rooms; what they share lies here."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The project's folder."""
