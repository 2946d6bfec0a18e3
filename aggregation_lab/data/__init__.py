"""From a data folder to one case table, its split and its image cache. Imports no torch."""
