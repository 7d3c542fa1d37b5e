"""Weights files of backbones: what can't be used is one line."""

import warnings
from os import PathLike, fspath
from pathlib import Path

import keras

from bench.core.errors import BenchError


def load_file(model: keras.Model, weights: str | PathLike[str], backbone: str, advice: str) -> None:
    """Load a weights file into a backbone; raise BenchError, which ends in `advice`, if it can't be used."""
    path = Path(fspath(weights))
    if not path.is_file():
        raise BenchError(f"There is no weights file '{path}' for {backbone}. {advice}")
    try:
        with warnings.catch_warnings():
            # Keras only warns when a file lacks some layers' weights, and leaves those random
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise BenchError(f"The weights file '{path}' doesn't fit {backbone} ({line(error)}). {advice}") from error


def line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
