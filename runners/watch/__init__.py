"""A study while it is trained, for a browser on this machine."""
