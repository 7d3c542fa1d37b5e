"""Find out what becomes of a data set's values: the bands and depth of its first image, and the range to scale from."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from bench.core.dataset_protocol import Sample
from bench.core.errors import BenchError
from bench.core.files import cached, share, text_hash
from bench.core.surroundings import usable_cores
from bench.data.reading.decode import decode
from bench.data.reading.picture import Picture
from bench.data.reading.values import PERCENTILES, PERCENTS, RANGE, Values, parse_scale
from bench.data.source import Source

_TRIED = 8  # images of which one must be readable; else reading all of them reports the faults
_IMAGES = 256  # training images whose values are looked at, chosen by a hash of their names
_PIXELS = 4096  # of each, evenly spaced
_VERSION = 1


def with_values(source: Source, stamps: Callable[[], Sequence[Any]] | None = None) -> Source:
    """Return the source with its `values`, and a note on them unless they are 8-bit RGB.

    Args:
        stamps: gives those of the samples, in order, under which percentiles are cached; None: they are computed.

    Raises:
        BenchError: the rule doesn't fit the images.
    """
    first = _first(source)
    if source.values is not None or first is None:
        return source
    plain = Values(first.bands, first.kind, chosen=source.bands)
    rule = parse_scale(source.scale_values) or (RANGE if first.kind == "uint8" else PERCENTILES)
    if isinstance(rule, tuple):
        low, high = zip(*_for_each(rule, first.bands), strict=True)
        values = replace(plain, rule="given", low=low, high=high)
    elif rule == RANGE:
        values = plain
        if first.kind == "float32":
            raise BenchError(
                f"scale_values={RANGE} needs images of 8 or 16 bits; those of '{source.spec.name}' have values of "
                f"float32, which have no range. Give {PERCENTILES}, or the values that become 0 and 1, such as 0:1."
            )
    else:
        low, high = _percentiles(source, plain, stamps)
        values = replace(plain, rule=PERCENTILES, low=low, high=high)
    notes = (
        source.notes if replace(values, chosen=()).is_plain else (*source.notes, f"the images have {values.describe()}")
    )
    return replace(source, values=values, notes=notes)


def _first(source: Source) -> Picture | None:
    """Read the first training image that can be read; None if none of a few can."""
    for sample in source.of_split("train")[:_TRIED]:
        try:
            return decode(source, sample, None).picture
        except (BenchError, OSError):
            continue
    return None


def _for_each(pairs: tuple[tuple[float, float], ...], bands: int) -> tuple[tuple[float, float], ...]:
    if len(pairs) not in (1, bands):
        raise BenchError(
            f"The parameter scale_values has {len(pairs)} pairs, and the images have {bands} bands. Give one pair for "
            "all bands, or one for each."
        )
    return pairs if len(pairs) == bands else pairs * bands


def _percentiles(
    source: Source, plain: Values, stamps: Callable[[], Sequence[Any]] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the low and the high percentile of each band over pixels of the training split."""
    if stamps is None:
        found = _computed(source, plain)
    else:
        asked = json.dumps([_VERSION, source.adapter_hash, source.bands, stamps()])
        found = cached("values", text_hash(asked), lambda: _computed(source, plain))
    low, high = found
    return tuple(low), tuple(high)


def _computed(source: Source, plain: Values) -> list[list[float]]:
    chosen = sorted(source.of_split("train"), key=lambda sample: (share("values", sample.name), sample.name))[:_IMAGES]
    with ThreadPoolExecutor(len(usable_cores())) as pool:
        found = [part for part in pool.map(lambda sample: _some(source, sample, plain), chosen) if len(part)]
    if not found:
        raise BenchError(
            f"The training images of '{source.spec.name}' have no pixel with a value in every band, so percentiles "
            "can't be taken. Give the values that become 0 and 1, such as --dataset-param scale_values=0:4095."
        )
    low, high = np.percentile(np.concatenate(found), PERCENTS, axis=0)
    high = np.where(high > low, high, low + 1)  # a band of one value becomes 0
    return [low.astype(float).tolist(), high.astype(float).tolist()]


def _some(source: Source, sample: Sample, plain: Values) -> np.ndarray:
    """Return pixels of an image that have values, float64 (N, C); none if it can't be read or has other bands."""
    try:
        picture = decode(source, sample, None).picture
    except (BenchError, OSError):  # reported when it is packed
        return np.zeros((0, plain.bands))
    if (picture.bands, picture.kind) != (plain.bands, plain.kind):
        return np.zeros((0, plain.bands))
    pixels = picture.array().reshape(-1, picture.bands)
    pixels = pixels if picture.missing is None else pixels[~picture.missing.ravel()]
    return pixels[:: max(1, len(pixels) // _PIXELS)].astype(np.float64)
