"""What a model is: its `model` in the record, and a file of its layers."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np

from bench.profiling.flops import costs_if_known
from bench.profiling.memory import MIB
from bench.records.store import LAYERS, WEIGHTS


def describe_model(model: keras.Model, folder: Path) -> dict[str, Any]:
    """The `model` of the record; writes the layers to the trial's folder, a row each.

    Args:
        folder: where the trial's weights stand, if they were saved.
    """
    costs = costs_if_known(model)  # no trial must be lost for a count
    if costs:
        (folder / LAYERS).write_text(json.dumps([asdict(cost) for cost in costs]))
    size = sum(math.prod(v.shape) * np.dtype(v.dtype).itemsize for v in model.variables)
    return {
        "params": model.count_params(),
        "trainable_params": sum(math.prod(v.shape) for v in model.trainable_variables),
        "size_mib": round(size / MIB, 3),
        "file_mib": _file_mib(model, folder / WEIGHTS),
        "gflops": sum(cost.flops for cost in costs) / 1e9 if costs else None,
        "activations": sum(cost.activations for cost in costs) if costs else None,
    }


def _file_mib(model: keras.Model, saved: Path) -> float | None:
    """MiB of the weights on disk; where they were not kept, of a copy that is gone again. None for a full disk."""
    if saved.is_file():
        return round(saved.stat().st_size / MIB, 3)
    try:
        with TemporaryDirectory(dir=saved.parent) as folder:
            copy = Path(folder) / saved.name
            model.save_weights(copy)
            return round(copy.stat().st_size / MIB, 3)
    except (OSError, RuntimeError) as error:  # h5py has both for a full disk
        print(f"The size of the weights on disk is not known: {error}")
        return None
