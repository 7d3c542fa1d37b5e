"""Predict images of any size with a stored trial's weights: masks, overlays, probabilities, a submission."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.specs import REDUCED_PROTOCOL_VERSION, SubmissionFormat
from bench.core.trial_config import TrialConfig
from bench.data.geometry import reduction
from bench.data.reading.picture import Picture, whole
from bench.datasets.base import read_picture, read_rgb
from bench.evaluation.pictures import write_mask, write_overlay, write_probabilities
from bench.evaluation.predictor import Predictor
from bench.evaluation.submission import submission
from bench.evaluation.thresholds import OperatingPoint
from bench.results.loading import StoredTrial
from bench.trials.saved.augmented import augmented
from bench.trials.saved.checkpoints import restore, values_of
from bench.trials.saved.prediction_images import InputImage
from bench.trials.saved.stored_trials import classes_of


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
    """Predict images and write the wanted files of each, at its own size.

    Args:
        config: the one that `trained_config` returns; keras must run on its backend.
        tta: "flips" or "scales": average the probabilities over views of each image.
        done: called after each image, with the reason if it could not be read; the others are written nevertheless.
    """
    if not values_of(trial.record).is_plain:
        raise BenchError(
            f"'{trial.folder.name}' was trained on images of other bands than 8-bit RGB, and bench predict reads no "
            "others. Score it on a data set: bench evaluate."
        )
    classes = list(classes_of(trial))
    engine = restore(config, trial, len(classes))
    predictor = Predictor(
        engine, config.image_size, batch_size=min(config.batch_size, len(images)), resize=config.resize
    )
    predictor = augmented(predictor, tta, trial, config) if tta else predictor
    reduce = partial(reduction, size=config.image_size, policy=config.resize) if _reduces(trial) else whole
    waiting: deque[InputImage] = deque()  # read, but not predicted yet

    def readable() -> Iterator[Picture]:
        for image in images:
            try:
                picture = read_picture(image.path, reduce=reduce)
            except BenchError as error:
                done(image, str(error))
                continue
            waiting.append(image)
            yield picture

    with ExitStack() as stack:
        rows = stack.enter_context(submission(*outputs.submission)) if outputs.submission else None
        for probabilities in predictor.probabilities(readable()):
            image = waiting.popleft()
            chosen = point.classes(probabilities)
            write_mask(outputs.folder / "masks" / f"{image.name}.png", chosen)
            if outputs.overlays:
                write_overlay(outputs.folder / "overlays" / f"{image.name}.png", read_rgb(image.path), chosen)
            if outputs.probabilities:
                folder = outputs.folder / "probabilities"
                write_probabilities(folder, image.name, probabilities, classes, outputs.probabilities)
            if rows:
                rows.add(image.path.name, chosen == 1)
            done(image, None)


def _reduces(trial: StoredTrial) -> bool:
    """Tell whether a trial was trained on pictures that were decoded at a fraction of their size."""
    return trial.record.protocol_version == REDUCED_PROTOCOL_VERSION
