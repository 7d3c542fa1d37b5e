"""Write a split's predictions to a folder: class maps and small pictures, and for two classes probabilities.

PREDICTIONS/manifest.json     which run, data, split and protocol they are of; each image with its files' hashes
            classes/*.png     the predicted class of each pixel, at the evaluation size
            foreground/*.png  for two classes the probability of class 1 in a byte (see quantised.py)
            small/*.webp      image, truth and prediction side by side, for the report; lossy

The folder takes its name once it is whole and on the disk, so a process that is killed leaves the former one, or none.
Several processes may keep predictions of the same scores at once: each holds a lock in its unfinished folder, so that
the others remove only what belongs to none, and the one that ends last stays.
"""

import hashlib
import io
import json
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from filelock import FileLock
from PIL import Image

from bench.core.durable import replace_folder, sync_tree
from bench.core.files import MARK
from bench.data import geometry
from bench.data.reading.visible import visible
from bench.evaluation.confusion import THRESHOLDS
from bench.evaluation.image_table import ImageTable
from bench.evaluation.metric_protocol import Prediction
from bench.evaluation.pictures import PALETTE, file_name, strip
from bench.evaluation.predicted.folder_locks import LOCK, changing, former, remove_if_nobodys, settle
from bench.evaluation.predicted.quantised import GREATEST_ERROR, STEPS, quantise

MANIFEST, CLASS_MAPS, FOREGROUND, SMALL = "manifest.json", "classes", "foreground", "small"
FORMAT = 1
_SIDE = 160  # pixels of the longer side of each part of a small picture
# Bytes of a pixel, of a little trained model and thus large: what a map at native size shows beyond the model's own
# size is smooth, and takes less.
_CLASS_BYTES, _CLASS_BYTES_BEYOND = 0.1, 0.02
_FOREGROUND_BYTES, _FOREGROUND_BYTES_BEYOND = 0.75, 0.15
_SMALL_BYTES = 0.35
_FILE_BYTES = 2_048  # of each file besides: its head, and half a block of the disk


def expected_bytes(images: int, model_pixels: int, scored_pixels: int, num_classes: int) -> int:
    """Estimate the size of the predictions of so many images.

    Args:
        model_pixels: of an image as the model gets it.
        scored_pixels: of an image at the evaluation size.
    """
    two = num_classes == 2
    beyond = max(0, scored_pixels - model_pixels)
    maps = (scored_pixels - beyond) * _CLASS_BYTES + beyond * _CLASS_BYTES_BEYOND
    if two:
        maps += (scored_pixels - beyond) * _FOREGROUND_BYTES + beyond * _FOREGROUND_BYTES_BEYOND
    return round(images * (maps + min(scored_pixels, _SIDE**2) * _SMALL_BYTES + (2 + two) * _FILE_BYTES))


class PredictionWriter:
    """A writer of the predictions of a split's images, one after the other; what isn't finished in its context goes.

    A full disk stops the writing and not the evaluation: `problem` then says so.

    Args:
        folder: gets its name from `finish`; an older one of that name is replaced then.
        about: what the manifest says of the run, the data, the split and the protocol; `resize` is the policy.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]):
        self.problem = ""
        self._folder, self._about = folder, dict(about)
        self._part = folder.with_name(f".{secrets.token_hex(4)}{MARK}{folder.name}")
        self._own = FileLock(self._part / LOCK)
        self._images: list[list[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._own.release()
        shutil.rmtree(self._part, ignore_errors=True)

    def add(self, name: str, prediction: Prediction) -> None:
        """Write an image's predictions."""
        if not self.problem:
            try:
                self._add(name, prediction)
            except OSError as error:
                self._fail(error)

    def finish(self, table: ImageTable) -> None:
        """Give the folder its name; `table` is the per-image table of the same predictions."""
        if self.problem:
            return
        probabilities = {"steps": STEPS, "exact_at": list(THRESHOLDS), "greatest_error": GREATEST_ERROR}
        known = {"table": table_hash(table), "probabilities": probabilities, "images": self._images}
        try:
            (self._part / MANIFEST).write_text(json.dumps({"format": FORMAT, **self._about, **known}), encoding="utf-8")
            sync_tree(self._part)
            with changing(self._folder):
                self._own.release()
                (self._part / LOCK).unlink(missing_ok=True)
                settle(self._folder)
                replace_folder(self._part, self._folder, former(self._folder))
        except OSError as error:
            self._fail(error)

    def _add(self, name: str, prediction: Prediction) -> None:
        if not self._images:
            self._begin(prediction.num_classes)
        file = f"{len(self._images)}_{file_name(name)}"
        hashes = [self._write(f"{CLASS_MAPS}/{file}.png", class_png(prediction.classes, prediction.num_classes))]
        if prediction.num_classes == 2:
            hashes.append(self._write(f"{FOREGROUND}/{file}.png", _png(quantise(prediction.foreground))))
        self._write(f"{SMALL}/{file}.webp", _small(prediction, str(self._about["resize"])))
        self._images.append([name, file, *hashes])

    def _begin(self, num_classes: int) -> None:
        """Make the folders, and remove what processes that were killed have left beside them."""
        with changing(self._folder):
            settle(self._folder)
            for part in self._folder.parent.glob(f".*{MARK}{self._folder.name}"):
                remove_if_nobodys(part)
            self._part.mkdir(parents=True)
            self._own.acquire()
        for name in (CLASS_MAPS, SMALL, *([FOREGROUND] if num_classes == 2 else [])):
            (self._part / name).mkdir(parents=True)

    def _write(self, path: str, content: bytes) -> str:
        (self._part / path).write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def _fail(self, error: OSError) -> None:
        self.problem = f"the predictions are not kept, because they can't be written ({error.strerror or error})"
        shutil.rmtree(self._part, ignore_errors=True)


def table_hash(table: ImageTable) -> str:
    """Hash the names and counts of a per-image table, by which predictions know their scores."""
    digest = hashlib.sha256(json.dumps(table.names).encode())
    digest.update(np.ascontiguousarray(table.counts, "<i8").tobytes())
    return digest.hexdigest()


def class_png(classes: np.ndarray, num_classes: int) -> bytes:
    """Encode classes uint8 (H, W) as a PNG whose values are the classes and whose palette makes them visible."""
    return _png(classes, PALETTE[np.arange(num_classes) % len(PALETTE)].astype(np.uint8).tobytes())


def _png(values: np.ndarray, palette: bytes | None = None) -> bytes:
    picture = Image.fromarray(np.ascontiguousarray(values))
    if palette:
        picture.putpalette(palette)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _small(prediction: Prediction, resize: str) -> bytes:
    """Encode image, truth and prediction side by side as lossy WebP."""
    image = visible(prediction.image)
    if image.shape[:2] != prediction.labels.shape:  # scored at native size
        image = geometry.restore(image.astype(np.float32), prediction.labels.shape, resize).clip(0, 255)
    height, width = prediction.labels.shape
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(image.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    maps = [Image.fromarray(values).resize(size, Image.Resampling.NEAREST) for values in
            (prediction.labels, prediction.classes)]  # fmt: skip
    buffer = io.BytesIO()
    Image.fromarray(strip(*map(np.asarray, (picture, *maps)))).save(buffer, "WEBP", quality=70)
    return buffer.getvalue()
