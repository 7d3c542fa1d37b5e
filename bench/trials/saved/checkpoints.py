"""Save a trial's weights, and turn a stored trial back into a model or an engine that predicts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from bench.core.errors import BenchError
from bench.core.files import write_atomically
from bench.core.trial_config import DEFAULTS, TrialConfig
from bench.core.untrusted.plain_files import is_file
from bench.profiling.process_memory import MIB
from bench.results.loading import StoredTrial
from bench.results.record_reader import read_record
from bench.results.trial_files import WEIGHTS
from bench.training.build import build_engine, build_model
from bench.training.engines.engine import Engine
from bench.trials.trained_input.trained_values import values_of


def save(model: keras.Model, folder: Path) -> dict[str, Any]:
    """Write the model's weights to a temporary file, then rename it; the trial syncs its whole folder at its end.

    Returns:
        For the record: `file` and `size_mib`; or `problem`, such as a full disk, which must not lose the trial.
    """
    try:
        with write_atomically(folder / WEIGHTS, sync=False) as part:
            model.save_weights(part)
    except (OSError, RuntimeError) as error:  # h5py raises either if the disk is full
        reason = str(error).strip().splitlines()[0]
        print(f"The weights were not saved: {reason}")
        return {"problem": f"not saved: {reason}"}
    return {"file": WEIGHTS, "size_mib": round((folder / WEIGHTS).stat().st_size / MIB, 3)}


def restore(config: TrialConfig, trial: StoredTrial, num_classes: int) -> Engine:
    """Make an engine that predicts with a stored trial's weights, on the current Keras backend and one device.

    Args:
        config: the one that `trained_config` returns.

    Raises:
        BenchError: there are no weights, or they don't fit the model as it is built today.
    """
    model = build_model(config, num_classes, values_of(trial.record).bands)
    _load(model, trial.folder)
    alone = replace(config, devices_per_trial=1)
    return build_engine(alone, model, keras.optimizers.SGD(config.lr))  # it has no state, and nothing is trained


def initialise(config: TrialConfig, model: keras.Model, classes: Sequence[str]) -> dict[str, Any]:
    """Give a new model the weights of the trial that `config.init_from` names.

    If the classes or the kind of head differ, the head keeps its random weights: the variables whose shape depends on
    how many outputs there are.

    Returns:
        For the record: `init_from` (the other trial's identity) and `new_head` (whether the head is random).
    """
    folder, bands = Path(str(config.init_from)), int(model.input_shape[-1])
    record = read_record(folder)
    theirs, had = list(record.dataset["classes"]), values_of(record).bands
    if had != bands:
        raise BenchError(
            f"--init-from: '{folder.name}' was trained on images of {had} bands, and these have {bands}. Weights only "
            "fit as many: choose them with --bands, or start without --init-from."
        )
    head = record.config.get("head", DEFAULTS.head)
    if (theirs, head) == (list(classes), config.head):
        _load(model, folder)
        return {"init_from": folder.name, "new_head": False}
    source = build_model(replace(config, head=head), len(theirs), bands)
    _load(source, folder)
    most = max(len(theirs), len(classes)) + 1  # outputs, which neither model has
    other = build_model(replace(config, head=DEFAULTS.head), most, bands)
    for mine, its, shape in zip(model.variables, source.variables, other.variables, strict=True):
        if mine.shape == shape.shape:
            mine.assign(its)
    return {"init_from": folder.name, "new_head": True}


def _load(model: keras.Model, folder: Path) -> None:
    path = folder / WEIGHTS
    if not is_file(path):
        raise BenchError(f"The weights of '{folder.name}' are gone: there is no '{path}'.")
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BenchError(f"The weights '{path}' don't fit {model.name} as it is built today: {reason}") from error
