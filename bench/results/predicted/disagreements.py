"""The images on which two configurations disagree most: one is right and the other wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.results.analysis.configurations import Configuration
from bench.results.analysis.uncertainty import image_means


@dataclass(frozen=True)
class Disagreement:
    """An image with the mean IoU of both, averaged over their trials."""

    place: int  # in the list of images
    name: str
    one: float
    other: float


def disagreements(
    names: Sequence[str], one: NDArray[np.float64], other: NDArray[np.float64], most: int
) -> tuple[list[Disagreement], list[Disagreement]]:
    """List the images on which the first is better, and those on which the second is, by the largest difference.

    Args:
        names: N names of images.
        one, other: (N,) mean IoU of the images; NaN for an image without a class that counts.
        most: the length of a list.
    """
    difference = one - other
    return tuple(  # type: ignore[return-value]
        [
            Disagreement(int(place), names[place], float(one[place]), float(other[place]))
            for place in np.argsort(-signed, kind="stable")[:most]  # NaN comes last
            if signed[place] > 0
        ]
        for signed in (difference, -difference)
    )


def between(
    one: Configuration, other: Configuration, most: int
) -> tuple[list[Disagreement], list[Disagreement]] | None:
    """List the images on which two configurations disagree; None unless both have tables of the same images."""
    found = image_means(one), image_means(other)
    if found[0] is None or found[1] is None or found[0][0] != found[1][0]:
        return None
    return disagreements(found[0][0], found[0][1], found[1][1], most)
