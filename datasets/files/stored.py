"""The values of a file as they are stored, and the picture or the mask that they make.

Kinds: uint8, uint16 and float32 stay what they are; bool becomes uint8; float16, and whole numbers with a sign or of 32
bits or more, become float32, which holds them exactly up to 2 ** 24; float64 is rounded to float32. Alpha channels are
left out unless their band is asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.data.reading.picture import Picture, missing_band
from bench.data.reading.values import KINDS, MOST_BANDS

_EXACT = 2**24  # whole numbers up to here are float32's too
_MASK_COLOURS = (3, 4)  # bands of 8 bits that are colours in a mask
TURNS = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.rot90(image),
}
"""What each EXIF orientation does to an image, (H, W) or (H, W, C)."""


@dataclass(frozen=True)
class Stored:
    """The values of one file."""

    values: np.ndarray  # (H, W, C) of any number type and byte order
    alpha: tuple[int, ...] = ()  # the indexes of bands that are alpha channels
    nodata: float | None = None  # the value that stands for none; None: there is no such value
    valid: np.ndarray | None = None  # False where a mask in the file says that there is no value, bool (H, W)
    orientation: int = 1  # EXIF, 1 to 8
    grey: bool = False  # whether it is a photograph's grey, which is three equal bands

    def picture(self, path: Path, bands: tuple[int, ...] = (), turn: bool = False) -> Picture:
        """Return the chosen bands, or all but alpha, of a kind that packs take; raise DataFault for what none does."""
        if self.grey:
            colours = replace(self, values=np.repeat(self.values[..., :1], 3, axis=2), alpha=(), grey=False)
            return colours.picture(path, bands, turn)
        chosen = bands or tuple(i for i in range(self.values.shape[2]) if i not in self.alpha)
        check_bands(path, self.values.shape[2], chosen)
        whole = chosen == tuple(range(self.values.shape[2]))
        values, missing = self.values if whole else self.values[..., list(chosen)], self._missing(chosen)
        made = np.ascontiguousarray(of_kind(path, values, missing))
        if turn and self.orientation in TURNS:
            made = np.ascontiguousarray(TURNS[self.orientation](made))
            missing = None if missing is None else np.ascontiguousarray(TURNS[self.orientation](missing))
        return Picture.of(made, missing)

    def _missing(self, chosen: tuple[int, ...]) -> np.ndarray | None:
        """Tell where a chosen band has no value, bool (H, W); None: nowhere known."""
        found = None if self.valid is None else ~self.valid
        if self.nodata is not None:
            bands = [i for i in range(self.values.shape[2]) if i not in self.alpha]
            none = has_none(self.values, bands, chosen, self.nodata)
            found = none if found is None else found | none
        return found

    def mask(self, path: Path) -> Image.Image:
        """Return the values of a mask as Pillow would have read them: one band of any kind, or 8-bit RGB or RGBA."""
        values = self.values[..., [i for i in range(self.values.shape[2]) if i not in self.alpha]]
        bands = values.shape[2]
        if bands == 1 or (values.dtype != np.uint8 and (values == values[..., :1]).all()):
            return Image.fromarray(_label_values(path, values[..., 0]))
        if values.dtype == np.uint8 and bands in _MASK_COLOURS:
            return Image.fromarray(np.ascontiguousarray(values))
        what = f"{bands} bands of {values.dtype.name}"
        raise DataFault(f"{path}: the mask has {what}. Accepted: one, or 8-bit RGB.", "depth")


@contextmanager
def damage_as_value_error() -> Iterator[None]:
    """Turn what a library raises for a damaged file, which may be anything, into ValueError of one line."""
    try:
        yield
    except BenchError:
        raise
    except Exception as error:
        raise ValueError(" ".join(str(error).split())[:200] or type(error).__name__) from error


def check_area(path: Path, pixels: int) -> None:
    """Raise DataFault for more pixels than Pillow would read."""
    most = 2 * (Image.MAX_IMAGE_PIXELS or 2**62)
    if pixels > most:
        raise DataFault(f"{path}: it is too large ({pixels} pixels, {most} are read). Cut it into tiles, its mask too.",
                        "size")  # fmt: skip


def has_none(values: np.ndarray, all_bands: list[int], chosen: tuple[int, ...], nodata: float) -> np.ndarray:
    """Tell where an image has no value, bool (H, W): where a chosen band is `nodata`; of 8 bits, where all bands are.

    In 8 bits the value is mostly 0, which dark and saturated colours have in a band or two.
    """
    if values.dtype.kind in "iu" and not (nodata % 1 == 0 and _fits(nodata, values.dtype)):
        return np.zeros(values.shape[:2], bool)
    with np.errstate(over="ignore"):  # a number beyond the type is in no pixel
        value = values.dtype.type(nodata)
    if values.dtype.itemsize == 1:
        return (values[..., all_bands] == value).all(axis=-1)
    return (values[..., list(chosen)] == value).any(axis=-1)


def _fits(value: float, dtype: np.dtype) -> bool:
    return np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def check_bands(path: Path, count: int, chosen: tuple[int, ...]) -> None:
    """Raise DataFault unless a file with a number of bands has the chosen ones, 1 to 32 of them."""
    if not 1 <= len(chosen) <= MOST_BANDS:
        raise DataFault(
            f"{path}: the image has {len(chosen)} bands; 1 to {MOST_BANDS} are read. Choose some, as in --bands 3,2,1.",
            "depth",
        )
    if max(chosen) >= count:
        raise DataFault(f"{path}: {missing_band(max(chosen), count)}", "depth")


def of_kind(path: Path, values: np.ndarray, missing: np.ndarray | None = None) -> np.ndarray:
    """Turn values of any number type into uint8, uint16 or float32 in the machine's byte order.

    Args:
        missing: where there is no value, bool (H, W), so that any number may stand there; None: nowhere.
    """
    kind, name = values.dtype.kind, values.dtype.newbyteorder("=").name
    if name in KINDS:
        return values.astype(name, copy=False)
    if kind == "b":
        return values.astype(np.uint8)
    if kind == "f":
        with np.errstate(over="ignore"):  # beyond float32: infinite, which counts as no value
            return values.astype(np.float32)
    if kind in "iu":
        seen = values if missing is None else values[~missing]
        if seen.size and (int(seen.max()) > _EXACT or int(seen.min()) < -_EXACT):
            what = f"values of {name} beyond {_EXACT:,}, which float32 doesn't hold exactly"
            raise DataFault(f"{path}: the image has {what}. Save it as uint16 or float32.", "depth")
        return values.astype(np.float32)
    raise DataFault(f"{path}: the image has values of {name}. Accepted: whole numbers and floats.", "depth")


def _label_values(path: Path, values: np.ndarray) -> np.ndarray:
    """Turn the one band of a mask, (H, W), into a type that Pillow has."""
    kind, name = values.dtype.kind, values.dtype.newbyteorder("=").name
    if name in ("bool", "uint8", "uint16"):
        return np.ascontiguousarray(values.astype(name))
    if kind == "f":
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(values.astype(np.float32))
    if kind in "iu" and (not values.size or (int(values.min()) >= -(2**31) and int(values.max()) < 2**31)):
        return np.ascontiguousarray(values.astype(np.int32))
    raise DataFault(
        f"{path}: the mask has values of {name}. Accepted: whole numbers below 2 ** 31, and floats.", "depth"
    )
