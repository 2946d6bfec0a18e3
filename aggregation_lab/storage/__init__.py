"""File formats that know whether they are whole, and CSV that spreadsheet programs open."""
