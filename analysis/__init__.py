"""Score tables in; transfer gains, tables, figures and a report out. Never imports torch."""
