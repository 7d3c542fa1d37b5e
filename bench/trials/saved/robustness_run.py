"""Score a stored trial's weights on corrupted test images; the process of a backend, and its parent's side.

Each condition's result is stored when it is known, so that the same call goes on with what is missing.
"""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench import __version__
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.evaluation.corruptions.corrupted_pack import CorruptedPack
from bench.evaluation.corruptions.corruption_table import SEVERITIES, Condition
from bench.evaluation.evaluate import evaluate
from bench.evaluation.image_table import read_table
from bench.evaluation.pictures import write_strip
from bench.evaluation.scores import image_means, mean_iou
from bench.results.loading import StoredTrial
from bench.results.record_reader import read_record
from bench.results.robustness.condition_files import ADVICE, check_folder, file_of, is_stored, store
from bench.trials.saved.opened import Opened, open_trained


def score_conditions(run: str, config: dict[str, Any], conditions: list[tuple[str, int]]) -> dict[str, Any]:
    """Score the conditions that have no result yet; clean images come first.

    Args:
        run: the trial's folder.
        config: the one that `trained_config` returns, with the wanted limit of test images.
        conditions: kinds and severities.
    """
    trial = StoredTrial(read_record(Path(run)), Path(run))
    known = TrialConfig.from_dict(config)
    check_folder(trial)
    opened = open_trained(trial, known)
    if not opened.own:
        raise BenchError(
            f"The data of {known.dataset} are not those that the run was trained on (fingerprint "
            f"{opened.pack.fingerprint[:8]}, in the record {str(trial.record.dataset.get('fingerprint'))[:8]}), so its "
            "test images may have been training images. Give the data as they were, with --data-dir."
        )
    images = len(opened.indexes["test"])
    for condition in (Condition(*one) for one in conditions):
        if not is_stored(trial, condition, images):
            _score(trial, known, opened, condition)
    return {"images": images}


def _score(trial: StoredTrial, config: TrialConfig, opened: Opened, condition: Condition) -> None:
    start, indexes, task = time.monotonic(), opened.indexes["test"], opened.task
    if condition.severity:
        task = replace(task, pack=CorruptedPack(opened.pack, condition, config.resize))
    table = evaluate(opened.predictor, task, indexes).table
    opened.pack.check_unchanged()
    worst = _worst(trial, table.counts) if condition.severity else None
    if worst is not None and condition.severity == max(SEVERITIES):
        picture = file_of(trial, condition, len(indexes)).with_suffix(".png")
        write_strip(opened.predictor, task.pack, int(indexes[worst]), picture, ADVICE)
    facts = {
        "mean_iou": mean_iou(table.counts),
        "lost_most": None if worst is None else table.names[worst],
        "eval_size": config.eval_size,
        "protocol_version": opened.pack.protocol,
        "backend": config.backend,
        "segbench": __version__,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - start, 3),
    }
    store(trial, condition, table, facts)


def _worst(trial: StoredTrial, counts: np.ndarray) -> int | None:
    """Return the place of the image whose mean IoU has fallen most from that of the clean image."""
    clean = read_table(file_of(trial, Condition(), len(counts)).with_suffix(".parquet"), counts_only=True)
    lost = image_means(clean.counts) - image_means(counts)
    return int(np.nanargmax(lost)) if np.isfinite(lost).any() else None
