"""Say how much room kept predictions take, before anything is kept."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.trial_config import DEFAULTS, OPTIONS, TrialConfig
from bench.core.untrusted.plain_files import is_folder
from bench.data.check import evenly
from bench.data.packing.room import free_bytes
from bench.data.source import open_source
from bench.evaluation.predicted.prediction_files import expected_bytes
from bench.profiling.process_memory import MIB
from bench.results.loading import StoredTrial
from bench.results.trial_files import PREDICTIONS
from bench.trials.estimate import Estimate
from bench.trials.forecasts.evaluation_cost import Sizes, data_name

_SAMPLE = 4  # images that are read to learn how large they are


def keeping_lines(
    estimates: Sequence[Estimate], trials: Sequence[StoredTrial], sizes: Sizes, folder: Path
) -> tuple[list[str], bool]:
    """Write what the predictions of the trials that are left take; return the lines, and whether there is room.

    Args:
        trials: those of the results folder.
        sizes: those of the data sets that are open; others' predictions aren't counted.
        folder: that of the results.
    """
    wanted = [one for one in estimates if one.config.keep_predictions and one.config.measure == "all"]
    left = [one for one in wanted if not one.done]
    lines = []
    have = (
        {_told(trial.record.config) for trial in trials if is_folder(trial.folder / PREDICTIONS)} if wanted else set()
    )
    if without := sum(one.done and _told(one.config.to_dict()) not in have for one in wanted):
        lines.append(
            f"Finished trials without predictions, which are not run again: {without}. bench evaluate RUN "
            "--keep-predictions makes those of saved weights."
        )
    known = [one for one in left if one.evaluation and data_name(one.config) in sizes]
    if not known:
        return [*lines, *(["Predictions: their size is unknown until the data are here."] if left else [])], True
    needed = sum(
        needed_bytes(one.config, one.evaluation.test, sizes[data_name(one.config)].classes)
        for one in known
        if one.evaluation
    )
    text, fits = room_line(needed, len(known), folder)
    return [*lines, text], fits


def _told(config: Mapping[str, Any]) -> str:
    """Return what identifies a trial of a configuration, as far as its fields tell."""
    known = {**DEFAULTS.to_dict(), **config}
    return repr([known[name] for name, option in OPTIONS.items() if option.in_key])


def room_line(needed: int, trials: int, folder: Path) -> tuple[str, bool]:
    """Write how much room so many trials' predictions take and how much is free; return whether that is enough."""
    free = free_bytes(folder)
    of = f" of {trials} trials" if trials > 1 else ""
    short = "" if needed <= free else ", which is NOT enough"
    line = f"Predictions{of}: about {needed / MIB:,.1f} MiB in '{folder}', where {free / MIB:,.0f} MiB are free{short}."
    return line, needed <= free


def require_room(line: str, fits: bool) -> None:
    """Raise BenchError if the predictions don't fit on the disk."""
    if not fits:
        raise BenchError(f"{line} Make room, give a smaller --test-limit, or leave out --keep-predictions.")


def needed_bytes(config: TrialConfig, images: int, num_classes: int) -> int:
    """Estimate the size of the predictions of so many images."""
    pixels = config.image_size[0] * config.image_size[1]
    return expected_bytes(images, pixels, _native_pixels(config) or pixels, num_classes)


def _native_pixels(config: TrialConfig) -> int:
    """Return the mean number of pixels of a few test images, if images are scored at their own size; otherwise 0."""
    if config.eval_size != "native":
        return 0
    spec, data_dir = catalog.find_dataset(config.dataset, config.data_dir)
    source = open_source(spec, data_dir, config.dataset_params)
    few = evenly(source.of_split("test"), _SAMPLE)
    return int(np.mean([source.dataset.read(sample)[1].size for sample in few]))
