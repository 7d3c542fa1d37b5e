"""The catalog of all architectures, backbones and data sets: built-in ones, entry points and a `--plugin` file.

Nothing here imports keras: plugin_specs.py reads the specs of plug-ins and installed packages in a child process.
"""

import functools
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.architectures.sizes import check_image_size
from bench.config import checks, equal_cost, plugin_specs
from bench.config.backbone_weights import resolve_weights, weights_for
from bench.config.devices import check_devices
from bench.config.keras_settings import keras_defaults
from bench.config.loss_text import canonical_class_weights, canonical_loss
from bench.config.searching import search_space
from bench.core.code.import_by_name import import_by_name, is_plugin, plugin_hash
from bench.core.errors import BenchError
from bench.core.files import file_hash
from bench.core.option_kinds import shown
from bench.core.recipe.augment_text import canonical_augment
from bench.core.recipe.schedule_text import canonical_schedule
from bench.core.registry import Registry
from bench.core.specs import ArchitectureSpec, BackboneSpec, DatasetSpec
from bench.core.trial_config import TrialConfig
from bench.data.remote.address import is_address, place_of
from bench.plugin import architecture_from, dataset_from


@dataclass(frozen=True)
class Catalog:
    """The specs in which a configuration's names are looked up."""

    architectures: Registry[ArchitectureSpec] = field(default_factory=lambda: Registry("architecture"))
    backbones: Registry[BackboneSpec] = field(default_factory=lambda: Registry("backbone"))
    datasets: Registry[DatasetSpec] = field(default_factory=lambda: Registry("data set"))
    problems: list[str] = field(default_factory=list)  # a line for each entry point that can't be used

    def add(self, answer: Mapping[str, list[dict[str, Any]]]) -> None:
        """Register the specs that a probe returned."""
        for values in answer["architectures"]:
            self.architectures.add(architecture_from(values))
        for values in answer["datasets"]:
            self.datasets.add(dataset_from(values))


_plugins: dict[Path, str] = {}  # files added in this process, and their hashes


def architectures() -> Registry[ArchitectureSpec]:
    """Return every architecture that is built in, installed or added with a plug-in."""
    return _current().architectures


def backbones() -> Registry[BackboneSpec]:
    """Return every backbone."""
    return _current().backbones


def datasets() -> Registry[DatasetSpec]:
    """Return every data set that is built in, installed or added with a plug-in."""
    return _current().datasets


def problems() -> list[str]:
    """Return a line for each entry point that can't be used."""
    return _current().problems


def add_plugin(plugin: Path | str) -> None:
    """Add the specs of a plug-in file; read it again only if it has changed. Raise BenchError if it can't be read."""
    path = _plugin_path(plugin)
    wanted = {**_plugins, path: plugin_hash(path)}
    _load(tuple(wanted.items()))
    _plugins.update(wanted)


def architecture(config: TrialConfig) -> ArchitectureSpec:
    """Find the spec of a configuration's architecture, plug-in included."""
    if config.plugin:
        add_plugin(config.plugin)
    try:
        return architectures().get(config.arch)
    except BenchError as error:
        own = "" if config.plugin else " For an architecture of your own give its file: --plugin FILE.py."
        raise BenchError(f"{error}{own}") from error


def dataset(config: TrialConfig) -> DatasetSpec:
    """Find the spec of a configuration's data set, plug-in included."""
    if config.plugin:
        add_plugin(config.plugin)
    return find_dataset(config.dataset, config.data_dir)[0]


def find_dataset(name: str, data_dir: Path | str | None = None) -> tuple[DatasetSpec, Path | str | None]:
    """Find a data set's spec by its name or by a prefix such as `folder:PATH`, and the folder that it is read from."""
    from bench.datasets import NO_DATA
    from bench.datasets.prefixes import FOLDER_PREFIX, advice, prefix_of

    if name == NO_DATA.name:
        return NO_DATA, None
    if prefix := prefix_of(name):
        return prefix.find(name, data_dir)
    if name not in datasets() and is_address(name):
        raise BenchError(f"Unknown data set '{name}'. To read the images there, write {FOLDER_PREFIX.text}{name}.")
    if name not in datasets() and os.path.isdir(os.path.expanduser(name)):
        raise BenchError(
            f"Unknown data set '{shown(name)}'. To read the images of that folder, write {FOLDER_PREFIX.text}{name}."
        )
    if name not in datasets() and (said := advice(name)):
        raise BenchError(f"Unknown data set '{shown(name)}'.{said}")
    return datasets().get(name), data_dir


def source_hash(config: TrialConfig) -> str | None:
    """Hash the files that define the architecture and data set, unless they are built in.

    A plug-in's file with what it imports from its folder, or the module that an entry point names; None where both
    are built in.
    """
    locations = (architecture(config).build, dataset(config).adapter)
    sources = {location.rpartition(":")[0] for location in locations}
    hashes = sorted(_hash_of(source) for source in sources if not source.startswith("bench."))
    if len(hashes) < 2:
        return hashes[0] if hashes else None
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _hash_of(source: str) -> str:
    return plugin_hash(source) if source.endswith(".py") else file_hash(plugin_specs.module_file(source))


def _current() -> Catalog:
    return _load(tuple(_plugins.items()))


@functools.cache
def _load(plugins: tuple[tuple[Path, str], ...]) -> Catalog:
    from bench.architectures import BACKBONES, VISION_TRANSFORMERS, read_specs
    from bench.datasets import DATASETS

    catalog = Catalog()
    catalog.architectures.add_all(read_specs())
    catalog.backbones.add_all((*BACKBONES, *VISION_TRANSFORMERS))
    catalog.datasets.add_all(DATASETS)
    for source in plugin_specs.entry_points():
        try:
            catalog.add(plugin_specs.module(source))
        except BenchError as error:
            catalog.problems.append(str(error))
    for plugin, _ in plugins:
        catalog.add(_probe_plugin(plugin))
    return catalog


def _probe_plugin(plugin: Path) -> dict[str, Any]:
    answer = plugin_specs.file(plugin)
    if not answer["architectures"] and not answer["datasets"]:
        raise BenchError(
            f"The plug-in '{plugin}' defines nothing. Put @architecture(name=...) or @dataset(...) of bench.plugin "
            "on a function; CONTRIBUTING.md has an example."
        )
    return answer


def load_builder(spec: ArchitectureSpec) -> Callable[..., Any]:
    """Import the builder (and keras): `builder(input_shape, num_classes, *, backbone, weights, **params)`.

    A plug-in without backbones need not take `backbone` and `weights`.
    """
    build = import_by_name(spec.build)

    @functools.wraps(build)
    def builder(*args: Any, **given: Any) -> Any:
        if not spec.backbones:
            backbone, weights = given.pop("backbone", None), given.pop("weights", None)
            if backbone is not None or weights not in (None, "none"):
                raise BenchError(f"{spec.name} takes no backbone and no weights for one.")
        with keras_defaults():
            return build(*args, **given)

    return builder


def resolve_config(config: TrialConfig) -> TrialConfig:
    """Return the configuration that will run: aliases replaced, defaults filled in, everything checked.

    Resolving a resolved configuration changes nothing. A mistake raises BenchError.
    """
    config = checks.speed_only_defaults(config)
    arch, (data, data_dir) = architecture(config), find_dataset(config.dataset, config.data_dir)
    checks.ranges(config)
    checks.backend(config, arch)
    check_devices(config)
    backbone = checks.backbone(config.backbone, arch, backbones())
    checks.fine_tuning(config, arch, backbone)
    if config.measure != "speed":
        checks.head(config, data.num_classes)
    params = checks.params(config.params, arch)
    config = checks.crop(config)
    equal_cost.check(config)
    if not equal_cost.limit_of(config):  # the size is sought: see bench/trials/image_sizes/within_limit.py
        check_image_size(arch, config.input_size, backbone, params)
    return replace(
        config,
        arch=arch.name,
        dataset=data.name,
        dataset_params=checks.params(config.dataset_params, data),
        backbone=backbone,
        params=params,
        loss=canonical_loss(config.loss),
        schedule=canonical_schedule(config.schedule),
        augment=canonical_augment(config.augment),
        search=search_space.check(config),
        class_weights=canonical_class_weights(config.class_weights, data.num_classes),
        weights=_weights(config.weights, arch.name, backbone),
        plugin=_used_plugin(config.plugin, arch, data),
        data_dir=place_of(data_dir) if data_dir else None,
    )


def _weights(given: str, arch: str, backbone: str | None) -> str:
    names = {name for spec in architectures() for name in spec.backbones}
    return resolve_weights(weights_for(given, arch, backbone, backbones(), names), backbone)


def _used_plugin(plugin: str | None, arch: ArchitectureSpec, dataset: DatasetSpec) -> str | None:
    """Return the plug-in's absolute path if the trial uses it, so that built-in pairs keep their key."""
    if plugin is None:
        return None
    path = str(_plugin_path(plugin))
    used = any(location.startswith(f"{path}:") for location in (arch.build, dataset.adapter))
    return path if used else None


def _plugin_path(plugin: Path | str) -> Path:
    path = Path(os.path.realpath(os.path.expanduser(plugin))) if "\0" not in str(plugin) else Path()
    if path.suffix != ".py" or not is_plugin(path):
        raise BenchError(f"There is no plug-in '{shown(plugin)}'. Give --plugin the path of a Python file (.py).")
    return path
