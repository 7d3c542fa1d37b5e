"""The child process of export_run.py: it writes variants of a stored trial's model and compares each with Keras.

Keras runs on the backend that converts the format, whichever backend trained the weights.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.deployment.conversion_errors import layer_in, reason_in
from bench.deployment.format import Format, LoadedModel, Order, check_drift
from bench.deployment.formats import FORMATS
from bench.results.loading import StoredTrial
from bench.results.record_reader import read_record
from bench.training.augment import to_float
from bench.trials.saved.opened import open_trained

CHECKED = 8  # images of the test split on which a file is compared with Keras
INPUT = "images"


def convert(
    trial: str, config: dict[str, Any], form: str, precision: str, into: str, images: int, dynamic_batch: bool
) -> dict[str, Any]:
    """Write a variant into the folder `into`; return what is known of its making.

    Args:
        trial: the trial's folder.
        config: the one that `trained_config` returns, in float32 on this process's backend.
        images: how many of the training split int8 may look at.

    Raises:
        BenchError: a layer can't be converted, the data can't be read, or the file's logits drift from Keras's.
    """
    source = _source(trial, TrialConfig.from_dict(config))
    chosen = FORMATS[form]
    calibration = source.calibration(images if precision == "int8" else 0)
    file = Path(into) / chosen.file
    graph = source.graph(dynamic_batch=dynamic_batch)
    try:
        chosen.convert(graph, file, Order(precision, calibration, dynamic_batch))
    except Exception as error:  # a converter raises whatever it likes
        raise BenchError(_why(chosen, graph, error)) from error
    loaded = chosen.open(file, exact=True)
    drift = source.drift(loaded, dynamic_batch=dynamic_batch)
    check_drift(chosen.title, precision, drift)
    return {
        "input_shape": [None if dynamic_batch else 1, *graph.input_shape[1:]],
        "dtype": str(source.test.dtype),
        "drift": drift,
        "checked": len(source.test),
        "calibration": len(calibration),
        "computes": loaded.computes,
        **loaded.facts(),
    }


class _Source:
    """A stored trial's model on this backend, its logits on the images of the check, and its data."""

    def __init__(self, folder: str, config: TrialConfig):
        trial = StoredTrial(read_record(Path(folder)), Path(folder))
        opened = open_trained(trial, config)
        self.pack, self.engine, self._rows = opened.pack, opened.predictor.engine, opened.indexes
        self.test = self._images("test", CHECKED)
        self._logits = np.asarray(keras.ops.convert_to_numpy(self.engine.logits(self.test)))

    def graph(self, *, dynamic_batch: bool) -> keras.Model:
        """Build images (B, H, W, C) in the pack's dtype to logits, the normalisation inside."""
        shape = (None if dynamic_batch else 1, *self.engine.model.input_shape[1:])
        images = keras.Input(batch_shape=shape, dtype=str(self.test.dtype), name=INPUT)
        graph = keras.Model(images, self.engine.model(to_float(images), training=False), name="deployed")
        graph(self.test[:1], training=False)  # Keras exports only a model that has been called
        return graph

    def calibration(self, count: int) -> np.ndarray:
        """Return images of the training split, evenly spread over it: (count, H, W, C), or all that there are."""
        found = self._images("train", count)
        if count and not len(found):
            raise BenchError("int8 is calibrated on the training split, which has no images. Export another precision.")
        return found

    def drift(self, loaded: LoadedModel, *, dynamic_batch: bool) -> float:
        """Return the greatest difference from Keras's logits, divided by the greatest of these."""
        step = len(self.test) if dynamic_batch else 1
        batches = [self.test[start : start + step] for start in range(0, len(self.test), step)]
        found = np.concatenate([loaded.logits(batch) for batch in batches])
        if found.shape != self._logits.shape:
            raise BenchError(f"The file gives logits {found.shape}, but Keras {self._logits.shape}.")
        drift = float(np.abs(found - self._logits).max() / max(np.abs(self._logits).max(), 1e-30))
        return drift if np.isfinite(drift) else float("inf")

    def _images(self, split: str, count: int) -> np.ndarray:
        """Return images of a split at the model's size: those of a model of crops are cut from the middle."""
        rows = self._rows[split]
        chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows)), dtype=int))] if len(rows) else rows
        height, width = self.engine.model.input_shape[1:3]
        top, left = ((side - own) // 2 for side, own in zip(self.pack.size, (height, width), strict=True))
        return self.pack.pictures(chosen)[:, top : top + height, left : left + width]


_LAST: dict[str, _Source] = {}


def _source(folder: str, config: TrialConfig) -> _Source:
    """Return a trial's source; the last one is kept, for the other variants of its trial."""
    if folder not in _LAST:
        _LAST.clear()
        _LAST[folder] = _Source(folder, config)
    return _LAST[folder]


def _why(form: Format, graph: keras.Model, error: Exception) -> str:
    """Say why a conversion failed, with the layer if the converter's message names one."""
    others = (keras.Model, keras.layers.InputLayer)
    names = [layer.name for layer in graph._flatten_layers(include_self=False) if not isinstance(layer, others)]
    layer = layer_in(str(error), names)
    what = f"the layer '{layer}'" if layer else "the model"
    return f"{form.title} can't express {what}: {reason_in(f'{type(error).__name__}: {error}')}"
