"""Look at the bands and the depth of a data set's images before they are packed; imports no keras."""

import functools
import json
from dataclasses import replace

from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.files import cached
from bench.core.specs import NO_DATASET
from bench.core.trial_config import TrialConfig
from bench.data.reading.find_values import with_values
from bench.data.reading.values import RANGE, Values
from bench.data.source import Source, open_source

_ANY_SCALE = "0:1"  # which every image can have, so that no percentiles are taken


def stored_values(config: TrialConfig) -> Values | None:
    """Read the first image of a configuration's data; None if the first ones can't be read."""
    return values_of_source(open_source(catalog.dataset(config), config.data_dir, config.dataset_params))


def values_of_source(source: Source) -> Values | None:
    """Return the bands and the depth of the first image of a data set that is open; a range in it says nothing.

    They are looked at once for each state of the data.
    """
    if not source.state:
        return _of_first_image(source)
    known = cached("values", f"first {source.state}", lambda: (found := _of_first_image(source)) and found.to_dict())
    return Values.from_dict(known) if known else None


def _of_first_image(source: Source) -> Values | None:
    found = with_values(replace(source, values=None, scale_values=_ANY_SCALE)).values
    if found is None or source.scale_values not in ("", RANGE):
        return found
    return replace(found, rule=RANGE, low=(), high=())


def with_bands_of_data(config: TrialConfig) -> TrialConfig:
    """Return a configuration that names as many bands as its data have, for what builds its model without them.

    Data that would have to be downloaded first, which are all 8-bit RGB, are not looked at. Data that can't be opened
    are reported when they are.
    """
    spec = catalog.dataset(config)
    fetched = bool(spec.archives or spec.kaggle) and config.data_dir is None
    if spec.name == NO_DATASET or fetched or config.dataset_params.get("bands"):
        return config
    bands = _bands(spec.name, config.data_dir, config.plugin, json.dumps(config.dataset_params, sort_keys=True))
    if bands == config.bands:
        return config
    named = ",".join(str(band + 1) for band in range(bands))
    return replace(config, dataset_params={**config.dataset_params, "bands": named})


@functools.cache
def _bands(dataset: str, data_dir: str | None, plugin: str | None, params: str) -> int:
    config = TrialConfig(arch="", dataset=dataset, data_dir=data_dir, plugin=plugin, dataset_params=json.loads(params))
    try:
        return (stored_values(config) or Values()).bands
    except (BenchError, OSError):
        return Values().bands
