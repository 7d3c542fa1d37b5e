"""Predict images of any size with a stored trial's weights: masks, overlays, probabilities, a submission."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX, SubmissionFormat
from bench.core.trial_config import TrialConfig
from bench.data.reading.picture import Picture
from bench.evaluation.pictures import write_mask, write_overlay, write_probabilities
from bench.evaluation.predictor import Predictor
from bench.evaluation.submission import submission
from bench.evaluation.thresholds import OperatingPoint
from bench.results.loading import StoredTrial
from bench.trials.saved.augmented import augmented
from bench.trials.saved.checkpoints import restore
from bench.trials.saved.prediction_images import InputImage
from bench.trials.saved.stored_trials import classes_of
from bench.trials.trained_input.picture_reader import PictureReader


@dataclass(frozen=True)
class Outputs:
    """The files to write for each image, and their folder."""

    folder: Path
    overlays: bool = True
    probabilities: str | None = None  # "npz" or "png"
    submission: tuple[Path, SubmissionFormat] | None = None


def predict(
    trial: StoredTrial,
    config: TrialConfig,
    images: Sequence[InputImage],
    outputs: Outputs,
    point: OperatingPoint,
    *,
    tta: str | None = None,
    done: Callable[[InputImage, str | None], None],
) -> None:
    """Predict images and write the wanted files of each, at its own size; a pixel without a value gets IGNORE_INDEX.

    Args:
        config: the one that `trained_config` returns; keras must run on its backend.
        tta: "flips" or "scales": average the probabilities over views of each image.
        done: called after each image, with the reason if it could not be read; the others are written nevertheless.
    """
    classes = list(classes_of(trial))
    engine = restore(config, trial, len(classes))
    predictor = Predictor(
        engine, config.image_size, batch_size=min(config.batch_size, len(images)), resize=config.resize
    )
    predictor = augmented(predictor, tta, trial, config) if tta else predictor
    reader = PictureReader.of(trial, config)
    waiting: deque[tuple[InputImage, np.ndarray | None]] = deque()  # read, but not predicted yet

    def readable() -> Iterator[Picture]:
        for image in images:
            try:
                picture = reader.read(image.path)
            except BenchError as error:
                done(image, str(error))
                continue
            waiting.append((image, picture.missing))
            yield picture

    with ExitStack() as stack:
        rows = stack.enter_context(submission(*outputs.submission)) if outputs.submission else None
        for probabilities in predictor.probabilities(readable()):
            image, missing = waiting.popleft()
            chosen = point.classes(probabilities)
            if missing is not None:
                chosen[missing] = IGNORE_INDEX
            write_mask(outputs.folder / "masks" / f"{image.name}.png", chosen)
            if outputs.overlays:
                write_overlay(outputs.folder / "overlays" / f"{image.name}.png", reader.visible(image.path), chosen)
            if outputs.probabilities:
                folder = outputs.folder / "probabilities"
                write_probabilities(folder, image.name, probabilities, classes, outputs.probabilities)
            if rows:
                rows.add(image.path.name, chosen == 1)
            done(image, None)
