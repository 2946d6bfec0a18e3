"""Annotation files and tables of a source: found, checked, and what their ids and cells mean."""
