"""From any common folder to the challenge's layout: one reader per format, one writer."""
