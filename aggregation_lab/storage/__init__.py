"""JSON and Parquet with checksums, and CSV that spreadsheet programs open."""
