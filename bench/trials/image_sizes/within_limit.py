"""Choose the image size of each model within a limit of cost: the largest square that the architecture takes."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bench.config import catalog
from bench.config.equal_cost import limit_of
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.trials.image_sizes.counted_size import CountedSize, count
from bench.trials.image_sizes.measured_size import MeasuredSize, Place, measure, memory_question
from bench.trials.trained_input.stored_values import with_bands_of_data


def sized(configs: Sequence[TrialConfig], tell: Callable[[str], None], place: Place | None = None) -> list[TrialConfig]:
    """Return the configurations, those with a limit at their image size; models that can't keep it are left out.

    Args:
        tell: gets a line for each measurement, and one for each model with a limit: its size, and how far below the
            limit it is, or why it is left out.
        place: where memory is measured; it may be left out if there is no limit of memory.

    Raises:
        BenchError: none is left.
    """
    by_model = {_model(config): config for config in configs if limit_of(config)}
    counted = {key: CountedSize(config) for key, config in by_model.items() if config.same_gflops}
    measured = {key: MeasuredSize(config) for key, config in by_model.items() if config.same_memory_mib}
    count(counted.values())
    for search in counted.values():
        tell(search.line())
    ended = {key: search for key, search in measured.items() if place and measure(search, place, tell)}
    found = [one for config in configs for one in _at_size(config, counted, ended)]
    if configs and not found and len(ended) == len(measured):
        raise BenchError("No architecture has an image size within the limit. Give a higher one.")
    return found


def _model(config: TrialConfig) -> str:
    """Return what decides the cost of a size, and the limit."""
    known: list[object] = [config.same_gflops, config.same_memory_mib, catalog.dataset(config).num_classes]
    if config.same_memory_mib:
        return json.dumps([*known, memory_question(replace(config, image_size=(0, 0)))])
    bands = with_bands_of_data(config).bands
    return json.dumps([*known, config.arch, config.backbone, config.params, config.plugin, bands])


def _at_size(
    config: TrialConfig, counted: Mapping[str, CountedSize], measured: Mapping[str, MeasuredSize]
) -> list[TrialConfig]:
    """Return the configuration at its size; nothing if there is none, or if it isn't known."""
    if not limit_of(config):
        return [config]
    key = _model(config)
    if (by_operations := counted.get(key)) and not by_operations.reason:
        return [replace(config, image_size=by_operations.found)]
    if (by_memory := measured.get(key)) and not by_memory.reason:
        needed = round(by_memory.costs[by_memory.within], 1)
        return [replace(config, image_size=by_memory.found, sized_memory_mib=needed)]
    return []
