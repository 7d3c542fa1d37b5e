"""Make a record's sections about machine, data, training and model, and the file of the model's layers."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np

from bench.config import catalog
from bench.core.trial_config import TrialConfig
from bench.data.loading.images import Images
from bench.data.source import SPLIT_WORDS
from bench.profiling.clock.stalls import stalled_seconds
from bench.profiling.energy import train_kwh
from bench.profiling.environment import actual_device, environment, several
from bench.profiling.flops import costs_if_known
from bench.profiling.instruments import Instruments
from bench.profiling.process_memory import MIB
from bench.results.trial_files import LAYERS, WEIGHTS
from bench.training.engines.engine import Engine
from bench.training.fine_tune import encoder_layers
from bench.training.loop import Training, slow_block_seconds
from bench.trials.progress import training_state

LAST = 2  # validations at the end whose mean is compared; of ten, a fifth of the budget


def describe_machine(
    config: TrialConfig, engine: Engine, instruments: Instruments, images: int | None = None
) -> dict[str, Any]:
    """Make the `device`, `energy` and `environment` of the record: versions, code, TF32 and the device's states.

    Args:
        images: how many the model was trained on; None if it wasn't trained.
    """
    runtime, energy = instruments.runtime, instruments.energy.summary()
    steps = {
        "jit_compile": engine.compiled,
        "tf32": runtime.allows_tf32() if config.precision == "float32" else None,
    }
    return {
        "device": several(actual_device(runtime), config.devices_per_trial),
        "energy": {**energy, **(train_kwh(energy, images) if images is not None else {})},
        "environment": {**environment(runtime), **steps, **instruments.environment()},
    }


def describe_data(config: TrialConfig, pack: Images, indexes: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Make the `dataset` of the record; `indexes` are the images of each split that the trial uses."""
    return {
        "name": config.dataset,
        "fingerprint": pack.fingerprint,
        "classes": list(pack.classes),
        "images": {split: len(some) for split, some in indexes.items()},
        "split_images": {split: len(pack.indexes(split)) for split in indexes},
        "notes": [*pack.notes, *pack.warnings, *_samples(pack, indexes)],
        **({} if pack.values.is_plain else {"values": pack.values.to_dict()}),
        "may_show_pictures": catalog.dataset(config).may_show_pictures,
    }


def _samples(pack: Images, indexes: Mapping[str, np.ndarray]) -> list[str]:
    """Say which splits were scored in part, by --val-limit or --test-limit."""
    scored = [split for split in ("val", "test") if split in indexes]
    whole = {SPLIT_WORDS[split]: (len(indexes[split]), len(pack.indexes(split))) for split in scored}
    return [
        f"of the {n:,} images of the {word} split a fixed sample of {some:,} was scored"
        for word, (some, n) in whole.items()
        if some < n
    ]


def describe_training(
    training: Training,
    validations: Sequence[Mapping[str, float]],
    class_weights: Mapping[str, float],
    *,
    reached: bool = False,
) -> dict[str, Any]:
    """Make the `training` of the record; `reached` says whether it ended because it reached its target."""
    state, waited = training_state(training), training.input_wait_share()
    return {
        **{name: state[name] for name in ("steps", "images", "epochs", "train_seconds")},
        "first_loss": training.losses[0],
        "final_loss": training.losses[-1],
        "validations": len(validations),
        "slow_block_seconds": round(slow_block_seconds(training.blocks), 3),
        **({} if waited is None else {"input_wait_share": round(waited, 4)}),
        **stalls(),
        **convergence([values["mean_iou"] for values in validations]),
        **({"target_seconds": state["train_seconds"]} if reached else {}),
        **({"class_weights": dict(class_weights)} if class_weights else {}),
    }


def stalls() -> dict[str, float]:
    """Return `stalled_seconds`, in which the process of this trial did not run; {} unless it is watched."""
    seconds = stalled_seconds()
    return {} if seconds is None else {"stalled_seconds": round(seconds, 3)}


def describe_model(model: keras.Model, folder: Path) -> dict[str, Any]:
    """Make the `model` of the record; write the layers to the trial's folder, one row each.

    Args:
        folder: the trial's, which has the weights if they were saved.
    """
    costs = costs_if_known(model)  # a model that can't be counted must not lose the trial
    if costs:
        (folder / LAYERS).write_bytes(json.dumps([asdict(cost) for cost in costs]).encode())
    size = sum(math.prod(v.shape) * np.dtype(v.dtype).itemsize for v in model.variables)
    return {
        "params": model.count_params(),
        "trainable_params": sum(math.prod(v.shape) for v in model.trainable_variables),
        "size_mib": round(size / MIB, 3),
        "file_mib": _file_mib(model, folder / WEIGHTS),
        "gflops": sum(cost.flops for cost in costs) / 1e9 if costs else None,
        "activations": sum(cost.activations for cost in costs) if costs else None,
    }


def kept_random(model: keras.Model, config: TrialConfig) -> dict[str, int]:
    """Return `random_frozen_params`, the backbone's weights that training left at random values; {} if it left none."""
    if config.weights != "none" or config.init_from:
        return {}
    frozen = [layer for layer in encoder_layers(model) if not layer.trainable]
    count = sum(math.prod(weight.shape) for layer in frozen for weight in layer.weights)
    return {"random_frozen_params": count} if count else {}


def _file_mib(model: keras.Model, saved: Path) -> float | None:
    """Measure the weights on disk in MiB, by a temporary copy if they were not kept; None if the disk is full."""
    if saved.is_file():
        return round(saved.stat().st_size / MIB, 3)
    try:
        with TemporaryDirectory(dir=saved.parent) as folder:
            copy = Path(folder) / saved.name
            model.save_weights(copy)
            return round(copy.stat().st_size / MIB, 3)
    except (OSError, RuntimeError) as error:  # h5py raises either if the disk is full
        print(f"The size of the weights on disk is not known: {error}")
        return None


def convergence(scores: Sequence[float]) -> dict[str, float]:
    """Compute `val_mean_iou_rise`, the mean of the last two scores minus that of the two before; {} below four."""
    if len(scores) < 2 * LAST:
        return {}
    return {"val_mean_iou_rise": round(fmean(scores[-LAST:]) - fmean(scores[-2 * LAST : -LAST]), 6)}
