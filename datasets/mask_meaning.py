"""Apply what a mask's values mean: from values, colours or an alpha channel to labels. mask_rules.py decides it."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from bench.core.dataset_protocol import DataFault
from bench.core.errors import first_few
from bench.core.specs import IGNORE_INDEX
from bench.data.packing.runs import Runs
from bench.datasets.image_files import open_image
from bench.datasets.mask_survey import alpha_of, channel, colours_of, is_lossy, number

LIGHT = 128  # the least grey value of class 1 in a mask of a lossy format
_MOST_NAMED = 8  # unknown values that a message names

Source = Literal["values", "colours", "alpha"]


@dataclass(frozen=True)
class Meaning:
    """The classes of a set of masks and how they are read."""

    classes: tuple[str, ...]
    labels: Mapping[float, int] = field(default_factory=dict)  # value, or colour as 0xRRGGBB -> label or IGNORE_INDEX
    source: Source = "values"
    threshold: float | None = None  # from this value on a pixel is class 1; None: `labels` has every value

    def read(self, path: Path) -> np.ndarray:
        """Read a mask's labels, uint8 (H, W); DataFault names the file and the values that are no classes."""
        return open_image(path, lambda picture: self.labels_of(picture, path))

    def labels_of(self, picture: Image.Image, place: object) -> np.ndarray:
        """Return the labels of an open image, uint8 (H, W); `place` names it in errors."""
        lossy = is_lossy(picture)
        values = self._values(picture, place)
        if self.threshold is not None or (lossy and self.source == "values"):
            light = LIGHT if self.threshold is None else self.threshold
            return self._thresholded(values, light)
        return self.labels_of_values(values, place)

    def labels_of_values(self, values: np.ndarray, place: object) -> np.ndarray:
        """Map whole numbers or floats (H, W) to labels, uint8 (H, W)."""
        if self.threshold is not None:
            return self._thresholded(values, self.threshold)
        runs = Runs.of(values)  # a sort of all pixels takes ten times as long as decoding them
        found, where = np.unique(runs.values, return_inverse=True)
        known = {IGNORE_INDEX: IGNORE_INDEX, **self.labels} if self.source == "values" else self.labels
        keys = [number(value) for value in found.tolist()]
        if unknown := [key for key in keys if key not in known]:
            raise DataFault(f"{place}: {self._what(unknown)} are not classes. {self._accepted()}", "values")
        table = np.array([known[key] for key in keys], np.uint8)
        return np.repeat(table[where], runs.lengths).reshape(values.shape)

    def _thresholded(self, values: np.ndarray, threshold: float) -> np.ndarray:
        labels = (values >= threshold).astype(np.uint8)
        for value in (value for value, label in self.labels.items() if label == IGNORE_INDEX):
            labels[np.isnan(values) if math.isnan(value) else values == value] = IGNORE_INDEX
        return labels

    def _values(self, picture: Image.Image, place: object) -> np.ndarray:
        look: dict[Source, Callable[[Image.Image], np.ndarray | None]] = {
            "values": channel,
            "colours": colours_of,
            "alpha": alpha_of,
        }
        values = look[self.source](picture)
        if values is None:
            raise DataFault(f"{place}: the mask has colours where the others have values. {self._accepted()}", "values")
        return values

    def _what(self, unknown: list[float]) -> str:
        return f"the {self.source} [{first_few(map(self._text, unknown), _MOST_NAMED)}]"

    def _accepted(self) -> str:
        return f"Accepted: {', '.join(self._text(value) for value in list(self.labels)[:64])}."

    def _text(self, value: float) -> str:
        return f"#{int(value):06x}" if self.source == "colours" else f"{value:g}"

    def token(self) -> str:
        """Return a text that differs whenever the same file would be read to other labels."""
        own = (value for value, label in self.labels.items() if (value, label) != (IGNORE_INDEX, IGNORE_INDEX))
        pairs = sorted(([value, self.labels[value]] for value in own), key=lambda pair: (math.isnan(pair[0]), pair[0]))
        if self.source == "values" and self.threshold is None:
            return json.dumps([self.classes, pairs])
        return json.dumps([self.classes, pairs, self.source, self.threshold])
