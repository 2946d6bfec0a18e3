"""Test predictions that runs keep: their two files, and what reads them beside the images they are of."""
