"""The identity of a trial: two trials with the same identity give the same result, so one of them is enough."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.files import file_hash, name_part
from bench.core.specs import OF_PIXELS, PROTOCOL_VERSION
from bench.core.trial_config import DEFAULTS, OPTIONS, TrialConfig
from bench.results.trial_files import WEIGHTS

_PLANNED = "the run was planned with it as it was. Run the same command again."


def trial_key(
    config: TrialConfig,
    fingerprint: str,
    images: Mapping[str, int] | None = None,
    *,
    protocol: int = PROTOCOL_VERSION,
) -> str:
    """Hash everything that decides the result of a resolved configuration, to twelve hexadecimal digits.

    Only fields that differ from the protocol's defaults count, so that old keys stay valid when an option is added.
    A weights file and code that isn't built in count by their content, the data by their fingerprint, and a limit
    on the images that are scored only if it leaves some out.

    Args:
        images: the number of the data's images in each split; none for speed-only trials.
        protocol: the version that the pack of the data tells.
    """
    defaults, values = DEFAULTS.to_dict(), config.to_dict()
    identity: dict[str, Any] = {
        name: values[name]
        for name, option in OPTIONS.items()
        if option.in_key and not option.by_content and values[name] != defaults[name]
    }
    identity["params"] = config.params  # resolved: without the builder's defaults
    if paths := {param.name for param in catalog.dataset(config).params if param.type == "path"} & {
        *config.dataset_params
    }:
        identity["dataset_params"] = {k: v for k, v in config.dataset_params.items() if k not in paths}
    identity |= {name: value for name, value in config.dataset_params.items() if name in OF_PIXELS}
    if config.weights != "none":
        identity["weights"] = config.weights
    identity |= contents(config)
    identity |= {f"{split}_limit": limit for split, limit in limits_of(config, images or {}).items()}
    identity.update(protocol=protocol, data=fingerprint)
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]


def limits_of(config: TrialConfig, images: Mapping[str, int]) -> dict[str, int]:
    """Return the limits that leave images out, by split; `images` are the numbers of all images of each split."""
    return {split: most for split, most in config.limits.items() if most is not None and images.get(split, 0) > most}


def contents(config: TrialConfig) -> dict[str, str]:
    """Hash what counts by its content: the files of weights, and code that isn't built in."""
    found = {}
    if config.weights != "none" and Path(config.weights).is_file():
        found["weights"] = file_hash(config.weights)
    if config.init_from:
        found["init_from"] = file_hash(Path(config.init_from) / WEIGHTS)
    if source := catalog.source_hash(config):
        found["plugin"] = source
    return found


def check_contents(config: TrialConfig, planned: Mapping[str, str]) -> None:
    """Raise BenchError if what counts by its content isn't what it was when the run was planned."""
    try:
        found = contents(config)
    except OSError as error:
        raise BenchError(f"'{error.filename}' can't be read ({error.strerror}), but {_PLANNED}") from error
    for name in sorted(planned.keys() | found.keys()):
        if planned.get(name) != found.get(name):
            raise BenchError(f"{_subject(config, name)} has changed, but {_PLANNED}")


def _subject(config: TrialConfig, name: str) -> str:
    if name == "plugin":
        return f"The code of {config.arch} or {config.dataset}"
    return f"The weights file '{config.weights if name == 'weights' else Path(str(config.init_from)) / WEIGHTS}'"


def trial_identity(config: TrialConfig, key: str, device: str) -> str:
    """Name a trial's folder: readable parts first, then key, device and repeat."""
    machine = hashlib.sha256(device.encode()).hexdigest()[:6]
    parts = [config.pair.replace(":", "-"), config.dataset, f"s{config.seed}", key, machine]
    name = "_".join(map(name_part, parts))
    return f"{name}_r{config.repeat}" if config.repeat else name
