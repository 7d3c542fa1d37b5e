"""Fit the memory of training over batch and image size, and ask the fit which batches a card holds.

    memory = a + b x batch + c x batch x megapixels

The fit is by ordinary least squares. Its intervals are 95 % t-intervals: those of a, b and c, and prediction intervals
for one more measurement. They take the points for independent, as each is the peak of a process of its own, and the
scatter about the fit for even; where it grows with the memory, the intervals of small memories are too wide. With one
image size there is no c. Nothing is said beyond what was measured: see `MemoryFit.most`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
SPARE = 2  # points that a fit needs beyond its coefficients
PER_SIZE = 2  # different batches that a fit needs of each image size
_MEGA = 1e6
Numbers = NDArray[np.float64]


class NotFitted(Exception):
    """The points make no fit, for the reason in the text, which is one line."""


@dataclass(frozen=True)
class Point:
    """The peak memory of training one batch size at one image size."""

    batch: int
    pixels: int  # of one image
    mib: float


@dataclass(frozen=True)
class Holds:
    """The batches that some memory holds at one image size."""

    surely: int  # the largest batch whose prediction interval lies within the memory; 0: none
    perhaps: int  # the largest batch whose prediction interval begins within it
    most: int  # the largest batch about which the fit says anything

    @property
    def decided(self) -> bool:
        """True if the memory holds something, and not all that was measured."""
        return self.perhaps > 0 and self.surely < self.most


@dataclass(frozen=True, eq=False)
class MemoryFit:
    """A fit; make it with `fit_memory`."""

    points: tuple[Point, ...]
    coefficients: Numbers  # a, b and, with several image sizes, c; MiB, c for each megapixel
    covariance: Numbers  # of the coefficients
    sd: float  # of the points about the fit, in MiB
    freedom: int

    @property
    def sizes(self) -> list[int]:
        """The measured image sizes in pixels, in order."""
        return sorted({point.pixels for point in self.points})

    @property
    def intervals(self) -> Numbers:
        """The lower and upper bounds of the coefficients, (coefficients, 2)."""
        half = self._quantile * np.sqrt(np.diag(self.covariance))
        return np.stack([self.coefficients - half, self.coefficients + half], axis=1)

    @property
    def _quantile(self) -> float:
        return float(stats.t.ppf((1 + LEVEL) / 2, self.freedom))

    def predict(self, batches: Numbers, pixels: int) -> tuple[Numbers, Numbers, Numbers]:
        """Return the lower bound, the fit and the upper bound of one more measurement of each batch, in MiB."""
        rows = _design(batches, np.full(len(batches), pixels, float), len(self.coefficients))
        fitted = rows @ self.coefficients
        half = self._quantile * np.sqrt(self.sd**2 + np.einsum("ij,jk,ik->i", rows, self.covariance, rows))
        return fitted - half, fitted, fitted + half

    def most(self, pixels: int) -> int:
        """Return the largest batch about which the fit says anything at an image size; 0 for sizes out of range.

        At a measured size it is the largest batch that was measured there. Between two sizes it lies on the straight
        line between theirs.
        """
        sizes = self.sizes
        if not sizes[0] <= pixels <= sizes[-1]:
            return 0
        largest = [max(point.batch for point in self.points if point.pixels == size) for size in sizes]
        return int(np.interp(pixels, sizes, largest))

    def holds(self, pixels: int, mib: float) -> Holds:
        """Return which batches so much memory holds at an image size."""
        most = self.most(pixels)
        low, _, high = self.predict(np.arange(1.0, most + 1), pixels)
        return Holds(_leading(high <= mib), _leading(low <= mib), most)


def fit_memory(points: Sequence[Point]) -> MemoryFit:
    """Fit the points of one model.

    Raises:
        NotFitted: there are too few points, or memory doesn't rise with the batch.
    """
    sizes = {point.pixels for point in points}
    width = 3 if len(sizes) > 1 else 2
    _check_enough(points, width)
    batches, pixels, mib = np.array([(p.batch, p.pixels, p.mib) for p in points], float).T
    rows = _design(batches, pixels, width)
    coefficients: Numbers = np.linalg.lstsq(rows, mib, rcond=None)[0].astype(float)
    freedom = len(points) - width
    variance = float(np.sum((mib - rows @ coefficients) ** 2)) / freedom
    slope = _design(np.ones(len(sizes)), np.array(sorted(sizes), float), width)[:, 1:] @ coefficients[1:]
    if slope.min() <= 0:
        raise NotFitted(
            f"memory doesn't rise with the batch beyond its scatter of {variance**0.5:.3g} MiB; measure larger batches "
            f"than {batches.max():g} (--largest-batch) or larger images"
        )
    covariance: Numbers = variance * np.linalg.inv(rows.T @ rows).astype(float)
    return MemoryFit(tuple(points), coefficients, covariance, variance**0.5, freedom)


def _check_enough(points: Sequence[Point], width: int) -> None:
    batches: dict[int, set[int]] = {}
    for point in points:
        batches.setdefault(point.pixels, set()).add(point.batch)
    fewest = min(map(len, batches.values()), default=0)
    if len(points) < width + SPARE or fewest < PER_SIZE:
        raise NotFitted(
            f"too few points: {len(points)} at {len(batches)} image sizes with {fewest} batches or more each; "
            f"{width + SPARE} points and {PER_SIZE} batches of each size are needed (a larger --largest-batch)"
        )


def _design(batches: Numbers, pixels: Numbers, width: int) -> Numbers:
    """Return the rows 1, batch and batch x megapixels; without the last for a width of 2."""
    columns = (np.ones(len(batches)), batches, batches * pixels / _MEGA)
    return np.stack(columns[:width], axis=1)


def _leading(fits: NDArray[np.bool_]) -> int:
    """Count the batches from 1 on that fit, up to the first that doesn't."""
    return len(fits) if fits.all() else int(np.argmin(fits))
