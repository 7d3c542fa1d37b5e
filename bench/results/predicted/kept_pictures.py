"""The pictures that a trial keeps of its test images: image, truth and prediction side by side."""

import re
from collections.abc import Iterator
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.untrusted.plain_files import is_folder
from bench.evaluation.pictures import file_name
from bench.evaluation.predicted.kept_predictor import Kept, read_kept
from bench.evaluation.predicted.prediction_files import SMALL
from bench.results.loading import StoredTrial
from bench.results.trial_files import EVALUATIONS, PREDICTIONS


def kept_predictions(trial: StoredTrial) -> Kept | None:
    """Read what the kept predictions for a trial's own test split are: its own, or those of `bench evaluate`.

    Raises:
        BenchError: there are some, but none can be used.
    """
    problem: BenchError | None = None
    for folder in _folders(trial.folder):
        try:
            kept = read_kept(folder)
        except BenchError as error:
            problem = problem or error
            continue
        if kept.about["split"] == "test" and not kept.about.get("tta") and _is_own(kept, trial):
            return kept
    if problem:
        raise problem
    return None


def _folders(folder: Path) -> Iterator[Path]:
    if is_folder(folder / PREDICTIONS):
        yield folder / PREDICTIONS
    if is_folder(folder / EVALUATIONS):
        yield from sorted(path for path in (folder / EVALUATIONS).glob(f"*.{PREDICTIONS}") if is_folder(path))


def _is_own(kept: Kept, trial: StoredTrial) -> bool:
    same_size = kept.about["eval_size"] == trial.record.config.get("eval_size", "train")
    return same_size and kept.about["fingerprint"] == trial.record.dataset.get("fingerprint")


def pictures_of(trial: StoredTrial) -> dict[str, Path]:
    """Return the files of a trial's pictures by `file_name` of the image: of all test images, or of its few samples."""
    if kept := kept_predictions(trial):
        return {file_name(name): kept.folder / SMALL / f"{file}.webp" for name, file, *_ in kept.images}
    worst = {re.sub(r"^\d+_[\d.]+_", "", file.stem): file for file in trial.worst()}
    return {**worst, **{re.sub(r"^\d+_", "", file.stem): file for file in trial.samples()}}
