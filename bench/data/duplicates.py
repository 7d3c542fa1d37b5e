"""Find pictures that are in two splits, by their pixels, and pictures that look the same, by a perceptual hash.

The perceptual hash is `imagehash.phash` with 256 bits, of the image shrunk to 64 x 64; two images look the same if at
most NEAR bits differ. Measured on excerpts of pets (540 images), carvana (6 cars in one studio, 96 images) and airbus
(120 images), the number of different bits was

    0, 2, 2, 6 and 16 for five pairs of pets that are the same photograph, the last with a watermark; 84 or more for
    all other pairs of pets
    32 or more for different cars, 94 on average for the same view of two cars (a lognormal distribution of these puts
    the nearest of all 318 cars at 16); 76 or more for airbus
    for copies of pets and carvana: at most 6 if saved as JPEG of quality 30 to 90 or resized to a quarter, half or
    double size, 12 if 10 % brighter or darker, 24 if 20 % brighter
    for copies of airbus, whose sea has little texture: at most 12 for 77 % (JPEG quality 30) to 95 % (double size)

So no two different pictures were taken for the same. Not found are copies that were turned, mirrored or cropped (a crop
of 2 % changes 30 bits), and flat images, which have no hash. Hashing takes 1 to 4 ms an image.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import imagehash
import numpy as np
from PIL import Image

from bench.core.dataset_protocol import Sample
from bench.core.errors import first_few
from bench.data.reading.picture import Picture
from bench.data.reading.visible import stretched
from bench.data.source import SPLIT_WORDS, SPLITS

NEAR = 12  # most bits of 256 that differ between pictures that look the same
_SIDE = 16  # of the hash, in bits
_SHRUNK = 4 * _SIDE  # pixels; imagehash takes the lowest quarter of the frequencies
_AVERAGED = 3 * _SHRUNK  # pixels that are left along each side at least
_FLAT = 2.0  # a shrunk image with a smaller standard deviation of its grey values shows nothing
_ADVICE = "Take one of each pair out, or keep both in one split with groups.csv or --group-by."
_BLOCK = 2**22  # pairs compared at once


@dataclass(frozen=True)
class Look:
    """The hashes that identify a picture."""

    pixels: bytes  # hash of size and pixels, those of a large image averaged over blocks
    bits: bytes | None  # perceptual hash, 256 bits; None for a flat image


def look_at(image: Image.Image) -> Look:
    """Hash an image of 8-bit RGB; one of more than twice 192 pixels along a side is first averaged over blocks."""
    blocks = max(1, image.width // _AVERAGED), max(1, image.height // _AVERAGED)
    averaged = image.reduce(blocks) if blocks != (1, 1) else image
    pixels = hashlib.sha256(str(image.size).encode() + averaged.tobytes()).digest()
    small = averaged.convert("L").resize((_SHRUNK, _SHRUNK), Image.Resampling.LANCZOS)
    flat = np.asarray(small).std() < _FLAT
    return Look(pixels, None if flat else np.packbits(imagehash.phash(small, hash_size=_SIDE).hash).tobytes())


def look_at_picture(picture: Picture) -> Look:
    """Hash a picture of any bands: 8-bit RGB as `look_at` does, others by all values, and by the mean of the bands."""
    if isinstance(picture.pixels, Image.Image):
        return look_at(picture.pixels)
    pixels = picture.pixels
    seen = look_at(Image.fromarray(stretched(pixels)).convert("RGB"))
    exact = hashlib.sha256(f"{pixels.dtype} {pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes())
    return Look(exact.digest(), seen.bits)


def duplicate_warnings(samples: Sequence[Sample], looks: Sequence[Look]) -> list[str]:
    """Say which pictures are in two splits, or look the same as one in another split.

    Args:
        looks: one per sample.
    """
    by_split: dict[str, dict[str, Look]] = {split: {} for split in SPLITS}
    for sample, look in zip(samples, looks, strict=True):
        by_split[str(sample.split)][sample.name] = look
    warnings = []
    for one, other in combinations(SPLITS, 2):
        same = _same(by_split[one], by_split[other])
        alike = _alike(by_split[one], by_split[other], set(same))
        place = f"{SPLIT_WORDS[other]} and in {SPLIT_WORDS[one]}"
        if same:
            warnings.append(f"{_count(same)} in {place} (the same picture): {_pairs(same)}. {_ADVICE}")
        if alike:
            warnings.append(
                f"{_count(alike)} in {place} but for small changes (near duplicates): {_pairs(alike)}. {_ADVICE}"
            )
    return warnings


def _same(ones: Mapping[str, Look], others: Mapping[str, Look]) -> dict[str, str]:
    """Map the names of `others` to those of `ones` with equal pixels."""
    by_pixels = {look.pixels: name for name, look in reversed(list(ones.items()))}
    return {name: by_pixels[look.pixels] for name, look in others.items() if look.pixels in by_pixels}


def _alike(ones: Mapping[str, Look], others: Mapping[str, Look], left_out: set[str]) -> dict[str, str]:
    """Map the names of `others`, but for some, to those of `ones` that look most alike and near enough."""
    names, signs = _signs(ones)
    asked, wanted = _signs({name: look for name, look in others.items() if name not in left_out})
    found = {}
    rows = max(1, _BLOCK // max(1, len(names)))
    for begin in range(0, len(asked) if names else 0, rows):
        agreement = wanted[begin : begin + rows] @ signs.T  # 256 minus twice the number of different bits
        for row in np.flatnonzero(agreement.max(axis=1) >= _SIDE * _SIDE - 2 * NEAR):
            found[asked[begin + row]] = names[agreement[row].argmax()]
    return found


def _signs(looks: Mapping[str, Look]) -> tuple[list[str], np.ndarray]:
    """Return the names with a perceptual hash, and its bits as -1 and 1, float32 (N, 256)."""
    names = [name for name, look in looks.items() if look.bits is not None]
    packed = np.frombuffer(b"".join(looks[name].bits or b"" for name in names), np.uint8)
    bits = np.unpackbits(packed).reshape(len(names), _SIDE * _SIDE)
    return names, np.where(bits == 1, np.float32(1), np.float32(-1))


def _count(pairs: Mapping[str, str]) -> str:
    return "1 picture is" if len(pairs) == 1 else f"{len(pairs)} pictures are"


def _pairs(pairs: Mapping[str, str]) -> str:
    return first_few(f"{name} = {other}" for name, other in pairs.items())
