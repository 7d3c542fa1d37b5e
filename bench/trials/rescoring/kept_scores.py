"""Find a trial's kept predictions with the stored scores that they gave, and check that they belong together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.untrusted.plain_files import is_folder
from bench.evaluation.image_table import ImageTable
from bench.evaluation.predicted.folder_locks import restore_former
from bench.evaluation.predicted.kept_predictor import Kept
from bench.evaluation.predicted.prediction_files import table_hash
from bench.results.loading import StoredTrial
from bench.results.trial_files import EVALUATIONS, IMAGES, PREDICTIONS, RESCORED, predictions_of, read_json


@dataclass(frozen=True)
class Scored:
    """The stored scores that belong to a folder of predictions."""

    predictions: Path
    table: Path
    split: str
    metrics: Mapping[str, Any]
    rescored: Path  # the JSON file that rescoring writes


def kept_scores(trial: StoredTrial) -> list[Scored]:
    """List a trial's predictions with their scores: those of its own test, then those of `bench evaluate`.

    Raises:
        BenchError: none were kept.
    """
    folder = trial.folder
    found = []
    restore_former(folder / PREDICTIONS)
    if is_folder(folder / PREDICTIONS):
        own = Scored(folder / PREDICTIONS, folder / IMAGES, "test", trial.record.metrics, folder / f"{RESCORED}.json")
        found.append(own)
    for file in sorted((folder / EVALUATIONS).glob("*.json")) if is_folder(folder / EVALUATIONS) else []:
        restore_former(predictions_of(file))
        if is_folder(predictions_of(file)):
            said = read_json(file)
            split, metrics = str(said.get("split")), said.get("metrics")
            known = metrics if isinstance(metrics, dict) else {}
            name = file.with_name(f"{file.stem}.{RESCORED}.json")
            found.append(Scored(predictions_of(file), file.with_suffix(".parquet"), split, known, name))
    if not found:
        raise BenchError(
            f"The run '{folder.name}' has no kept predictions. Keep them: bench evaluate {folder.name} "
            "--keep-predictions, or bench run with that option."
        )
    return found


def check_of(kept: Kept, scored: Scored, table: ImageTable) -> None:
    """Raise BenchError unless the predictions are those of the scores."""
    folder, split = kept.folder, kept.about["split"]
    if split != scored.split:
        raise BenchError(
            f"The predictions '{folder}' are of the {split} split, and the scores of the {scored.split} split."
        )
    if kept.names != table.names:
        raise BenchError(
            f"The predictions '{folder}' are of {len(kept.names)} other images than the {len(table.names)} of "
            f"'{scored.table.name}', so of another split or another sample of it."
        )
    if kept.about["table"] != table_hash(table):
        raise BenchError(
            f"The predictions '{folder}' are of other weights than the scores in '{scored.table.name}': of the run "
            f"'{kept.about['run']}' when it had other scores. Keep them again: bench evaluate RUN --keep-predictions."
        )
