"""Score a split and keep its predictions beside the scores, if that is wanted."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import __version__
from bench.core.trial_config import TrialConfig
from bench.data.loading.images import Images
from bench.evaluation.evaluate import Evaluation, evaluate
from bench.evaluation.predicted.prediction_files import PredictionWriter
from bench.evaluation.task import Task
from bench.evaluation.thresholds import OperatingPoint

if TYPE_CHECKING:
    from bench.evaluation.task import Source


def evaluate_and_keep(
    predictor: "Source",
    task: Task,
    indexes: np.ndarray,
    point: OperatingPoint | None,
    folder: Path | None,
    about: dict[str, Any],
) -> tuple[Evaluation, str]:
    """Compute all metrics of the images at `indexes`, and keep their predictions in `folder` unless it is None.

    Returns:
        The evaluation, and the reason why the predictions could not be kept; empty if they were, or weren't wanted.
    """
    if folder is None:
        return evaluate(predictor, task, indexes, full=True, point=point), ""
    with PredictionWriter(folder, about) as writer:
        result = evaluate(predictor, task, indexes, full=True, point=point, keep=writer.add)
        writer.finish(result.table)
    return result, writer.problem


def about(
    run: str, config: TrialConfig, pack: Images, split: str, point: OperatingPoint | None, tta: str | None = None
) -> dict[str, Any]:
    """Say in a manifest what its predictions are of."""
    return {
        "run": run,
        "dataset": config.dataset,
        "fingerprint": pack.fingerprint,
        "split": split,
        "eval_size": config.eval_size,
        "image_size": list(config.image_size),
        "resize": config.resize,
        "protocol_version": pack.protocol,
        "classes": list(pack.classes),
        "threshold": point.threshold if point else None,
        "min_area": point.min_area if point else None,
        "tta": tta,
        "segbench": __version__,
    }
