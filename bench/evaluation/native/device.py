"""Restore logits and count pixels on the device: several images of one size at once, in one compiled function.

A GPU rounds in another way than OpenCV. So a row of pixels in which a value lies nearer to a threshold than rounding
can move it is left to the host, and the outcome is that of `HostRestorer` to the last pixel.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from bench.core.errors import is_out_of_memory, reason_of
from bench.core.specs import IGNORE_INDEX
from bench.evaluation.confusion import THRESHOLDS, confusion_counts, level_counts
from bench.evaluation.native.device_counts import restore_and_count
from bench.evaluation.native.host import HostRestorer, decided, margins
from bench.evaluation.native.outcome import NO_MAP, Outcome, Wanted
from bench.evaluation.native.resizing_axes import axes
from bench.profiling.runtime import Runtime

STEP = 128  # pixels: the sides of labels are padded to multiples of it
MOST_BYTES = 2**28  # of the device's memory for temporaries, unless a single image needs more
MOST_HELD = 2**27  # pixels of labels that wait on the host for others of their size
WORTH = 2**29  # pixels: the host needs 1.4 ns for each, 4 ns with levels; to compile takes about a second
_ROUNDING = np.float32(2**-20)  # of the largest logit: 16 roundings of float32, twice what both ways make together
_HALF = THRESHOLDS.index(0.5)

_Size = tuple[int, int]
_Labels = NDArray[np.uint8]
_Images = Sequence[tuple[NDArray[np.float32], _Labels]]  # margins or logits (h, w, K), and labels (H, W)
_Found = dict[str, NDArray[Any]]  # of one image, see `restore_and_count`


class DeviceRestorer:
    """A restorer on the device of a backend, for images that were resized by a policy of bench/data/geometry.py.

    If the device has no room, it says so once and goes on on the host.

    Args:
        worth: pixels of one padded size that the host restores before a function is compiled for it.
    """

    def __init__(self, runtime: Runtime, resize: str, *, worth: int = WORTH):
        self._compiler, self._host, self._worth = runtime.fused, HostRestorer(resize), worth
        self._seen: Counter[tuple[_Size, Wanted]] = Counter()
        self.full = False

    def outcomes(
        self, logits: NDArray[np.float32], truths: Iterable[_Labels], wanted: Wanted
    ) -> Iterator[tuple[_Labels, Outcome]]:
        """Yield labels and outcomes; see `Restorer`. At most `MOST_HELD` pixels and one image are held in memory."""
        some, held = [], 0
        for image in zip(margins(logits), truths, strict=False):
            some.append(image)
            held += image[1].size
            if held >= MOST_HELD:
                yield from self._in_order(some, logits.shape, wanted)
                some, held = [], 0
        yield from self._in_order(some, logits.shape, wanted)

    def _in_order(self, some: _Images, batch: tuple[int, ...], wanted: Wanted) -> Iterator[tuple[_Labels, Outcome]]:
        """Restore images of several sizes, those of one size together; `batch` is the shape of all logits."""
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, (_, truth) in enumerate(some):
            by_size[truth.shape].append(place)
        found: dict[int, Outcome] = {}
        for size, places in by_size.items():
            number = min(batch[0], _most_at_once(_padded(size), some[0][0].shape[-1]))
            for start in range(0, len(places), number):
                chunk = places[start : start + number]
                outcomes = self._of_one_size([some[place] for place in chunk], number, batch[-1], wanted)
                found |= zip(chunk, outcomes, strict=True)
        for place, (_, truth) in enumerate(some):
            yield truth, found[place]

    def _of_one_size(self, some: _Images, number: int, num_classes: int, wanted: Wanted) -> list[Outcome]:
        if self.full or not self._is_worth_it([truth for _, truth in some], wanted):
            return self._on_host(some, wanted)
        try:
            counted = self._counted(some, number, num_classes, wanted)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self.full = True
            size = "x".join(map(str, some[0][1].shape))
            print(f"The device has no room to count images of {size}, so the host does: {reason_of(error)}", flush=True)
            return self._on_host(some, wanted)
        return [self._completed(*image, one, wanted) for image, one in zip(some, counted, strict=True)]

    def _is_worth_it(self, truths: Sequence[_Labels], wanted: Wanted) -> bool:
        """Add these pixels to those of their size, and tell whether there were enough before them."""
        key = _padded(truths[0].shape), wanted
        before = self._seen[key]
        self._seen[key] += sum(truth.size for truth in truths)
        return before >= self._worth

    def _on_host(self, some: _Images, wanted: Wanted) -> list[Outcome]:
        return [decided(self._host.restored(values, truth.shape), wanted) for values, truth in some]

    def _counted(self, some: _Images, number: int, num_classes: int, wanted: Wanted) -> list[_Found]:
        """Run the function that is compiled for `number` images of a size, which may be more than there are."""
        height, width = some[0][1].shape
        padded = _padded((height, width))
        labels = np.full((number, *padded), IGNORE_INDEX, np.uint8)
        values = np.zeros((number, *some[0][0].shape), np.float32)
        for place, (margin, truth) in enumerate(some):
            values[place], labels[place, :height, :width] = margin, truth
        near = _ROUNDING * np.abs(values).max(axis=(1, 2, 3))
        rows, columns = axes((height, width), values.shape[1:3], self._host.resize, padded)
        function = _compiled(self._compiler, num_classes, wanted)
        found = function(values, labels, near, tuple(rows), tuple(columns))
        arrays = {name: np.asarray(ops.convert_to_numpy(value)) for name, value in found.items()}
        return [{name: value[place] for name, value in arrays.items()} for place in range(len(some))]

    def _completed(self, margin: NDArray[np.float32], truth: _Labels, found: _Found, wanted: Wanted) -> Outcome:
        """Add the rows of pixels that the device has left out."""
        counts, unsure = found["counts"].astype(np.int64), found["unsure"][: len(truth)]
        if found["wrong"]:
            confusion_counts(truth[None], np.zeros_like(truth)[None], len(counts))  # raises the error
        exact = decided(self._host.restored(margin, truth.shape)[unsure], wanted) if unsure.any() else None
        by_threshold = _by_threshold(found["levels"], counts) if "levels" in found else None
        if exact:
            left_out = truth[unsure][None]
            counts += confusion_counts(left_out, exact.classes[None], len(counts))[0]
            if by_threshold is not None:
                by_threshold += level_counts(left_out, exact.passed[None])[0]
        return Outcome(*_maps(found, truth.shape, unsure, exact), counts, by_threshold)


def _maps(
    found: _Found, size: tuple[int, ...], unsure: NDArray[np.bool_], exact: Outcome | None
) -> tuple[_Labels, NDArray[np.unsignedinteger]]:
    """Return the classes and the passed thresholds of every pixel, or empty arrays."""
    if "map" not in found:
        return NO_MAP, NO_MAP
    classes = passed = found["map"][: size[0], : size[1]].copy()
    if "levels" in found:
        classes = (passed > _HALF).astype(np.uint8)
    if exact:
        classes[unsure] = exact.classes
        if "levels" in found:
            passed[unsure] = exact.passed
    return classes, passed if "levels" in found else NO_MAP


def _by_threshold(pairs: NDArray[Any], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Make the counts of class 1 at each threshold, (19, 3), from tp and fp, and from those of the classes."""
    tp, fp = pairs.astype(np.int64).T
    return np.stack([tp, fp, counts[1, 0] + counts[1, 2] - tp], axis=-1)


@cache
def _compiled(compiler: Callable[..., Any], num_classes: int, wanted: Wanted) -> Callable[..., dict[str, Any]]:
    levels = wanted.levels and num_classes == 2
    return compiler(partial(restore_and_count, num_classes=num_classes, levels=levels, maps=wanted.maps))


def _most_at_once(padded: _Size, channels: int) -> int:
    """Return how many images of a padded size `MOST_BYTES` suffice for, at least 1."""
    return max(1, MOST_BYTES // (padded[0] * padded[1] * (12 * channels + 16)))  # three arrays of float32, and masks


def _padded(size: tuple[int, ...]) -> _Size:
    """Round a size up, so that images of many sizes need few compilations."""
    height, width = (-(-side // STEP) * STEP for side in size)
    return height, width
