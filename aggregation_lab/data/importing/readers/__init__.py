"""One file per format; each has `read(source, options, report)` and is listed in `importing/formats.py`."""
