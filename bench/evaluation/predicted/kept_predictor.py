"""Read a folder of kept predictions: what its manifest says, and each image's class map and probabilities again."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.core.errors import BenchError
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import MIB, is_folder, read_file
from bench.evaluation.predicted.prediction_files import CLASS_MAPS, FOREGROUND, FORMAT, MANIFEST
from bench.evaluation.predicted.quantised import STEPS, restored

_MANIFEST_BYTES, _MANIFEST_VALUES = 512 * MIB, 4_000_000
_FILE_BYTES = 256 * MIB
_AGAIN = "Keep them again: bench evaluate RUN --keep-predictions."
_TEXTS = ("run", "dataset", "fingerprint", "split", "eval_size", "resize", "table")


@dataclass(frozen=True)
class Kept:
    """The contents of a manifest."""

    folder: Path
    about: dict[str, Any]  # run, dataset, fingerprint, split, eval_size, resize, protocol_version, threshold, ...
    hash: str  # of the manifest
    images: tuple[tuple[str, ...], ...]  # name, file, then the hash of each of its files

    @property
    def names(self) -> tuple[str, ...]:
        """The images' names, in order."""
        return tuple(name for name, *_ in self.images)


def read_kept(folder: Path) -> Kept:
    """Read the manifest of a folder of predictions; raise BenchError if there is none, or if it can't be used."""
    if not is_folder(folder):
        raise BenchError(f"There are no predictions in '{folder}'. {_AGAIN}")
    try:
        data = read_file(folder / MANIFEST, _MANIFEST_BYTES)
        values = safe_json.loads(data, most=_MANIFEST_VALUES)
    except FileNotFoundError:
        raise BenchError(f"The predictions '{folder}' are incomplete: they have no {MANIFEST}. {_AGAIN}") from None
    except (OSError, ValueError) as error:
        raise _unusable(folder, str(error)) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise _unusable(folder, f"it isn't of format {FORMAT}")
    if odd := [name for name in _TEXTS if not isinstance(values.get(name), str)]:
        raise _unusable(folder, f"it has no {odd[0]}")
    images = values.pop("images", None)
    if not isinstance(images, list) or not all(_is_image(image) for image in images):
        raise _unusable(folder, "its list of images makes no sense")
    return Kept(folder, values, hashlib.sha256(data).hexdigest(), tuple(map(tuple, images)))


def _unusable(folder: Path, reason: str) -> BenchError:
    return BenchError(f"'{folder / MANIFEST}' can't be used: {reason}. {_AGAIN}")


def _is_image(image: Any) -> bool:
    """Tell whether an entry has a name, a plain file name, and one or two hashes."""
    if not isinstance(image, list) or len(image) not in (3, 4) or not all(isinstance(part, str) for part in image):
        return False
    return image[1] == Path(image[1]).name and image[1] not in ("", ".", "..")


class KeptPredictor:
    """A predictor that reads the kept predictions one after the other, in the order in which they were made."""

    def __init__(self, kept: Kept, num_classes: int, *, batch_size: int, image_size: tuple[int, int]):
        self.batch_size, self.image_size, self.resize = batch_size, image_size, str(kept.about["resize"])
        self._num_classes = num_classes
        self._folder, self._left = kept.folder, iter(kept.images)

    def classes(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the class maps of the next images, and their probabilities of class 1: see `Predictor`."""
        found = [self._read(image, self.image_size) for image in self._next(len(images))]
        classes, foreground = (np.stack(part) for part in zip(*found, strict=True))
        return classes, foreground

    def logits(self, images: np.ndarray) -> Sequence[np.ndarray]:
        """Return nothing of each of the next images, for `restored_classes`."""
        return [np.zeros(0)] * len(images)

    def restored_classes(
        self, logits: np.ndarray, original_size: tuple[int, ...], *, foreground: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the next image's class map and probabilities, which were made at its own size."""
        (image,) = self._next(1)
        return self._read(image, original_size)

    def _next(self, count: int) -> list[tuple[str, ...]]:
        return list(islice(self._left, count))

    def _read(self, image: tuple[str, ...], size: tuple[int, ...]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        _, file, *hashes = image
        classes = self._map(f"{CLASS_MAPS}/{file}.png", hashes[0], size, self._num_classes)
        if len(hashes) == 1:
            return classes, np.zeros(0, np.float32)
        levels = STEPS * 20
        return classes, restored(self._map(f"{FOREGROUND}/{file}.png", hashes[1], size, levels))

    def _map(self, path: str, known: str, size: tuple[int, ...], below: int) -> NDArray[np.uint8]:
        """Read a PNG of one byte a pixel; raise BenchError if it is missing, damaged or of another size."""
        try:
            data = read_file(self._folder / path, _FILE_BYTES)
        except FileNotFoundError:
            raise BenchError(
                f"The predictions '{self._folder}' are incomplete: '{path}' is missing. {_AGAIN}"
            ) from None
        except OSError as error:
            raise self._damaged(path, error.strerror or str(error)) from error
        if hashlib.sha256(data).hexdigest() != known:
            raise self._damaged(path, "its hash isn't the manifest's")
        try:
            with Image.open(io.BytesIO(data), formats=["PNG"]) as opened:
                mode, shape = opened.mode, opened.size[::-1]
                fits = mode in ("L", "P") and shape == tuple(size)
                values = np.array(opened) if fits else np.zeros(0, np.uint8)
        except (OSError, SyntaxError, ValueError) as error:
            raise self._damaged(path, str(error)) from error
        if not fits:
            raise self._damaged(
                path, f"it is {mode} of {shape[0]}x{shape[1]} pixels, and the image {size[0]}x{size[1]}"
            )
        if values.max(initial=0) >= below:
            raise self._damaged(path, f"it holds {values.max()}, and all values are below {below}")
        return values

    def _damaged(self, path: str, reason: str) -> BenchError:
        return BenchError(f"The predictions '{self._folder}' are damaged: '{path}' can't be used ({reason}). {_AGAIN}")
