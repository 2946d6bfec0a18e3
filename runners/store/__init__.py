"""The output folder: run folders, their states and claims, preparation, collection."""
