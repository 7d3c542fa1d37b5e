"""The images on the page: samples, the worst images, and those that are hardest for all."""

import base64
import io
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.core.untrusted.plain_files import require_file
from bench.report.table_model import Group, Row
from bench.results.analysis.uncertainty import image_means
from bench.results.clean_text import clean, shorten
from bench.results.loading import StoredTrial

MAX_CONFIGURATIONS = 12  # configurations of a group with samples, best first
MAX_IMAGES = 3  # samples of a configuration
_MAX_SIZE = (576, 288)  # pixels; three panels side by side
_SMALL_SIZE = (312, 156)
WORST_TRIALS = 200  # trials whose worst images are shown, best configurations first
WORST_IMAGES = 2  # worst images of a trial
_MOST_BYTES = 4_000_000  # bytes of all worst images on the page
MOST_ROWS = 8  # rows whose images are compared, best first
_LARGEST_SAMPLE = 64 * 2**20  # bytes
_IMAGES = 5  # images in a list


@dataclass(frozen=True)
class Sample:
    """One overlay for the page."""

    name: str
    uri: str  # data:image/webp;base64,...
    width: int
    height: int


def group_samples(
    group: Group, trials: dict[str, StoredTrial], problems: list[str], *, public: bool = False
) -> list[tuple[str, list[Sample]]]:
    """Return label and samples of the best configurations, each from its first seed that stored any.

    Args:
        trials: the trials by folder.
        problems: gets a line for each sample that can't be read.
        public: whether to show only images that may be published.
    """
    shown = []
    for row in group.ranked[:MAX_CONFIGURATIONS]:
        files = pictures(row, trials, public=public)[:MAX_IMAGES]
        samples = [sample for file in files if (sample := read_sample(file, problems))]
        if samples:
            shown.append((row.label, samples))
    return shown


def pictures(row: Row, trials: Mapping[str, StoredTrial], *, public: bool = False) -> list[Path]:
    """List the samples of a row's first trial that stored any; with `public` only those that may be published."""
    some = [trials[folder] for folder in row.configuration.ok["folder"]]
    return next((files for t in some if (files := t.samples()) and not (public and is_private(t))), [])


@dataclass(frozen=True)
class Worst:
    """The worst images of one trial."""

    label: str  # its row's label
    seed: str  # with its fold, if it has one
    samples: tuple[Sample, ...]  # their names begin with the image's mean IoU


class WorstImages:
    """A reader of the worst images of a page's trials, as long as the page has room."""

    def __init__(self, trials: Mapping[str, StoredTrial], problems: list[str], *, public: bool = False):
        self.trials, self.problems, self.public = trials, problems, public
        self.left, self.bytes = WORST_TRIALS, _MOST_BYTES

    def of(self, group: Group) -> tuple[list[Worst], int]:
        """Return the worst images of a group's trials, best configurations first, and how many trials had no room."""
        shown, missed = [], 0
        for row in group.ranked:
            for seed, fold, folder in row.configuration.ok[["seed", "fold", "folder"]].itertuples(index=False):
                if not self.left or self.bytes <= 0:
                    missed += 1
                elif samples := self._read(self.trials[folder]):
                    shown.append(Worst(row.label, f"{seed:g}" + (f", fold {fold:g}" if fold > 0 else ""), samples))
        return shown, missed

    def _read(self, trial: StoredTrial) -> tuple[Sample, ...]:
        files = [] if self.public and is_private(trial) else trial.worst()[:WORST_IMAGES]
        samples = tuple(
            sample for file in files if (sample := read_sample(file, self.problems, size=_SMALL_SIZE, quality=70))
        )
        self.left -= bool(samples)
        self.bytes -= sum(len(sample.uri) for sample in samples)
        return tuple(replace(sample, name=re.sub(r"^\d+_", "", sample.name)) for sample in samples)


def private_data(trials: Iterable[StoredTrial]) -> list[str]:
    """List the data sets with samples that may not be published, or whose records don't say that they may."""
    return sorted(
        {clean(t.record.config.get("dataset")) for t in trials if is_private(t) and (t.samples() or t.worst())}
    )


def is_private(trial: StoredTrial) -> bool:
    return trial.record.dataset.get("may_show_pictures") is not True


def read_sample(
    file: Path, problems: list[str], *, size: tuple[int, int] = _MAX_SIZE, quality: int = 82
) -> Sample | None:
    """Read a sample and make it small enough; None, and a line in `problems`, if it can't be read."""
    image = open_picture(file, problems)
    return encoded(image, file.stem, size=size, quality=quality) if image else None


def open_picture(file: Path, problems: list[str]) -> Image.Image | None:
    """Open a picture of a trial; None, and a line in `problems`, if it can't be read."""
    try:
        require_file(file, _LARGEST_SAMPLE)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=["PNG", "WEBP"]) as opened:
                return opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        problems.append(
            f"{clean(file.parent.parent.name)}: the sample {clean(file.name)} can't be read ({clean(str(error))})."
        )
        return None


def encoded(image: Image.Image, name: str, *, size: tuple[int, int], quality: int) -> Sample:
    """Make a picture small enough and encode it for the page."""
    image.thumbnail(size)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=quality)
    uri = f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
    return Sample(shorten(clean(name)), uri, *image.size)


@dataclass(frozen=True, eq=False)
class Images:
    """The images of the test split with their mean IoU, averaged over each row's trials."""

    names: tuple[str, ...]
    scores: dict[str, NDArray[np.float64]]  # by the row's label, (images,)


@dataclass(frozen=True)
class Line:
    """An image and the scores of some rows on it."""

    name: str
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Hardest:
    """The images that are hardest for all of a group's best rows."""

    labels: tuple[str, ...]  # the rows' labels, in the order of each line's scores
    lines: tuple[Line, ...]


def group_images(group: Group) -> Images:
    """Return the images of the best rows' tables; rows with other images than the best row's are left out."""
    names: tuple[str, ...] = ()
    scores = {}
    for row in group.ranked[:MOST_ROWS]:
        found = image_means(row.configuration)
        if found and found[0] == (names or found[0]):
            names, scores[row.label] = found
    return Images(names, scores)


def hardest(group: Group, images: Images) -> Hardest | None:
    """List the images that are hardest for all; None if there are few images, or no tables."""
    rows = [row for row in group.ranked[:MOST_ROWS] if row.label in images.scores]
    if not rows or len(images.names) < 2 * _IMAGES:
        return None
    scores = np.stack([images.scores[row.label] for row in rows])
    places = _lowest(np.nanmean(scores, axis=0) if len(rows) > 1 else scores[0])
    lines = (
        Line(shorten(clean(images.names[place])), tuple(float(images.scores[row.label][place]) for row in rows))
        for place in places
    )
    return Hardest(tuple(row.label for row in rows), tuple(lines))


def _lowest(values: NDArray[np.float64]) -> list[int]:
    order = np.argsort(values, kind="stable")  # NaN comes last
    return [int(place) for place in order[:_IMAGES] if np.isfinite(values[place])]
