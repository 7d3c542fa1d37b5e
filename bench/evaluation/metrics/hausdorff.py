"""The 95th percentile of the distance between the boundaries of the true and the predicted regions, in pixels.

Huttenlocher, Klanderman and Rucklidge 1993, "Comparing images using the Hausdorff distance": a percentile in place of
the maximum, so that a few wrong pixels don't decide. Of the two directions, true to predicted and back, the greater
one counts, as in MONAI (`compute_hausdorff_distance(percentile=95)`), DeepMind's surface-distance
(`compute_robust_hausdorff`) and Metrics Reloaded (Maier-Hein et al. 2024, arXiv:2206.01653). Lower is better.

Region    the counted pixels of a class: ignored pixels belong to none
Boundary  its pixels with one of four neighbours outside of it; beyond the image's border, and where pixels are
          ignored, is outside (as in MONAI), so that every region has a boundary
Empty     neither true nor predicted: no value, and the class is left out of the image's mean
          one of the two: the image's diagonal, which no distance exceeds, so that to predict nothing is never better
          than to predict something; MONAI gives infinity there, which has no mean; BraTS takes the diagonal as well
Classes   all but the background: class 1 if there are two, otherwise all that aren't named "background"
"""

from collections.abc import Iterator, Sequence
from math import hypot
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.evaluation.metric_protocol import Array, Arrays, ImageMetric, Prediction
from bench.evaluation.scores import mean_of

PERCENTILE = 95
_BACKGROUND = "background"
_DENSE = 10  # a tree of the edges' pixels is quicker than a map of distances if they are fewer than one in 10
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def hausdorff95(true: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    """Measure how far the boundaries of two regions (H, W) lie apart, in pixels.

    Returns:
        The greater of the two directions' 95th percentiles, with linear interpolation; NaN if both regions are empty,
        the image's diagonal if one is.
    """
    either = (true | predicted).view(np.uint8)
    if not either.any():
        return float("nan")
    if not true.any() or not predicted.any():
        return hypot(*true.shape)
    left, top, width, height = cv2.boundingRect(either)
    box = np.s_[top : top + height, left : left + width]  # what lies outside changes no distance
    edges = [_boundary(region[box]) for region in (true, predicted)]
    return max(_percentile(edges[0], edges[1]), _percentile(edges[1], edges[0]))


def _boundary(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the pixels of a region with a neighbour outside of it; beyond the array is outside."""
    values = np.ascontiguousarray(region).view(np.uint8)
    inside = cv2.erode(values, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return region & (inside == 0)


def _percentile(edge: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Compute the 95th percentile of the distances from an edge's pixels to the other edge."""
    distances = np.zeros(np.count_nonzero(edge))
    apart = edge & ~other  # where the edges coincide the distance is 0
    if apart.any():
        found = _distances(apart, other)
        distances[: len(found)] = found
    return float(np.percentile(distances, PERCENTILE))


def _distances(pixels: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Compute the distance from each of the pixels to the nearest one of the other edge."""
    if _DENSE * (np.count_nonzero(pixels) + np.count_nonzero(other)) > pixels.size:
        nearest = cv2.distanceTransform((~other).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return np.sqrt(np.rint(nearest[pixels].astype(np.float64) ** 2))  # squares are integers: as exact as the tree
    from scipy.spatial import cKDTree  # here, since reports import this file and measure nothing

    tree = cKDTree(_places(other), compact_nodes=False, balanced_tree=False)
    return tree.query(_places(pixels))[0]


def _places(pixels: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the rows and columns of the pixels, (M, 2); four times as fast as argwhere."""
    return np.stack(np.divmod(np.flatnonzero(pixels), pixels.shape[1]), axis=1)


def _foreground(names: Sequence[str]) -> Iterator[int]:
    if len(names) == 2:
        yield 1
    else:
        yield from (label for label, name in enumerate(names) if name != _BACKGROUND)


def image_hausdorff95(prediction: Prediction) -> float:
    """Compute an image's mean over the foreground classes that are in its labels or its prediction; NaN if none is."""
    counted = prediction.counted
    values = [
        hausdorff95(prediction.labels == label, (prediction.classes == label) & counted)
        for label in _foreground(prediction.names)
    ]
    mean = mean_of(np.array(values, np.float64))
    return float("nan") if mean is None else mean


def _summary(arrays: Arrays, names: Sequence[str]) -> dict[str, Any]:
    values = arrays["hausdorff95"]
    return {"hausdorff95": mean_of(values), "hausdorff95_images": int(np.count_nonzero(~np.isnan(values)))}


HAUSDORFF95 = ImageMetric(
    name="hausdorff95",
    arrays=(Array("hausdorff95"),),
    per_image=lambda prediction: {"hausdorff95": image_hausdorff95(prediction)},
    summary=_summary,
)
