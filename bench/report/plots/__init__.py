"""The plots of a report. Importing them imports matplotlib, which reads the user's settings and may refuse them."""

from bench.core.errors import BenchError

try:
    import matplotlib  # noqa: F401
except (OSError, ValueError) as error:
    raise BenchError(
        f"Matplotlib can't start ({error}). Look at the variables MPLBACKEND and MATPLOTLIBRC, and at a matplotlibrc "
        "file in the working directory."
    ) from error
