"""Placeholder, written next."""

if not __name__.startswith("bench."):
    raise ImportError("Import bench.datasets: the folder 'datasets' is installed under that name.")
