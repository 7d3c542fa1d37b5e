"""Compute every metric again from kept predictions, without the model, and compare it with the stored scores."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench import __version__
from bench.config import catalog
from bench.core.durable import sync_file
from bench.core.errors import BenchError
from bench.core.specs import flat
from bench.core.trial_config import TrialConfig
from bench.data.loading.images import Images
from bench.evaluation.confusion import THRESHOLDS
from bench.evaluation.evaluate import evaluate
from bench.evaluation.image_table import ImageTable, read_table, write_table
from bench.evaluation.predicted.kept_predictor import Kept, KeptPredictor, read_kept
from bench.evaluation.task import Task
from bench.evaluation.thresholds import OperatingPoint
from bench.results.loading import StoredTrial
from bench.results.trial_files import write_json
from bench.trials.rescoring.kept_scores import Scored, check_of
from bench.trials.saved.stored_trials import on_data
from bench.trials.trained_input.trained_values import read_as_trained

_TUNED = "tuned"


@dataclass(frozen=True)
class Rescored:
    """The scores that were computed again, compared with the stored ones."""

    file: Path
    metrics: dict[str, Any]
    equal: tuple[str, ...]  # names of metrics with the same value, to the last bit
    added: tuple[str, ...]  # that the stored scores don't have
    gone: tuple[str, ...]  # that the stored scores have, and this version doesn't compute
    differing: tuple[tuple[str, Any, Any], ...]  # name, stored, computed now
    table_differs: tuple[str, ...]  # arrays of the per-image table


def rescore(
    trial: StoredTrial,
    config: TrialConfig,
    scored: Scored,
    *,
    data_dir: str | None = None,
    threshold: float | None = None,
    min_area: int | None = None,
) -> Rescored:
    """Compute all metrics from kept predictions, and write them beside the stored scores.

    Args:
        config: the trial's own.
        threshold, min_area: of the tuned scores; None for those that the predictions' scores have.

    Raises:
        BenchError: the predictions are incomplete, damaged, or not those of the scores; or the data are other ones.
    """
    start = time.monotonic()
    kept, table = read_kept(scored.predictions), read_table(scored.table)
    check_of(kept, scored, table)
    point = _point(kept, threshold, min_area)
    about = kept.about
    config = on_data(config, dataset=about["dataset"], data_dir=data_dir, eval_size=about["eval_size"])
    pack = read_as_trained(trial, config)
    indexes = _indexes(kept, pack)
    predictor = KeptPredictor(
        kept, len(pack.classes), batch_size=config.batch_size, image_size=(config.image_size[0], config.image_size[1])
    )
    task = Task(pack, catalog.dataset(config).metrics, native=config.eval_size == "native")
    result = evaluate(predictor, task, indexes, full=True, point=point)
    as_stored = threshold is None and min_area is None
    made = _compared(scored, table, result.table, result.metrics(), as_stored=as_stored)
    _write(made, result.table, _provenance(trial, kept, point, start))
    return made


def _point(kept: Kept, threshold: float | None, min_area: int | None) -> OperatingPoint | None:
    tuned, area = kept.about.get("threshold"), kept.about.get("min_area")
    two = len(kept.about.get("classes", ())) == 2
    if not two and (threshold is not None or min_area is not None):
        raise BenchError("--threshold and --min-area are for runs with two classes. This run has more. Leave them out.")
    if threshold is not None and threshold not in THRESHOLDS:
        raise BenchError(
            f"--threshold is {threshold:g}. Accepted: 0.05, 0.10, ..., 0.95, at which the kept probabilities decide "
            "every pixel as the model's."
        )
    if min_area is not None and min_area < 0:
        raise BenchError(f"--min-area is {min_area}. Accepted: 0 or more pixels.")
    if tuned is None and threshold is None and min_area is None:
        return None
    chosen = threshold if threshold is not None else tuned if tuned is not None else 0.5
    return OperatingPoint(float(chosen), int(min_area if min_area is not None else area or 0))


def _indexes(kept: Kept, pack: Images) -> np.ndarray:
    """Find the predictions' images in the data; raise BenchError if these are other ones."""
    if pack.fingerprint != kept.about["fingerprint"]:
        raise BenchError(
            f"The data of '{kept.about['dataset']}' are not those of the predictions '{kept.folder}': the fingerprint "
            f"is {pack.fingerprint}, and was {kept.about['fingerprint']}. Give the data as they were, with --data-dir."
        )
    if pack.protocol != kept.about.get("protocol_version"):
        raise BenchError(
            f"The labels are decoded by protocol {pack.protocol}, and the predictions '{kept.folder}' were made under "
            f"protocol {kept.about.get('protocol_version')}. Keep them again: bench evaluate RUN --keep-predictions."
        )
    places = {name: place for place, name in enumerate(pack.names)}
    return np.array([places[name] for name in kept.names], np.int64)


def _compared(
    scored: Scored, stored: ImageTable, now: ImageTable, metrics: dict[str, Any], *, as_stored: bool
) -> Rescored:
    """Compare with the stored scores; at another threshold or minimum area not those that depend on it."""
    before, after = flat(dict(scored.metrics)), flat(metrics)
    compared = [name for name in after if as_stored or not name.startswith(_TUNED)]
    known = [name for name in compared if name in before]
    differing = [(name, before[name], after[name]) for name in known if before[name] != after[name]]
    different = {name for name, *_ in differing}
    return Rescored(
        scored.rescored,
        metrics,
        tuple(name for name in known if name not in different),
        tuple(name for name in after if name not in before),
        tuple(name for name in before if name not in after and (as_stored or not name.startswith(_TUNED))),
        tuple(differing),
        tuple(_differing_arrays(stored, now, as_stored=as_stored)),
    )


def _differing_arrays(stored: ImageTable, now: ImageTable, *, as_stored: bool) -> Iterator[str]:
    before, after = stored.arrays(), now.arrays()
    for name in before.keys() & after.keys():
        if (as_stored or not name.startswith(_TUNED)) and not np.array_equal(
            before[name], after[name], equal_nan=before[name].dtype.kind == "f"
        ):
            yield name


def _provenance(trial: StoredTrial, kept: Kept, point: OperatingPoint | None, start: float) -> dict[str, Any]:
    return {
        "run": trial.folder.name,
        "predictions": kept.folder.name,
        "manifest_sha256": kept.hash,
        **{name: kept.about.get(name) for name in ("dataset", "fingerprint", "split", "eval_size", "protocol_version")},
        "images": len(kept.images),
        "point": asdict(point) if point else None,
        "segbench": __version__,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - start, 3),
    }


def _write(made: Rescored, table: ImageTable, provenance: dict[str, Any]) -> None:
    found = {
        **provenance,
        "metrics": made.metrics,
        "equal": list(made.equal),
        "added": list(made.added),
        "gone": list(made.gone),
        "differing": {name: {"stored": stored, "now": now} for name, stored, now in made.differing},
        "table_differs": list(made.table_differs),
    }
    try:
        write_table(made.file.with_suffix(".parquet"), *table)
        sync_file(made.file.with_suffix(".parquet"))
        write_json(made.file, found)
    except OSError as error:
        raise BenchError(f"'{made.file}' can't be written ({error.strerror}).") from error
