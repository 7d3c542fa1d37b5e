"""Models that segbench didn't train: files that are scored and timed as one's own are."""
