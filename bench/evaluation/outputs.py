"""What `bench predict` writes of one picture: mask, overlay and probabilities, each file whole or not at all."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from bench.errors import BenchError
from bench.evaluation.overlay import PALETTE, overlay
from bench.whole import whole

PROBABILITIES = ("npz", "png")


def write_mask(path: Path, classes: np.ndarray) -> None:
    """Write classes uint8 (H, W) as a PNG whose values are the classes and whose palette makes them visible."""
    picture = Image.fromarray(classes, "L")
    picture.putpalette(PALETTE[np.arange(256) % len(PALETTE)].astype(np.uint8).tobytes())
    _write_picture(path, picture)


def write_overlay(path: Path, image: np.ndarray, classes: np.ndarray) -> None:
    """Write the classes (H, W) in colour over the grey picture uint8 (H, W, 3), as PNG."""
    _write_picture(path, Image.fromarray(overlay(image, classes)))


def write_probabilities(folder: Path, name: str, values: np.ndarray, classes: list[str], form: str) -> None:
    """Write float32 (H, W, C).

    Args:
        form: "npz": one compressed file with `probabilities` and the names of the `classes`; "png": a grey picture of
            16 bits a class, NAME_0.png and so on, 0 to 65535 for 0 to 1.
    """
    if form == "npz":
        buffer = io.BytesIO()
        np.savez_compressed(buffer, probabilities=values, classes=np.array(classes))
        _write(folder / f"{name}.npz", buffer.getvalue())
        return
    for index in range(values.shape[-1]):
        grey = np.rint(np.clip(values[..., index], 0, 1) * 65535).astype(np.uint16)
        _write_picture(folder / f"{name}_{index}.png", Image.fromarray(grey))


def _write_picture(path: Path, picture: Image.Image) -> None:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    _write(path, buffer.getvalue())


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise BenchError(f"'{path}' can't be written ({error.strerror}). Give another folder with --out.") from error
