"""From image and mask files to arrays."""
