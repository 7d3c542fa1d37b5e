"""Two rows against each other: the images on which one is right and the other wrong, and all images' scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.core.errors import BenchError
from bench.evaluation.pictures import file_name
from bench.report.gallery import Images, Sample, encoded, is_private, open_picture
from bench.report.table_model import Group, Row
from bench.results.clean_text import clean, shorten
from bench.results.loading import StoredTrial
from bench.results.predicted.disagreements import Disagreement, disagreements
from bench.results.predicted.kept_pictures import pictures_of

MOST_ROWS = 6  # of a group, best first: 15 pairs
MOST_PAIRS, MOST_BYTES = 150, 4_000_000  # pairs on a page, and bytes of their pictures: 6 MB at most with the rest
POINTS = 400  # of a scatter
LISTED, _PICTURED = 5, 3  # images each way
_GAP = 4  # pixels between the parts of a sample
_SIZE = (640, 160)  # pixels of a picture: image, truth and two predictions
_QUALITY = 72


@dataclass(frozen=True)
class Side:
    """The images on which one row is right and the other wrong."""

    title: str
    lines: tuple[Disagreement, ...]
    pictures: tuple[tuple[Disagreement, Sample], ...]  # image, truth, and both predictions


@dataclass(frozen=True)
class Pair:
    """Two rows against each other."""

    places: tuple[int, int]  # of the rows
    labels: tuple[str, str]
    sides: tuple[Side, Side]
    points: str  # of the scatter: an SVG path of dots in a square of 100 x 100
    shown: int  # dots
    images: int
    advice: str  # how to get pictures; empty if there are some


class PairRoom:
    """The room that a page has for pairs."""

    def __init__(self, trials: Mapping[str, StoredTrial], problems: list[str], *, public: bool = False):
        self.trials, self.problems, self.public = trials, problems, public
        self.left, self.bytes = MOST_PAIRS, MOST_BYTES

    def of(self, group: Group, images: Images) -> list[Pair]:
        """Make the pairs of a group's best rows, the best two first."""
        rows = [row for row in group.ranked if row.label in images.scores][:MOST_ROWS]
        pairs = sorted(combinations(range(len(rows)), 2), key=lambda pair: pair[::-1])[: self.left]
        if not images.names or not pairs:
            return []
        self.left -= len(pairs)
        files = [self._files(row) for row in rows]
        return [self._pair(pair, rows, images, files) for pair in pairs]

    def _pair(
        self, pair: tuple[int, int], rows: Sequence[Row], images: Images, files: Sequence[Mapping[str, Path]]
    ) -> Pair:
        one, other = (rows[place] for place in pair)
        scores = images.scores[one.label], images.scores[other.label]
        both = disagreements(images.names, *scores, max(len(images.names), 1))
        titles = tuple(
            f"{shorten(a.label, 60)} better than {shorten(b.label, 60)}" for a, b in ((one, other), (other, one))
        )
        own = files[pair[0]], files[pair[1]]
        first, second = (
            Side(title, tuple(map(_shown, some[:LISTED])), self._pictures(some, own))
            for title, some in zip(titles, both, strict=True)
        )
        points, shown = _dots(*scores)
        lacking = [row for row, some in zip((one, other), own, strict=True) if len(some) < len(images.names)]
        advice = "" if self.public else _advice(lacking)
        return Pair(pair, (one.label, other.label), (first, second), points, shown, len(images.names), advice)

    def _files(self, row: Row) -> Mapping[str, Path]:
        """Return the pictures of the first trial that has some, or all, of its test images, for each fold."""
        found: dict[float, dict[str, Path]] = {}
        for fold, folder in row.configuration.ok[["fold", "folder"]].itertuples(index=False):
            trial = self.trials[folder]
            if self.public and is_private(trial):
                continue
            try:
                found[fold] = max(found.get(fold, {}), pictures_of(trial), key=len)
            except BenchError as error:
                self.problems.append(clean(str(error)))
        return {name: file for files in found.values() for name, file in files.items()}

    def _pictures(
        self, some: Sequence[Disagreement], files: tuple[Mapping[str, Path], Mapping[str, Path]]
    ) -> tuple[tuple[Disagreement, Sample], ...]:
        """Make pictures of the images with the largest difference, among those that both rows have pictures of."""
        shown: list[tuple[Disagreement, Sample]] = []
        for one in some:
            name = file_name(one.name)
            if len(shown) == _PICTURED or self.bytes <= 0:
                break
            if all(name in own for own in files):
                parts = [open_picture(own[name], self.problems) for own in files]
                if parts[0] and parts[1]:
                    sample = encoded(_joined(parts[0], parts[1]), one.name, size=_SIZE, quality=_QUALITY)
                    self.bytes -= len(sample.uri)
                    shown.append((_shown(one), sample))
        return tuple(shown)


def _shown(one: Disagreement) -> Disagreement:
    return Disagreement(one.place, shorten(clean(one.name)), one.one, one.other)


def _joined(one: Image.Image, other: Image.Image) -> Image.Image:
    """Put the prediction of the second picture beside the first: image, truth, prediction, other prediction."""
    other = other if other.size == one.size else other.resize(one.size)
    width, height = one.size
    part = (width - 2 * _GAP) // 3
    whole = Image.new("RGB", (width + _GAP + part, height), "white")
    whole.paste(one, (0, 0))
    whole.paste(other.crop((width - part, 0, width, height)), (width + _GAP, 0))
    return whole


def _dots(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[str, int]:
    """Draw up to POINTS images, evenly spaced in their order, as an SVG path; the first row is on the x axis."""
    places = np.flatnonzero(np.isfinite(one) & np.isfinite(other))
    chosen = places[np.unique(np.linspace(0, len(places) - 1, POINTS).astype(int))] if len(places) > POINTS else places
    dots = (f"M{100 * one[place]:.1f} {100 - 100 * other[place]:.1f}h0" for place in chosen)
    return "".join(dots), len(chosen)


def _advice(lacking: Sequence[Row]) -> str:
    """Say how to get pictures of all images."""
    if not lacking:
        return ""
    trials = (row.configuration.ok.drop_duplicates("fold") for row in lacking)
    folders = [Path(folder).name for some in trials for folder in some["folder"]]
    commands = "; ".join(f"bench evaluate {clean(folder)} --keep-predictions" for folder in folders)
    return f"Only images of which both have a picture are shown. For all, where weights are saved: {commands}"
