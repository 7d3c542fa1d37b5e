"""Placeholder, written next."""

if not __name__.startswith("bench."):
    raise ImportError("Import bench.architectures: the folder 'architectures' is installed under that name.")
