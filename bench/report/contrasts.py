"""The hardest images, and those on which the best configuration and another differ most."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.records.store import StoredTrial
from bench.records.text import clean, shorten
from bench.records.uncertainty import image_means
from bench.report.board import Group, Row
from bench.report.samples import Sample, pictures, read_sample

MOST_ROWS = 8  # whose images are looked at, best first
_PAIRS = 3  # the best row and the next ones
_IMAGES = 5  # of a list
_PICTURED = 2  # of a pair


@dataclass(frozen=True, eq=False)
class Images:
    """The images of the test split with their own mean IoU, mean over each row's trials."""

    names: tuple[str, ...]
    scores: dict[str, NDArray[np.float64]]  # by the row's label, (images,)


@dataclass(frozen=True)
class Line:
    """An image and the scores of some rows on it."""

    name: str
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Contrast:
    """A list of images for the page, with pictures where there are some."""

    title: str
    labels: tuple[str, ...]  # of the rows, in the order of each line's scores
    lines: tuple[Line, ...]
    pictures: tuple[tuple[Line, tuple[Sample, ...]], ...] = ()


def group_images(group: Group) -> Images:
    """The images of the best rows' tables; rows on other images than the best one's are left out."""
    names: tuple[str, ...] = ()
    scores = {}
    for row in group.ranked[:MOST_ROWS]:
        found = image_means(row.configuration)
        if found and found[0] == (names or found[0]):
            names, scores[row.label] = found
    return Images(names, scores)


def group_contrasts(
    group: Group, images: Images, trials: Mapping[str, StoredTrial], problems: list[str], *, public: bool
) -> list[Contrast]:
    """The images that are hardest for all, and those that set the best row and the next ones apart."""
    rows = [row for row in group.ranked[:MOST_ROWS] if row.label in images.scores]
    if not rows or len(images.names) < 2 * _IMAGES:
        return []
    all_scores = np.stack([images.scores[row.label] for row in rows])
    hardest = _lines(images, rows, _lowest(np.nanmean(all_scores, axis=0) if len(rows) > 1 else all_scores[0]))
    found = [Contrast("Hardest for all", tuple(row.label for row in rows), hardest)]
    for other in rows[1 : 1 + _PAIRS]:
        pair = (rows[0], other)
        difference = images.scores[rows[0].label] - images.scores[other.label]
        places = [*_lowest(-difference), *_lowest(difference)]
        title = f"{shorten(rows[0].label, 60)} against {shorten(other.label, 60)}"
        shown = _pictured(images, pair, difference, trials, problems, public)
        found.append(Contrast(title, (rows[0].label, other.label), _lines(images, pair, places), shown))
    return found


def _lowest(values: NDArray[np.float64]) -> list[int]:
    order = np.argsort(values, kind="stable")  # NaN comes last
    return [int(place) for place in order[:_IMAGES] if np.isfinite(values[place])]


def _lines(images: Images, rows: Sequence[Row], places: Sequence[int]) -> tuple[Line, ...]:
    return tuple(
        Line(shorten(clean(images.names[place])), tuple(float(images.scores[row.label][place]) for row in rows))
        for place in places
    )


def _pictured(
    images: Images,
    pair: tuple[Row, Row],
    difference: NDArray[np.float64],
    trials: Mapping[str, StoredTrial],
    problems: list[str],
    public: bool,
) -> tuple[tuple[Line, tuple[Sample, ...]], ...]:
    """The images with the largest difference among those that both rows stored a picture of."""
    files = [{re.sub(r"^\d+_", "", file.stem): file for file in pictures(row, trials, public=public)} for row in pair]
    both = [
        (place, name)
        for place, name in ((place, picture_name(name)) for place, name in enumerate(images.names))
        if all(name in some for some in files) and np.isfinite(difference[place])
    ]
    shown = []
    for place, name in sorted(both, key=lambda found: -abs(difference[found[0]]))[:_PICTURED]:
        samples = [read_sample(some[name], problems) for some in files]
        if all(samples):
            shown.append((_lines(images, pair, [place])[0], tuple(sample for sample in samples if sample)))
    return tuple(shown)


def picture_name(name: str) -> str:
    """An image's name in the file of its picture, as bench/evaluation/samples.py writes it."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:60]
