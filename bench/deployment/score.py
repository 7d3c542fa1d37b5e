"""The child process that scores a file, or the stored trial in Keras, on the test split."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from bench.core.trial_config import TrialConfig
from bench.deployment.class_maps import MAPS, PICTURES, packed, write_maps
from bench.deployment.format import LoadedModel
from bench.deployment.formats import FORMATS
from bench.deployment.measure import Call, timed
from bench.evaluation.averaging.mean_predictor import MeanPredictor
from bench.evaluation.evaluate import evaluate
from bench.evaluation.image_table import write_table
from bench.evaluation.native.host import decide
from bench.evaluation.predictor import Predictor
from bench.results.loading import StoredTrial
from bench.results.record_reader import read_record
from bench.results.trial_files import IMAGES
from bench.training.engines.engine import InferenceEngine
from bench.trials.saved.augmented import augmented
from bench.trials.saved.checkpoints import restore
from bench.trials.saved.evaluate_run import tuned_point
from bench.trials.saved.opened import Opened, open_trained
from bench.trials.saved.stored_trials import classes_of


class FileEngine(InferenceEngine):
    """An exported file in the place of a Keras model; it takes one image at a time."""

    compiled = True

    def __init__(self, loaded: LoadedModel, input_shape: list[int], classes: int):
        self.model: Any = SimpleNamespace(input_shape=input_shape, output_shape=(*input_shape[:3], classes))
        self._loaded = loaded

    def predict(self, images: Any) -> Any:
        return decide(self.logits(images))

    def logits(self, images: Any) -> Any:
        return self._loaded.logits(images)

    def put(self, array: np.ndarray) -> Any:
        return array

    def wait(self, value: Any) -> None:
        return None


class _KeepsMaps(Predictor):
    """A predictor that keeps the classes of each image, compressed."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.maps: list[np.ndarray] = []
        self.restorer = None  # the host has every pixel's class

    def classes(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = super().classes(images)
        self.maps += [packed(classes) for classes in found[0]]
        return found

    def restored_classes(self, *arguments: Any, **options: Any) -> tuple[np.ndarray, np.ndarray]:
        found = super().restored_classes(*arguments, **options)
        self.maps.append(packed(found[0]))
        return found


class Recording(_KeepsMaps, Predictor):
    """A predictor of images as they are."""


class RecordingMean(_KeepsMaps, MeanPredictor):
    """A predictor of the mean over views of each image."""


def score_file(
    trial: str, config: dict[str, Any], form: str, file: str, input_shape: list[int], into: str, tta: str = ""
) -> dict[str, Any]:
    """Score a file on the test split; the per-image table and the class maps are written into a folder.

    Args:
        tta: "flips": average over each image and its mirror image.
    """
    stored, setting = _stored(trial), TrialConfig.from_dict(config)
    loaded = FORMATS[form].open(Path(file))
    engine = FileEngine(loaded, input_shape, len(classes_of(stored)))
    opened = open_trained(stored, setting, engine=engine)
    return _scored(opened, stored, replace(setting, batch_size=1), Path(into), tta)


def score_keras(trial: str, config: dict[str, Any], into: str, tta: str = "") -> dict[str, Any]:
    """Score the trial's weights in Keras on this process's backend; an image of the split is left for `measure`.

    Args:
        tta: "flips" or "scales": average over views of each image.
    """
    stored, setting = _stored(trial), TrialConfig.from_dict(config)
    opened = open_trained(stored, setting)
    height, width = opened.predictor.engine.model.input_shape[1:3]
    np.save(Path(into) / PICTURES, opened.pack.pictures(opened.indexes["test"][:1])[:, :height, :width])
    return _scored(opened, stored, setting, Path(into), tta)


def measure_keras(trial: str, config: dict[str, Any], images: str, tta: str = "") -> dict[str, Any]:
    """Build the trial's model, load its weights and time it as `measure_file` times a file."""
    stored, setting = _stored(trial), TrialConfig.from_dict(config)
    image = np.load(images)[:1]

    def load() -> Call:
        engine = restore(setting, stored, len(classes_of(stored)))
        if not tta:
            return lambda: engine.wait(engine.logits(image))
        plain = Predictor(engine, image.shape[1:3], batch_size=1, resize=setting.resize)
        averaged = augmented(plain, tta, stored, setting)
        return lambda: averaged.logits(image)

    return {**timed(load), "computes": setting.precision}


def _stored(trial: str) -> StoredTrial:
    return StoredTrial(read_record(Path(trial)), Path(trial))


def _scored(opened: Opened, trial: StoredTrial, config: TrialConfig, into: Path, tta: str) -> dict[str, Any]:
    """Score the test split at the trial's evaluation size; write the per-image table and the class maps."""
    rows, predictor = opened.indexes["test"], _recording(opened.predictor.engine, trial, config, tta)
    result = evaluate(predictor, opened.task, rows, full=True, point=tuned_point(trial, config))
    opened.pack.check_unchanged()
    write_table(into / IMAGES, *result.table)
    write_maps(into / MAPS, predictor.maps[: len(rows)])
    return {"metrics": result.metrics(), "images": len(rows), "fingerprint": opened.pack.fingerprint}


def _recording(engine: InferenceEngine, trial: StoredTrial, config: TrialConfig, tta: str) -> Recording | RecordingMean:
    options: dict[str, Any] = {"batch_size": config.batch_size, "resize": config.resize}
    if not tta:
        return Recording(engine, config.image_size, **options)
    return RecordingMean(augmented(Predictor(engine, config.image_size, **options), tta, trial, config).views)
