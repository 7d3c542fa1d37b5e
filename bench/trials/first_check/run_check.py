"""Run the first check: of a data set, of an architecture, or of both together."""

from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.core.child_process import ChildEnded, ask
from bench.core.errors import BenchError, first_few
from bench.core.trial_config import TrialConfig
from bench.data.source import Source
from bench.trials.first_check.data_findings import batch_finding, choose_batch, data_findings
from bench.trials.first_check.finding import FAILED, OK, Finding
from bench.trials.first_check.model_findings import model_findings

START_SECONDS = 300.0  # for importing the backend, building and compiling


def of_data(source: Source) -> Iterator[Finding]:
    """Yield the findings on a data set's files and labels."""
    return data_findings(source)


def of_model(config: TrialConfig, source: Source, seconds: float) -> Iterator[Finding]:
    """Yield the findings on the model of a configuration and one batch of the data set's training images.

    Args:
        config: its image size, batch size, loss, optimizer, learning rate and backend count.
        source: the data set.
        seconds: for the training on one batch.
    """
    chosen = choose_batch(source, config.image_size, config.resize, config.batch_size)
    if not chosen:
        yield Finding("batch", FAILED, "no training image can be read", "See the line on files.")
        return
    images = np.stack([pixels.image for pixels in chosen])
    labels = np.stack([pixels.labels for pixels in chosen])
    yield batch_finding(images, labels)
    try:
        facts = _measured(config, source, images, labels, seconds)
    except BenchError as error:
        yield Finding("model", FAILED, str(error), "Build it alone: bench show-arch.")
        return
    size = "x".join(map(str, config.image_size))
    said = f"{config.pair} at {size}, {facts['params']:,} parameters, {len(source.spec.classes)} classes"
    said += f", on {config.backend}"
    yield Finding("model", OK, said)
    yield from model_findings(facts, config.lr)


def _measured(
    config: TrialConfig, source: Source, images: np.ndarray, labels: np.ndarray, seconds: float
) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        batch = f"{folder}/batch.npz"
        np.savez(batch, images=images, labels=labels)
        request = {"classes": list(source.spec.classes), "batch": batch, "seconds": seconds}
        try:
            (facts,) = ask(
                "bench.trials.children.first_check:probe",
                [{"config": config.to_dict(), **request}],
                config.backend,
                START_SECONDS + seconds,
            )
        except ChildEnded as ended:
            raise BenchError(f"The check of {config.pair} ended early: {ended}") from ended
    if "error" in facts:
        raise BenchError(first_few([facts["error"]], 1))
    return facts
