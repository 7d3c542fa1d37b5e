"""The bands and the range of values that a trial was trained on, and data that are read by them; imports no keras.

Other data are scaled by the numbers that training found, never by numbers found anew on them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.data.loading.images import Images
from bench.data.reading.find_values import with_values
from bench.data.reading.values import Values
from bench.data.source import open_source, opened_once
from bench.results.loading import StoredTrial
from bench.trials.plan import read_pack

_ANY_SCALE = "0:1"  # with which the bands and the depth of images are looked at


def values_of(record: TrialRecord) -> Values:
    """Return the bands of the images that a trial was trained on, and what was made of their values."""
    return Values.from_dict(record.dataset.get("values"))


def read_as_trained(
    trial: StoredTrial, config: TrialConfig, preparing: Callable[[int, int], None] | None = None
) -> Images:
    """Read a configuration's data with the bands and the scale that a trial was trained on.

    Args:
        config: the one that `trained_config` returns, with the wanted data set.
        preparing: called with the number of images done and that of all images.

    Raises:
        BenchError: the data can't be read, or have other bands or another depth.
    """
    trained = values_of(trial.record)
    with opened_once():
        if not _is_own(trial, config):
            config = _scaled_as(trained, config)
            if (stored := _stored_as(config)) is not None:
                check_values(trial, stored, config.dataset, scaled=False)
        pack = read_pack(config, preparing)
        if _differ(pack.values, trained) and not _differ(_unscaled(pack.values), _unscaled(trained)):
            pack = read_pack(_scaled_as(trained, config), preparing)  # its own data, in which files have changed
    check_values(trial, pack.values, config.dataset)
    return pack


def check_values(trial: StoredTrial, found: Values, dataset: str, *, scaled: bool = True) -> None:
    """Raise BenchError unless images have the bands and depth that a trial was trained on, scaled by the same numbers.

    Names of chosen bands may differ: other files may hold the same bands in another order.

    Args:
        scaled: whether the numbers count.
    """
    trained = values_of(trial.record)
    same = (lambda values: values) if scaled else _unscaled
    if _differ(same(found), same(trained)):
        here = found.describe() if scaled else f"the images have {found.bands} bands of {found.kind}"
        raise BenchError(
            f"'{trial.folder.name}' was trained on other images than '{dataset}' has: {trained.describe()}, and here "
            f"{here}. Give data of the same bands and depth."
        )


def _is_own(trial: StoredTrial, config: TrialConfig) -> bool:
    """Tell whether a configuration asks for a trial's data by the names that the trial had for them."""
    return _data(config) == _data(TrialConfig.from_dict(trial.record.config))


def _data(config: TrialConfig) -> tuple[Any, ...]:
    return config.dataset, config.data_dir, sorted(config.dataset_params.items())


def _scaled_as(trained: Values, config: TrialConfig) -> TrialConfig:
    """Return the configuration with a trial's numbers and, unless others are named, its bands."""
    params = dict(config.dataset_params)
    params |= {"bands": params.get("bands") or trained.bands_text(), "scale_values": trained.given()}
    return replace(config, dataset_params={name: value for name, value in params.items() if value != ""})


def _stored_as(config: TrialConfig) -> Values | None:
    """Look at the bands and the depth of a data set's first image; None if the first ones can't be read."""
    source = open_source(catalog.dataset(config), config.data_dir, config.dataset_params)
    return with_values(replace(source, scale_values=_ANY_SCALE)).values


def _unscaled(values: Values) -> Values:
    return replace(values, low=(), high=())


def _differ(one: Values, other: Values) -> bool:
    return replace(one, chosen=(), rule="") != replace(other, chosen=(), rule="")
