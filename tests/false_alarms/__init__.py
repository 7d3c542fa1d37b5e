"""Draw comparisons of equal code from stored trainings and timings, to count the false alarms of `bench check`."""
