"""Turn the stored values of a picture into those of a pack: 8 bits as they are, all else as 16 bits of a range.

A model gets values in [0, 1]: those of 8 bits divided by 255, those of 16 bits by 65535. The parameter `scale_values`
says which stored values become 0 and 1; what lies beyond is clipped. Without it pictures of 8 bits keep their range,
and others take percentiles of the training split, band by band.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from bench.core.errors import BenchError

MOST_BANDS = 32
KINDS = ("uint8", "uint16", "float32")  # of stored values, in the machine's byte order
RANGE, PERCENTILES = "range", "percentiles"
PERCENTS = (0.5, 99.5)  # as nnU-Net clips CT images: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z
LIMITS = {"uint8": 255.0, "uint16": 65535.0}
_ACCEPTED = (
    f"Accepted: {RANGE} (of 8 or 16 bits), {PERCENTILES} (of the training split, by band), or the values that become 0 "
    "and 1, such as 0:4095, or one pair for each band: 0:4095,-1:1"
)

Pairs = tuple[tuple[float, float], ...]


def parse_scale(text: str) -> str | Pairs:
    """Read the parameter `scale_values`: "", a rule by its name, or pairs LOW:HIGH; raise BenchError for others."""
    if text in ("", RANGE, PERCENTILES):
        return text
    try:
        pairs = tuple((float(low), float(high)) for low, high in (part.split(":") for part in text.split(",")))
    except ValueError:
        pairs = ()
    if not pairs or not all(math.isfinite(low) and math.isfinite(high) and low < high for low, high in pairs):
        raise BenchError(f"The parameter scale_values is '{text[:80]}'. {_ACCEPTED}.")
    return pairs


def parse_bands(text: str) -> tuple[int, ...]:
    """Read the parameter `bands`, numbers from 1 with commas, as indexes from 0; raise BenchError for others."""
    if not text:
        return ()
    parts = [part.strip() for part in text.split(",")]
    bands = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) <= 5]
    if len(bands) < len(parts) or min(bands) < 1 or len(bands) > MOST_BANDS or len(set(bands)) < len(bands):
        raise BenchError(
            f"The bands are '{text[:80]}'. Accepted: up to {MOST_BANDS} different numbers, counted from 1, in the "
            "order that a model gets them, such as 3,2,1."
        )
    return tuple(band - 1 for band in bands)


@dataclass(frozen=True)
class Values:
    """The bands of a data set's pictures, and what becomes of their values."""

    bands: int = 3
    kind: str = "uint8"  # of the stored values: one of KINDS
    rule: str = RANGE  # "range", "percentiles" or "given"
    low: tuple[float, ...] = ()  # what becomes 0, by band; empty: values are packed as they are stored
    high: tuple[float, ...] = ()  # what becomes 65535
    chosen: tuple[int, ...] = ()  # indexes of the stored bands; empty: all of them, or RGB of a photograph

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a pack's values: uint8, or uint16 with the lowest byte first."""
        return np.dtype("u1") if self.kind == "uint8" and not self.low else np.dtype("<u2")

    @property
    def is_plain(self) -> bool:
        """Tell whether pictures are what they always were: RGB of 8 bits."""
        return self == Values()

    @property
    def bytes_of_pixel(self) -> int:
        """The bytes of a pixel in a pack."""
        return self.bands * self.dtype.itemsize

    def packed(self, image: np.ndarray) -> np.ndarray:
        """Turn an image of stored values, possibly resized to float32, into `dtype`: (H, W, C)."""
        if not self.low:
            return image.astype(self.dtype, copy=False) if image.dtype != np.float32 else _rounded(image, self.dtype)
        low, high = (np.array(ends, np.float64) for ends in (self.low, self.high))
        return _rounded((image - low) / (high - low) * LIMITS["uint16"], self.dtype)

    def floor(self) -> np.ndarray:
        """Return the stored value that becomes 0, float32: of each band, (C,), or of any number of them, (1,)."""
        return np.array(self.low or (0.0,), np.float32)

    def given(self) -> str:
        """Write `scale_values` so that other pictures are scaled by the same numbers; empty: by the default."""
        pairs = zip(self.low, self.high, strict=True)
        return ",".join(f"{low!r}:{high!r}" for low, high in pairs) or ("" if self.kind == "uint8" else RANGE)

    def bands_text(self) -> str:
        """Write the chosen bands as the parameter `bands` does, numbered from 1."""
        return ",".join(str(band + 1) for band in self.chosen)

    def describe(self) -> str:
        """Say for readers of the results what images have, and what a model gets of them."""
        bands = f"{self.bands} band{'s' * (self.bands > 1)} of {self.kind}"
        which = f" (bands {self.bands_text()} of the files)" if self.chosen else ""
        if not self.low:
            return f"{bands}{which}, divided by {LIMITS[self.kind]:.0f}"
        ends = [f"{low:g} to {high:g}" for low, high in zip(self.low, self.high, strict=True)]
        rule = f"the {PERCENTS[0]} and {PERCENTS[1]} percentiles of training images" if self.rule == PERCENTILES else ""
        return f"{bands}{which}, scaled by band from {', '.join(ends)}{f' ({rule})' * bool(rule)}"

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON can hold."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, found: Any) -> Self:
        """Take what `to_dict` returned; without it, what packs and records had before there was a choice."""
        if found is None:
            return cls()
        try:
            read: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
            made = cls(**read)
            good = 1 <= made.bands <= MOST_BANDS and made.kind in KINDS
        except (TypeError, AttributeError):
            good = False
        if not good:
            raise BenchError(f"The values of the images are described as {str(found)[:80]}, which can't be read.")
        return made


def _rounded(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    return np.rint(np.clip(values, 0, np.iinfo(dtype).max)).astype(dtype)
