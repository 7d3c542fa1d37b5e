"""From files, folders and patterns on the command line to the pictures that are predicted, each with its name."""

import glob
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.core.errors import BenchError
from bench.core.specs import SubmissionFormat
from bench.core.trial_config import TrialConfig
from bench.datasets.base import read_rgb
from bench.evaluation.pictures import write_mask, write_overlay, write_probabilities
from bench.evaluation.predictor import Predictor
from bench.evaluation.submission import submission
from bench.evaluation.thresholds import OperatingPoint
from bench.results.store import StoredTrial
from bench.trials.saved.checkpoints import restore
from bench.trials.saved.stored_trials import classes_of

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp")  # taken from a folder


@dataclass(frozen=True)
class Picture:
    """A picture's file, and what its outputs are called (without suffix)."""

    path: Path
    name: str


def find_pictures(arguments: Iterable[str]) -> list[Picture]:
    """Every picture once, in order: files as they are given, folders (not what is below them) and patterns sorted.

    A file that isn't there stays: reading it says so. BenchError for a folder or pattern without pictures.
    """
    paths = [path for argument in arguments for path in _expand(argument)]
    paths = list({path.resolve(): path for path in paths}.values())
    return [Picture(path, name) for path, name in zip(paths, _names(paths), strict=True)]


def _expand(argument: str) -> list[Path]:
    path = Path(argument).expanduser()
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not found:
            raise BenchError(f"The folder '{argument}' has no pictures ({', '.join(SUFFIXES)}).")
        return found
    if path.exists() or not glob.has_magic(argument):
        return [path]
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
    found = [file for file in found if file.is_file()]
    if not found:
        raise BenchError(f"No file matches '{argument}'.")
    return found


def _names(paths: Sequence[Path]) -> list[str]:
    """The stem of each file; of those that share one the whole name; of those that share that the folders too."""
    absolute = [path.resolve() for path in paths]
    forms = [[path.stem, path.name, "_".join(path.parts[1:])] for path in absolute]
    counts = [Counter(form.lower() for form in column) for column in zip(*forms, strict=True)]
    return [next((f for f, count in zip(own, counts, strict=True) if count[f.lower()] == 1), own[-1]) for own in forms]


@dataclass(frozen=True)
class Wanted:
    """What is written, and where."""

    out: Path
    overlays: bool = True
    probabilities: str | None = None  # "npz" or "png"
    submission: tuple[Path, SubmissionFormat] | None = None


def predict(
    trial: StoredTrial,
    config: TrialConfig,
    pictures: Sequence[Picture],
    wanted: Wanted,
    point: OperatingPoint,
    *,
    done: Callable[[Picture, str | None], None],
) -> None:
    """Predict pictures and write what is wanted of each, at its own size.

    Args:
        config: of `stored.trained_config`; keras runs on its backend.
        done: called after each picture, with the reason where it could not be read: the others are still written.
    """
    classes = list(classes_of(trial))
    engine = restore(config, trial, len(classes))
    predictor = Predictor(
        engine, config.image_size, batch_size=min(config.batch_size, len(pictures)), resize=config.resize
    )
    waiting: deque[tuple[Picture, np.ndarray]] = deque()  # read, but not predicted yet

    def readable() -> Iterator[np.ndarray]:
        for picture in pictures:
            try:
                image = read_rgb(picture.path)
            except BenchError as error:
                done(picture, str(error))
                continue
            waiting.append((picture, image))
            yield image

    with ExitStack() as stack:
        rows = stack.enter_context(submission(*wanted.submission)) if wanted.submission else None
        for probabilities in predictor.probabilities(readable()):
            picture, image = waiting.popleft()
            chosen = point.classes(probabilities)
            write_mask(wanted.out / "masks" / f"{picture.name}.png", chosen)
            if wanted.overlays:
                write_overlay(wanted.out / "overlays" / f"{picture.name}.png", image, chosen)
            if wanted.probabilities:
                folder = wanted.out / "probabilities"
                write_probabilities(folder, picture.name, probabilities, classes, wanted.probabilities)
            if rows:
                rows.add(picture.path.name, chosen == 1)
            done(picture, None)
