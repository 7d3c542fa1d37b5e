"""The bands and the range of values that a trial was trained on, and data that are read by them; imports no keras.

Other data are scaled by the numbers that training found, never by numbers found anew on them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.data.loading.images import Images
from bench.data.reading.values import Values
from bench.data.source import opened_once
from bench.results.loading import StoredTrial
from bench.trials.plan import read_pack
from bench.trials.trained_input.stored_values import stored_values


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
    said = f"'{trial.folder.name}' was trained on other images"
    return read_by(values_of(trial.record), config, preparing, own=_is_own(trial, config), said=said)


def read_by(
    wanted: Values,
    config: TrialConfig,
    preparing: Callable[[int, int], None] | None = None,
    *,
    own: bool = False,
    said: str,
) -> Images:
    """Read a configuration's data with given bands, scaled by given numbers.

    Args:
        own: whether the numbers were found on these data, so that a pack of them needn't be made again.
        said: the beginning of a message if the data have other bands or another depth.
    """
    with opened_once():
        if not own:
            config = _scaled_as(wanted, config)
            if (stored := stored_values(config)) is not None and _differ(_unscaled(stored), _unscaled(wanted)):
                here = f"{stored.bands} band{'s' * (stored.bands > 1)} of {stored.kind}"
                raise BenchError(_other_images(said, wanted, config.dataset, here))
        pack = read_pack(config, preparing)
        if _differ(pack.values, wanted) and not _differ(_unscaled(pack.values), _unscaled(wanted)):
            pack = read_pack(_scaled_as(wanted, config), preparing)  # its own data, in which files have changed
    if _differ(pack.values, wanted):
        raise BenchError(_other_images(said, wanted, config.dataset, pack.values.describe()))
    return pack


def _other_images(said: str, wanted: Values, dataset: str, here: str) -> str:
    return f"{said} than '{dataset}' has: {wanted.describe()}, and here {here}. Give data of the same bands and depth."


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


def _unscaled(values: Values) -> Values:
    return replace(values, low=(), high=())


def _differ(one: Values, other: Values) -> bool:
    """Compare without the names of chosen bands: other files may hold the same bands in another order."""
    return replace(one, chosen=(), rule="") != replace(other, chosen=(), rule="")
