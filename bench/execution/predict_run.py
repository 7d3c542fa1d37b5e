"""A stored trial's model on pictures of any size: masks, overlays, probabilities and a submission on disk."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.datasets.base import read_rgb
from bench.errors import BenchError
from bench.evaluation.outputs import write_mask, write_overlay, write_probabilities
from bench.evaluation.predict import Predictor
from bench.evaluation.submission import Format, submission
from bench.execution.decision import Decision
from bench.execution.inputs import Picture
from bench.execution.saved import restore
from bench.execution.stored import classes_of
from bench.records.store import StoredTrial
from bench.spec import TrialConfig


@dataclass(frozen=True)
class Wanted:
    """What is written, and where."""

    out: Path
    overlays: bool = True
    probabilities: str | None = None  # "npz" or "png"
    submission: tuple[Path, Format] | None = None


def predict(
    trial: StoredTrial,
    config: TrialConfig,
    pictures: Sequence[Picture],
    wanted: Wanted,
    decision: Decision,
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
            chosen = decision.classes(probabilities)
            write_mask(wanted.out / "masks" / f"{picture.name}.png", chosen)
            if wanted.overlays:
                write_overlay(wanted.out / "overlays" / f"{picture.name}.png", image, chosen)
            if wanted.probabilities:
                folder = wanted.out / "probabilities"
                write_probabilities(folder, picture.name, probabilities, classes, wanted.probabilities)
            if rows:
                rows.add(picture.path.name, chosen == 1)
            done(picture, None)
