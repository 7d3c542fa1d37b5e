"""The public Python API, stable for notebooks and tests: `from bench.api import build_model, run, load_results`.

Importing this module imports neither keras nor pandas; its functions import them when they are called.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from bench.architectures.sizes import check_image_size
from bench.config import catalog, checks
from bench.config.backbone_weights import resolve_weights
from bench.core.errors import BenchError
from bench.core.specs import Budget, TrialRecord
from bench.core.trial_config import TrialConfig
from bench.datasets.rle import rle_decode, rle_encode
from bench.evaluation.confusion import confusion_counts
from bench.evaluation.metrics.objects import airbus_f2

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd

    from bench.core.dataset_protocol import Sample
    from bench.data.source import Source

__all__ = [
    "BenchError",
    "Budget",
    "TrialConfig",
    "TrialRecord",
    "airbus_f2",
    "build_model",
    "confusion_counts",
    "list_architectures",
    "list_backbones",
    "list_datasets",
    "load_dataset",
    "load_results",
    "rle_decode",
    "rle_encode",
    "run",
]


def build_model(
    name: str,
    *,
    input_shape: tuple[int, int, int],
    num_classes: int,
    backbone: str | None = None,
    weights: str | None = None,
    **params: Any,
) -> "keras.Model":
    """Build a model that maps images (B, H, W, C) float32 in [0, 1] to logits (B, H, W, num_classes) float32.

    Args:
        name: the name of an architecture (see `list_architectures()`), or an alias.
        input_shape: (height, width, bands), in pixels; pretrained weights are adapted to other than three bands.
        num_classes: the number of classes, background included, the ignored label not.
        backbone: the name of a backbone; None is the architecture's default.
        weights: the backbone's weights: None or "none", "imagenet", or the path of a file.
        params: parameters of the architecture; `bench list architectures` shows them with their defaults.

    Raises:
        BenchError: the name, size, backbone, weights file or a parameter can't be used.
    """
    spec = catalog.architectures().get(name)
    chosen = checks.backbone(backbone, spec, catalog.backbones())
    checked = checks.params(params, spec)
    check_image_size(spec, input_shape[:2], chosen, checked)
    path = resolve_weights(weights or "none", chosen)
    build = catalog.load_builder(spec)
    return build(input_shape, num_classes, backbone=chosen, weights=None if path == "none" else path, **checked)


def list_architectures() -> list[str]:
    """List the names of all architectures."""
    return catalog.architectures().names()


def list_backbones() -> list[str]:
    """List the names of all backbones."""
    return catalog.backbones().names()


def list_datasets() -> list[str]:
    """List the names of all data sets."""
    return catalog.datasets().names()


class Split(Sequence["tuple[np.ndarray, np.ndarray]"]):
    """The images of a split at native size, read when indexed: image (H, W, C), labels uint8 (H, W).

    An image has the values that are stored: uint8, uint16 or float32. It is uint8 (H, W, 3) unless the data has other
    bands.
    """

    def __init__(self, source: "Source", samples: "Sequence[Sample]"):
        self._source, self.samples = source, samples

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> "tuple[np.ndarray, np.ndarray]": ...
    @overload
    def __getitem__(self, index: slice) -> "Split": ...
    def __getitem__(self, index: int | slice) -> "tuple[np.ndarray, np.ndarray] | Split":
        if isinstance(index, slice):
            return Split(self._source, self.samples[index])
        from bench.data.reading.decode import decode

        return decode(self._source, self.samples[index], None).arrays()


def load_dataset(
    name: str,
    *,
    data_dir: Path | str | None = None,
    split: str = "train",
    limit: int | None = None,
    dataset_params: Mapping[str, Any] | None = None,
    **params: Any,
) -> Split:
    """Open the images of a split at their native size.

    Args:
        name: a name of `list_datasets()`, an alias, or `folder:PATH`, `tfds:NAME` or `hf:OWNER/NAME`.
        data_dir: the data set's folder; None downloads it where that is possible.
        split: train, val or test.
        limit: the number of images to open, from the first; None for all.
        dataset_params: parameters of the data set, such as `{"split": "random"}`.
        params: the same by their names, such as `balance=200`.

    Raises:
        BenchError: the data set or split is unknown, or files are missing.
    """
    from bench.data.source import SPLITS, open_source

    checks.require_choice("split", split, SPLITS)
    spec, data_dir = catalog.find_dataset(name, data_dir)
    source = open_source(spec, data_dir, checks.params({**(dataset_params or {}), **params}, spec))
    return Split(source, source.of_split(split)[:limit])


def run(
    configs: TrialConfig | Iterable[TrialConfig],
    *,
    results: Path | str,
    force: bool = False,
    rerun_stale: bool = False,
    jobs: int | None = None,
    devices: str | None = None,
) -> list[TrialRecord]:
    """Run the trials that are not done yet, each in its own process, and return the records of all trials.

    Configurations with `tune` are tuned first; a line says of each that could not be.

    Args:
        results: the results folder; made if there is none.
        force: run the finished trials again too.
        rerun_stale: run those again that ran on another version of the backend or of Keras.
        jobs: trials at once, on a GPU of its own each or on a share of the cores.
        devices: the GPUs for a trial each, such as "0,1" or "all".

    Raises:
        BenchError: a configuration or the folder can't be used; no trial has been run then.
    """
    from bench.trials import runner
    from bench.trials.image_sizes.measured_size import place_of
    from bench.trials.image_sizes.within_limit import sized
    from bench.trials.saved.stored_trials import start_from
    from bench.trials.scheduling.slots import local_slots
    from bench.trials.tuning.search import after_tuning, problems, searches, tune

    configs = [configs] if isinstance(configs, TrialConfig) else configs
    resolved = [start_from(catalog.resolve_config(config), Path(results)) for config in configs]
    slots = local_slots(jobs, devices, configs=resolved)
    resolved = sized(resolved, print, place_of(Path(results), slots))
    how: dict[str, Any] = {"results": results, "slots": slots, "force": force, "rerun_stale": rerun_stale}
    found = searches(resolved)
    tune(found, lambda some: runner.run_each(some, **how))
    for line in problems(found):
        print(line)
    return runner.run(after_tuning(resolved, found), **how)


def load_results(path: Path | str | Iterable[Path | str]) -> "pd.DataFrame":
    """Load results folders as a table with one row per trial; results/README.md explains the columns."""
    from bench.results import dataframe

    return dataframe.load_results(path)
