"""Score a stored trial's weights again, on any split, evaluation size or data set with the same classes."""

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench import __version__
from bench.core.durable import sync_file
from bench.core.errors import BenchError
from bench.core.files import name_part
from bench.core.trial_config import TrialConfig
from bench.core.untrusted.plain_files import check_inside
from bench.evaluation.averaging.mean_predictor import MeanPredictor, milliseconds_per_image
from bench.evaluation.evaluate import evaluate
from bench.evaluation.image_table import ImageTable, write_table
from bench.evaluation.thresholds import OperatingPoint
from bench.profiling.environment import actual_device
from bench.results.analysis.same_images import of_tables
from bench.results.loading import StoredTrial
from bench.results.trial_files import EVALUATIONS, predictions_of, write_json
from bench.training.engines import create_runtime
from bench.trials.rescoring.keeping import about, evaluate_and_keep
from bench.trials.saved.augmented import augmented
from bench.trials.saved.opened import Opened, open_trained


def evaluate_run(
    trial: StoredTrial,
    config: TrialConfig,
    split: str,
    *,
    tta: str | None = None,
    keep_predictions: bool = False,
    preparing: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Any], Path]:
    """Score a trial's saved weights; return the results and the path of the JSON file with them in the trial's folder.

    The per-image table is beside that file. Batch norm statistics are those with which the trial was tested.

    Args:
        config: the one that `trained_config` returns, with the wanted data set and evaluation size; keras must run on
            its backend.
        split: "train", "val" or "test"; of the trial's own data the images that it used.
        tta: "flips" or "scales": average the probabilities over views of each image; the results then have the
            difference that it makes, and its cost.
        keep_predictions: keep the class maps and probabilities beside the results, in a folder of the same name.

    Raises:
        BenchError: the classes differ from the trial's, the data can't be read, or the weights don't fit.
    """
    start = time.monotonic()
    opened = open_trained(trial, config, preparing)
    pack, indexes = opened.pack, opened.indexes[split]
    predictor = augmented(opened.predictor, tta, trial, config) if tta else opened.predictor
    point, told = tuned_point(trial, config), _told(config, pack.fingerprint, split, tta)
    path = trial.folder / EVALUATIONS / f"{'_'.join(map(name_part, told))}.json"
    check_inside(trial.folder, path.parent, "copy the run's folder.")
    folder = predictions_of(path) if keep_predictions else None
    manifest = about(trial.folder.name, config, pack, split, point, tta)
    result, problem = evaluate_and_keep(predictor, opened.task, indexes, point, folder, manifest)
    gain = {"tta": _gain(opened, predictor, result.table, indexes)} if isinstance(predictor, MeanPredictor) else {}
    pack.check_unchanged()
    found = {
        "run": trial.folder.name,
        "dataset": {
            "name": config.dataset,
            "fingerprint": pack.fingerprint,
            "images": len(indexes),
            "notes": [*pack.notes, *pack.warnings],
        },
        "split": split,
        "eval_size": config.eval_size,
        "protocol_version": pack.protocol,
        "metrics": result.metrics(),
        **gain,
        "backend": config.backend,
        "device": actual_device(create_runtime(config.backend)),
        "segbench": __version__,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - start, 3),
    }
    _write(path, found, result.table)
    if problem:
        raise BenchError(f"Scored, and {problem}. The scores are in '{path}'. Make room and run the command again.")
    return found, path


def _gain(opened: Opened, averaged: MeanPredictor, table: ImageTable, indexes: np.ndarray) -> dict[str, Any]:
    """Return what averaging over views gains in mean IoU on the same images, and what it costs."""
    plain = evaluate(opened.predictor, opened.task, indexes).table
    mine, its = of_tables([table, plain])
    costs = milliseconds_per_image({"with": averaged, "without": opened.predictor}, opened.pack.values.dtype)
    return {
        "views": [str(view) for view in averaged.views],
        "mean_iou_without": its.mean,
        "difference": asdict(mine.drift_from(its)),
        "ms_per_image": costs["with"],
        "ms_per_image_without": costs["without"],
    }


def tuned_point(trial: StoredTrial, config: TrialConfig) -> OperatingPoint | None:
    """Return the trial's tuned threshold and minimum area; None at another evaluation size, as areas are in pixels."""
    tuned = trial.record.metrics.get("tuned")
    if not tuned or config.eval_size != TrialConfig.from_dict(trial.record.config).eval_size:
        return None
    return OperatingPoint(tuned["threshold"], tuned["min_area"])


def _told(config: TrialConfig, fingerprint: str, split: str, tta: str | None) -> tuple[str, ...]:
    """Return what the name of the results tells."""
    return config.dataset, split, config.eval_size, fingerprint[:8], *([tta] if tta else [])


def _write(path: Path, found: dict[str, Any], table: ImageTable) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        write_table(path.with_suffix(".parquet"), *table)
        sync_file(path.with_suffix(".parquet"))
        write_json(path, found)
    except OSError as error:
        raise BenchError(f"'{path}' can't be written ({error.strerror}).") from error
