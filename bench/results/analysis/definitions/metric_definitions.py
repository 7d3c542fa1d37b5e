"""The definitions of the score that a per-image table allows; nothing is predicted again.

Each score is computed from sums over the images, so that images can be bootstrapped. Counts per class allow adding the
border's pixels to the pet or to the background and leaving its class out of a mean, but its pixels can't be ignored
afterwards. Any two classes can be united where the table also says which class was taken for which.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.evaluation import scores
from bench.evaluation.image_table import ImageTable
from bench.evaluation.metrics.boundary import boundary_f
from bench.evaluation.scores import mean_of_known, ratio
from bench.results.analysis.bootstrap import Values
from bench.results.analysis.definitions.binary_definitions import binary_definitions
from bench.results.analysis.resampling import (
    Counts,
    Score,
    mean_of_images,
    of_class,
    of_images,
    of_split,
    with_number,
)
from bench.results.quantities import MEAN_IOU, METRICS
from bench.results.quantities.quantity import Definition

RECORDED = "mean IoU of the split"
_NO_CLASSES = ("background", "border")  # names of classes that are not objects


def definitions(classes: Sequence[str]) -> list[Definition]:
    """List the definitions for a data set with these classes; the first is the one to rank by.

    The `values` of a score raise KeyError if a table lacks a column that it needs.
    """
    found = [*_pixels(), *_by_image(), *_boundaries()]
    if len(classes) == 2:
        found += binary_definitions(classes[1])
    else:
        found += _united(classes)
    return found


def _pixels() -> Iterator[Definition]:
    yield _by_metric(RECORDED, MEAN_IOU.name)
    yield _by_metric("mean dice of the split", "dice")
    yield _by_metric("mean F2 of the split", "f2")
    yield _by_metric("pixel accuracy of the split", "pixel_accuracy")
    yield Definition("mean accuracy of the classes, split", of_split(scores.macro(scores.recall)))
    yield Definition("IoU of all classes' pixels together, split", of_split(lambda sums: scores.iou(sums.sum(axis=-2))))
    yield Definition("IoU weighted by the classes' pixels, split", of_split(_weighted))


def _by_metric(name: str, metric: str) -> Definition:
    """Make a definition from a metric of the registry, with its score and direction."""
    found = METRICS[metric]
    return Definition(name, found.score, found.better)


def _weighted(sums: NDArray[Any]) -> NDArray[np.float64]:
    pixels = sums[..., 0] + sums[..., 2]
    return ratio((np.nan_to_num(scores.iou(sums)) * pixels).sum(axis=-1), pixels.sum(axis=-1))


def _by_image() -> Iterator[Definition]:
    yield _by_metric("mean IoU of each image, absent classes left out", "mean_iou_per_image")
    yield Definition(
        "mean IoU of each image, absent classes count 1",
        of_images(lambda table: np.nan_to_num(scores.iou(table.counts), nan=1.0).mean(axis=1)),
    )
    yield Definition("IoU of each image by class, then over classes", Score(_class_values, _over_classes))
    yield Definition(
        "mean dice of each image, absent classes left out", of_images(lambda t: scores.macro(scores.dice)(t.counts))
    )
    yield Definition("mean IoU of each group of images", Score(_group_values, mean_of_images))


def _class_values(table: ImageTable) -> Values:
    """Return each class's IoU, and whether it has one: (N, 2 C)."""
    return with_number(scores.iou(table.counts)).reshape(len(table.counts), -1)


def _over_classes(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return mean_of_known(mean_of_images(sums.reshape(*sums.shape[:-1], -1, 2)))


def _group_values(table: ImageTable) -> Values:
    """Return a group's score at its first image (N, 2), as groups are drawn; KeyError if no group has two images."""
    names, first, number = np.unique(table.groups, return_index=True, return_inverse=True)
    if len(names) == len(table.groups):
        raise KeyError("groups")
    sums = np.zeros((len(names), *table.counts.shape[1:]), np.int64)
    np.add.at(sums, number, table.counts)
    values = np.full(len(table.groups), np.nan)
    values[first] = scores.macro(scores.iou)(sums)
    return with_number(values)


def _boundaries() -> Iterator[Definition]:
    yield Definition(
        "boundary IoU of the split", of_split(scores.macro(scores.iou), lambda table: table.extra["boundary"])
    )
    yield Definition(
        "boundary IoU of each image", of_images(lambda table: scores.macro(scores.iou)(table.extra["boundary"]))
    )
    yield Definition(
        "boundary F of each image", of_images(lambda table: scores.macro(boundary_f)(table.extra["contour"]))
    )
    yield _by_metric("95 % Hausdorff distance of each image", "hausdorff95")


def _united(classes: Sequence[str]) -> Iterator[Definition]:
    """Yield the definitions that leave out or unite the background, the border and other classes."""
    for place, name in enumerate(classes):
        if name in _NO_CLASSES:
            formula = partial(_without, scores.macro(scores.iou), place)
            yield Definition(f"mean IoU of the split, {name} left out", of_split(formula))
    things = [name for name in classes if name not in _NO_CLASSES]
    if "background" in classes:
        name = f"border as {things[0]}" if len(things) == 1 and "border" in classes else "all but background as one"
        yield from _against_rest(name, partial(_rest, place=classes.index("background")))
    if len(things) == 1 and set(_NO_CLASSES) <= set(classes):
        yield from _against_rest("border as background", partial(_one, place=classes.index(things[0])))


def _without(formula: scores.Formula, place: int, counts: NDArray[Any]) -> NDArray[np.float64]:
    return formula(np.delete(counts, place, axis=-2))


def _one(table: ImageTable, place: int) -> NDArray[np.int64]:
    """Return counts (N, 2, 3) of all other classes as one and of the class at `place`: one's FP are the other's FN."""
    own = table.counts[:, place]
    pixels = table.counts[..., 0].sum(axis=1) + table.counts[..., 2].sum(axis=1)
    rest = np.stack([pixels - own.sum(axis=-1), own[:, 2], own[:, 1]], axis=-1)
    return np.stack([rest, own], axis=1)


def _rest(table: ImageTable, place: int) -> NDArray[np.int64]:
    """Return the counts (N, 2, 3) of the class at `place`, then of all other classes as one."""
    return _one(table, place)[:, ::-1]


def pair_as_one(classes: Sequence[str], pair: tuple[int, int]) -> Definition:
    """Define the mean IoU with two classes as one; KeyError if a table doesn't say which class was taken for which."""

    def counts(table: ImageTable) -> NDArray[np.int64]:
        if table.confusion is None:
            raise KeyError("confusion matrices")
        between = table.confusion.of_pair(*pair)  # right once both are one class, so neither FP nor FN
        one = table.counts[:, list(pair)].sum(axis=1) + np.stack([between, -between, -between], axis=-1)
        return np.concatenate([np.delete(table.counts, pair, axis=1), one[:, None]], axis=1)

    one, other = (classes[place] for place in sorted(pair))
    name = f"mean IoU of the split, {one} and {other}, confused most by the best, as one"
    return Definition(name, of_split(scores.macro(scores.iou), counts))


def _against_rest(name: str, counts: Counts) -> Iterator[Definition]:
    """Yield the scores of two classes, of which the second is the foreground."""
    yield Definition(f"{name}: mean IoU of both, split", of_split(scores.macro(scores.iou), counts))
    yield Definition(f"{name}: IoU, split", of_split(of_class(scores.iou), counts))
    yield Definition(f"{name}: IoU of each image", of_images(lambda table: scores.iou(counts(table)[:, 1])))
    yield Definition(f"{name}: dice of each image", of_images(lambda table: scores.dice(counts(table)[:, 1])))
