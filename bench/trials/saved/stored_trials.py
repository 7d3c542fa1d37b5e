"""Find a stored trial and the configuration that uses its weights on this machine; imports no keras."""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.config import catalog, checks, equal_cost
from bench.core.backends import DEFAULT_BACKEND
from bench.core.errors import BenchError
from bench.core.specs import FOLDER, TrialRecord
from bench.core.surroundings import environment
from bench.core.trial_config import TrialConfig
from bench.results.find import find_run
from bench.results.loading import StoredTrial
from bench.results.record_reader import read_record
from bench.trials.trained_input.trained_values import values_of


def find_trained(run: str, results: Path) -> StoredTrial:
    """Find the trial that `run` names (see `find_run`); raise BenchError if it has no saved weights."""
    trial = find_run(run, results)
    if trial.record.status != "ok" or not trial.weights:
        raise BenchError(f"The run '{trial.folder.name}' has no saved weights: {why_no_weights(trial.record)}")
    return trial


def why_no_weights(record: TrialRecord) -> str:
    """Explain why a trial's folder has no weights, and what to do."""
    again = "Run it again with --keep-weights all --force."
    if record.status != "ok":
        return f"it has the status {record.status}."
    if record.config.get("measure") == "speed":
        return "it is speed-only. Train one with bench run."
    if "problem" in record.weights:
        return f"{record.weights['problem']}. {again}"
    if "file" not in record.weights:
        return f"it ran with --keep-weights none. {again}"
    return f"a trial of its pair with a better validation score replaced them, or they were removed. {again}"


def named_plugin(config: TrialConfig, plugin: Path | None) -> str | None:
    """Return the plug-in that the user names; a record is data, and the file that it names isn't run for that.

    Raises:
        BenchError: the record names a plug-in, and the user none.
    """
    if plugin is None and config.plugin:
        raise BenchError(
            f"The run uses the plug-in '{config.plugin}', and code runs only if you name it: "
            f"--plugin {shlex.quote(config.plugin)}. Read the file first if the results are another's."
        )
    return str(plugin.expanduser().resolve()) if plugin else None


def trained_config(trial: StoredTrial, *, plugin: Path | None = None, backend: str | None = None) -> TrialConfig:
    """Return the configuration that rebuilds a trial's model here; raise BenchError if its backend or code is missing.

    Args:
        plugin: the plug-in's file, which must be named if the trial has one.
        backend: used instead of the trial's own; weights can be loaded on every backend.
    """
    config = TrialConfig.from_dict(trial.record.config)
    # The weights will be loaded from a file, so `weights`, `init_from` and `jit` no longer matter; the size is known.
    config = replace(config, weights="none", init_from=None, plugin=named_plugin(config, plugin))
    config = equal_cost.without_limit(config)
    config = replace(config, backend=backend or config.backend, jit="auto")
    checks.backend(config, catalog.architecture(config))
    checks.ranges(config)
    return config


def changed_code(trial: StoredTrial, config: TrialConfig) -> str | None:
    """Return a warning if a plug-in or an installed package has changed since the trial was trained."""
    if trial.record.weights.get("source") == catalog.source_hash(config):
        return None
    name = config.plugin or f"The code of {config.arch} and {config.dataset}"
    return f"{name} isn't the code that the run was trained with (its hash differs), so the result may differ too."


def on_data(
    config: TrialConfig, *, dataset: str | None = None, data_dir: str | None = None, eval_size: str | None = None
) -> TrialConfig:
    """Return the configuration on other data or at another evaluation size; None leaves a value as it is."""
    changes: dict[str, Any] = {"eval_size": eval_size or config.eval_size}
    if dataset is not None and dataset != config.dataset:
        changes |= {"dataset": dataset, "data_dir": None, "dataset_params": {}}
    if data_dir is not None and config.dataset.startswith(FOLDER) and dataset is None:
        changes |= {"dataset": f"{FOLDER}{data_dir}", "data_dir": None}
    elif data_dir is not None:
        changes["data_dir"] = str(data_dir)
    return catalog.resolve_config(replace(config, **changes))


def paths_of_record(config: TrialConfig, *, own_data: bool) -> list[str]:
    """Write a line for each file or folder that is read because a record names it, so that the user can object.

    Args:
        config: the resolved configuration of a stored trial.
        own_data: whether the user has named the data.
    """
    paths = {"init_from": config.init_from, "weights": config.weights if os.path.isfile(config.weights) else None}
    if not own_data:
        params = [param.name for param in catalog.dataset(config).params if param.type == "path"]
        paths |= {"data_dir": config.data_dir, **{name: config.dataset_params.get(name) for name in params}}
    return [f"The record names the {name} '{path}', which is read." for name, path in paths.items() if path]


def check_alike(trials: Sequence[StoredTrial]) -> None:
    """Raise BenchError unless there are two trials or more with the same data, split, classes and image size."""
    if len({trial.folder for trial in trials}) < max(2, len(trials)):
        raise BenchError("An ensemble needs two different runs or more, each named once.")
    first = trials[0]
    for trial in trials[1:]:
        mine, its = _of_ensemble(first), _of_ensemble(trial)
        for what in mine:
            if mine[what] != its[what]:
                raise BenchError(
                    f"An ensemble needs the same {what}: '{first.folder.name}' has {mine[what]}, "
                    f"'{trial.folder.name}' has {its[what]}."
                )


def _of_ensemble(trial: StoredTrial) -> dict[str, str]:
    """Return what the members of an ensemble have in common, as a message names it."""
    config, data = TrialConfig.from_dict(trial.record.config), trial.record.dataset
    images = ", ".join(f"{count} {split}" for split, count in data.get("images", {}).items() if split != "train")
    return {
        "data set": config.dataset,
        "classes": ", ".join(classes_of(trial)),
        "data (fingerprint)": str(data.get("fingerprint")),
        "split (images)": images,
        "bands and range of values": values_of(trial.record).describe(),
        "image size": "x".join(map(str, config.image_size)),
        "resize policy": config.resize,
        "evaluation size": config.eval_size,
    }


def classes_of(trial: StoredTrial) -> Sequence[str]:
    """Return the names of the classes 0, 1, ... that the trial's model predicts."""
    return list(trial.record.dataset["classes"])


def choose_backend(backend: str) -> None:
    """Set this process up for a backend, as a trial's is; raise BenchError if keras runs on another one already."""
    current = os.environ.get("KERAS_BACKEND", DEFAULT_BACKEND)
    if "keras" in sys.modules and current != backend:
        raise BenchError(f"Keras already runs on {current} in this process, so it can't run on {backend}.")
    os.environ.update(environment(backend))


def start_from(config: TrialConfig, results: Path) -> TrialConfig:
    """Return the configuration with a trial's folder as `init_from`; raise BenchError if its weights don't fit.

    Architecture, backbone and builder parameters must be the same; the classes may differ.
    """
    if config.init_from is None:
        return config
    trial = find_trained(config.init_from, results)
    theirs = TrialConfig.from_dict(trial.record.config)
    for name, word in (("arch", "architecture"), ("backbone", "backbone"), ("params", "parameters")):
        mine, its = getattr(config, name) or "none", getattr(theirs, name) or "none"
        if mine != its:
            raise BenchError(
                f"--init-from: '{trial.folder.name}' has the {word} {its}, but this trial has {mine}. "
                "Weights only fit the same architecture, backbone and parameters."
            )
    if config.weights != "none":
        raise BenchError("--init-from and --weights both give the backbone its initial weights. Give only one of them.")
    return replace(config, init_from=str(trial.folder))


def new_head(config: TrialConfig) -> str | None:
    """Return a note if the head of the trial that `init_from` names isn't used because the classes differ."""
    classes = catalog.dataset(config).classes
    if config.init_from is None or not classes:
        return None
    folder = Path(config.init_from)
    if list(read_record(folder).dataset["classes"]) == list(classes):
        return None
    return f"{config.dataset} has other classes than {folder.name}: only the head starts from random weights."
