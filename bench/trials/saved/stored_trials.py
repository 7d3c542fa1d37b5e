"""Find a stored trial and the configuration that uses its weights on this machine; imports no keras."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.config import catalog, checks
from bench.core.backends import DEFAULT_BACKEND
from bench.core.child_process import environment
from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.datasets import FOLDER
from bench.results.find import find_run
from bench.results.store import StoredTrial, read_record


def find_trained(run: str, results: Path) -> StoredTrial:
    """Find the trial with saved weights that `run` names (see `find_run`); BenchError where it has none."""
    trial = find_run(run, results)
    if trial.record.status != "ok" or not trial.weights:
        raise BenchError(f"The run '{trial.folder.name}' has no saved weights: {why_no_weights(trial.record)}")
    return trial


def why_no_weights(record: TrialRecord) -> str:
    """Explain why a trial's folder holds no weights, and what to do."""
    again = "Run it again with --keep-weights all --force."
    if record.status != "ok":
        return f"it ended as {record.status}."
    if record.config.get("measure") == "speed":
        return "it measured the speed alone. Train one with bench run."
    if "problem" in record.weights:
        return f"{record.weights['problem']}. {again}"
    if "file" not in record.weights:
        return f"it ran with --keep-weights none. {again}"
    return f"a trial of its pair with a better validation took their place, or they were removed. {again}"


def trained_config(trial: StoredTrial, *, plugin: Path | None = None, backend: str | None = None) -> TrialConfig:
    """Return the configuration that rebuilds a trial's model on this machine; BenchError without its backend or code.

    Args:
        plugin: where the plug-in's file is now; None: where it was.
        backend: instead of the trial's own; the weights are the same on all.
    """
    config = TrialConfig.from_dict(trial.record.config)
    # The weights will be loaded from a file, so `weights`, `init_from` and `jit` no longer matter.
    config = replace(config, weights="none", init_from=None, plugin=str(plugin.resolve()) if plugin else config.plugin)
    config = replace(config, backend=backend or config.backend, jit="auto")
    checks.backend(config, catalog.architecture(config))
    return config


def changed_code(trial: StoredTrial, config: TrialConfig) -> str | None:
    """Return a warning if a plug-in or an installed package has changed since the trial was trained."""
    if trial.record.weights.get("source") == catalog.source_hash(config):
        return None
    name = config.plugin or f"what defines {config.arch} and {config.dataset}"
    return f"{name} is not the code that the run was trained with: its weights may mean something else there."


def on_data(
    config: TrialConfig, *, dataset: str | None = None, data_dir: Path | None = None, eval_size: str | None = None
) -> TrialConfig:
    """Return the configuration on other data or at another evaluation size; what is None stays."""
    changes: dict[str, Any] = {"eval_size": eval_size or config.eval_size}
    if dataset is not None and dataset != config.dataset:
        changes |= {"dataset": dataset, "data_dir": None, "dataset_params": {}}
    if data_dir is not None and config.dataset.startswith(FOLDER) and dataset is None:
        changes |= {"dataset": f"{FOLDER}{data_dir}", "data_dir": None}
    elif data_dir is not None:
        changes["data_dir"] = str(data_dir)
    return catalog.resolve_config(replace(config, **changes))


def classes_of(trial: StoredTrial) -> Sequence[str]:
    """Names of the label values 0, 1, ... that the trial's model predicts."""
    return list(trial.record.dataset["classes"])


def choose_backend(backend: str) -> None:
    """Let this process run on a backend, as a trial's does; BenchError where keras has been imported with another."""
    current = os.environ.get("KERAS_BACKEND", DEFAULT_BACKEND)
    if "keras" in sys.modules and current != backend:
        raise BenchError(f"Keras runs on {current} in this process, not on {backend}.")
    os.environ.update(environment(backend))


def start_from(config: TrialConfig, results: Path) -> TrialConfig:
    """Return the configuration with `init_from` as the folder of a trial; BenchError if its weights don't fit.

    Architecture, backbone and the builder's parameters must be the same; the classes need not be.
    """
    if config.init_from is None:
        return config
    trial = find_trained(config.init_from, results)
    theirs = TrialConfig.from_dict(trial.record.config)
    for name, word in (("arch", "architecture"), ("backbone", "backbone"), ("params", "parameters")):
        mine, its = getattr(config, name) or "none", getattr(theirs, name) or "none"
        if mine != its:
            raise BenchError(
                f"--init-from: '{trial.folder.name}' has the {word} {its}, this trial {mine}. "
                "Weights fit the same architecture, backbone and parameters only."
            )
    if config.weights != "none":
        raise BenchError("--init-from gives every weight its start, and --weights those of the backbone. Give one.")
    return replace(config, init_from=str(trial.folder))


def new_head(config: TrialConfig) -> str | None:
    """Return a note if the classes differ from those of the trial that `init_from` names: its head is not taken."""
    classes = catalog.dataset(config).classes
    if config.init_from is None or not classes:
        return None
    folder = Path(config.init_from)
    if list(read_record(folder).dataset["classes"]) == list(classes):
        return None
    return f"{config.dataset} has other classes than {folder.name}: the head starts anew, all other weights are taken."
