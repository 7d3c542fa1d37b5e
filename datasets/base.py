"""What the data sets share: reading pictures whatever their files are called."""

from pathlib import Path

import numpy as np
from PIL import Image

from bench.errors import BenchError
from bench.samples import Dataset, Sample

__all__ = ["Dataset", "Sample", "read_labels", "read_rgb"]

# What Pillow raises for files that are cut short, damaged or no pictures at all.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def read_rgb(path: Path) -> np.ndarray:
    """Decode a picture by its content, not its name, to uint8 (H, W, 3).

    An alpha channel is dropped, not blended, and an EXIF orientation is not applied: both as
    TensorFlow's decoder has it, and the labels were drawn on these pixels. Of a moving GIF the
    first frame is taken. A broken or missing file raises BenchError.
    """
    return _decode(path, "RGB")


def read_labels(path: Path) -> np.ndarray:
    """Decode a label picture to its raw values, uint8 (H, W); palette indices stay indices."""
    labels = _decode(path, None)
    if labels.ndim != 2 or labels.dtype not in (np.uint8, np.bool_):
        raise BenchError(f"{path}: labels must be one channel of 8 bits, not {labels.dtype} {labels.shape}.")
    return labels.astype(np.uint8)


def _decode(path: Path, mode: str | None) -> np.ndarray:
    try:
        with Image.open(path) as picture:
            return np.array(picture.convert(mode) if mode else picture)
    except FileNotFoundError as error:
        raise BenchError(f"{path}: missing.") from error
    except _DECODE_ERRORS as error:
        raise BenchError(f"{path}: can't be decoded ({error}).") from error
