"""Where and how planned runs are trained: grid, workers, engines."""
