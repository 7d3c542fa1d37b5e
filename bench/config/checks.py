"""Check one trial's configuration before anything is started; each mistake raises BenchError with one line."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.architectures.outside import check_installed
from bench.config.loss_text import parse_loss
from bench.core.backends import TABLE, installed
from bench.core.errors import BenchError
from bench.core.option_kinds import shown
from bench.core.registry import Registry, unknown_name_message
from bench.core.specs import NO_DATASET, ArchitectureSpec, BackboneSpec, DatasetSpec, Param
from bench.core.trial_config import ADAMW_WEIGHT_DECAY, DEFAULTS, OPTIONS, TrialConfig


def require_choice(kind: str, given: str, accepted: tuple[str, ...]) -> None:
    """Raise BenchError, with similar names, unless `given` is accepted."""
    if given not in accepted:
        raise BenchError(unknown_name_message(kind, given, list(accepted), list(accepted)))


def speed_only_defaults(config: TrialConfig) -> TrialConfig:
    """Return the configuration; a speed-only one without a data set and with defaults for options of training.

    Raises:
        BenchError: training without a data set, or with a search for the largest batch.
    """
    if config.measure == "speed":
        unused = [name for name, option in OPTIONS.items() if not option.of_speed and name != "dataset"]
        bands = {name: value for name, value in config.dataset_params.items() if name == "bands"}
        defaults = {name: getattr(DEFAULTS, name) for name in unused}
        return replace(config, **{**defaults, "dataset": NO_DATASET, "dataset_params": bands})
    if config.dataset == NO_DATASET:
        raise BenchError("Training needs a data set. Name one with --dataset, or measure speed only: bench speed.")
    if config.find_batch_size:
        raise BenchError("A training can't search for the largest batch. Use `bench speed --find-batch-size`.")
    return config


def ranges(config: TrialConfig) -> None:
    """Check each field against its option's range and choices, and check that the options it needs are set."""
    for name, option in OPTIONS.items():
        value = getattr(config, name)
        option.check(value)
        if option.needs and value != option.default and not getattr(config, option.needs):
            other = OPTIONS[option.needs]
            raise BenchError(f"{option.flag} needs {other.flag}. Accepted there: {other.range}.")
    if config.optimizer == "adamw" and not config.weight_decay:
        raise BenchError(
            "AdamW without weight decay is Adam. Use --optimizer adam, or give --weight-decay a number above 0 "
            f"(Keras's default for AdamW: {ADAMW_WEIGHT_DECAY:g})."
        )
    if config.label_smoothing and not {"ce", "bce"} & set(parse_loss(config.loss)):
        raise BenchError(f"--label-smoothing needs a loss with ce or bce, not {config.loss}.")
    if (config.eval_size, config.resize) == ("native", "crop"):
        raise BenchError(
            "--eval-size native needs whole images, but --resize crop cuts off their borders. "
            "Use --resize stretch or letterbox."
        )


def head(config: TrialConfig, num_classes: int) -> None:
    """Raise BenchError for one output with other than two classes; `num_classes` is 0 if it isn't known yet."""
    if config.head == "sigmoid" and num_classes not in (0, 2):
        raise BenchError(
            f"--head sigmoid is for two classes, but {config.dataset} has {num_classes}. Leave it out: softmax has an "
            "output for each class."
        )


def crop(config: TrialConfig) -> TrialConfig:
    """Return the configuration; a crop of the whole image's size becomes no crop. Raise BenchError if it is larger."""
    if config.crop is not None and not all(1 <= c <= s for c, s in zip(config.crop, config.image_size, strict=True)):
        given, whole = ("x".join(map(str, size)) for size in (config.crop, config.image_size))
        raise BenchError(
            f"--crop is {given}, but the images are {whole} (--image-size). Accepted: crops up to that size."
        )
    if config.crop == config.image_size:
        return replace(config, crop=None, crop_foreground=DEFAULTS.crop_foreground)
    return config


def backend(config: TrialConfig, spec: ArchitectureSpec) -> None:
    """Check that the architecture runs on the backend and in the precision, and that both are installed."""
    for kind, given, accepted in (
        ("backend", config.backend, spec.backends),
        ("precision", config.precision, spec.precisions),
    ):
        if given not in accepted:
            raise BenchError(f"{spec.name} does not run with the {kind} {given}. It accepts: {', '.join(accepted)}.")
    if config.jit == "on" and not spec.compiles:
        raise BenchError(f"{spec.name} can't be compiled. Leave out --jit on.")
    if not installed(config.backend):
        raise BenchError(f"The backend {config.backend} is not installed: {TABLE[config.backend].pip_line}")
    if spec.package:
        check_installed(spec.name, spec.package)


def backbone(given: str | None, spec: ArchitectureSpec, backbones: Registry[BackboneSpec]) -> str | None:
    """Return the backbone by its own name; the architecture's default for None, and none for "none"."""
    if given == "none" and spec.default_backbone:
        raise BenchError(f"{spec.name} needs a backbone. It accepts: {', '.join(spec.backbones)}.")
    name = spec.default_backbone if given in (None, "none") else _accepted_backbone(str(given), spec, backbones)
    if name in backbones and (package := backbones.get(str(name)).package):
        check_installed(str(name), package)
    return name


def _accepted_backbone(given: str, spec: ArchitectureSpec, backbones: Registry[BackboneSpec]) -> str:
    if not spec.backbones:
        raise BenchError(f"{spec.name} takes no backbone, but got '{given}'.")
    name = backbones.get(given).name if given in backbones else given
    if name not in spec.backbones:
        accepted = list(spec.backbones)
        if name in backbones and (why := _why_not(spec, backbones.get(name))):
            raise BenchError(f"{spec.name} can't take {name}: {why}. It accepts: {', '.join(accepted)}.")
        raise BenchError(unknown_name_message(f"backbone for {spec.name}", name, accepted, accepted))
    return name


def _why_not(spec: ArchitectureSpec, backbone: BackboneSpec) -> str:
    """Say what an architecture needs that a backbone lacks; empty if the specs don't tell."""
    if len(backbone.strides) == 1:
        return (
            f"it needs features of several strides, and those of {backbone.name} all have the stride "
            f"{backbone.strides[0]}"
        )
    if "output_stride" in spec.defaults and 16 not in backbone.output_strides:
        return f"it needs features that can be dilated to the stride 16, and those of {backbone.name} can't"
    return ""


def fine_tuning(config: TrialConfig, spec: ArchitectureSpec, backbone: str | None) -> None:
    """Check that the model has a backbone if it should be frozen, and that it isn't frozen in two ways."""
    if config.freeze_encoder and always_frozen(config.params, spec):
        raise BenchError(
            f"--freeze-encoder needs a backbone that is trained later, and that of {spec.name} stays frozen. "
            "Give --param frozen=false as well, or leave out --freeze-encoder."
        )
    if config.freeze_encoder and backbone is None:
        backbones = f"It accepts the backbones: {', '.join(spec.backbones)}." if spec.backbones else "It takes none."
        raise BenchError(f"--freeze-encoder needs a backbone, and {spec.name} has none here. {backbones}")


def always_frozen(params: Mapping[str, Any], spec: ArchitectureSpec) -> bool:
    """Return whether the builder itself freezes the backbone, which its parameter `frozen` tells."""
    return bool(params.get("frozen", spec.defaults.get("frozen", False)))


def params(given: Mapping[str, Any], spec: ArchitectureSpec | DatasetSpec) -> dict[str, Any]:
    """Check the parameters of a builder or a data set's adapter, and convert them to the types of its signature.

    Values that equal the default are left out, so that naming a default doesn't make another trial.
    """
    accepted = spec.all_params if isinstance(spec, DatasetSpec) else spec.params
    known = {param.name: param for param in accepted}
    listing = ", ".join(f"{p.name} ({p.type}, {p.default})" for p in accepted) or "none"
    checked = {}
    for name, value in given.items():
        if name not in known:
            near = unknown_name_message(f"parameter of {spec.name}", name, list(known), [])
            raise BenchError(near.replace("Available: none.", f"It has: {listing}."))
        checked[name] = _typed(spec, known[name], value)
    return {name: value for name, value in checked.items() if value != _plain(known[name].default)}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


LARGEST_PARAMETER = 2**31
LARGEST_OF_BUILDER = 16_384  # channels, layers and the like, unless the builder's decorator names another limit
LONGEST_LIST = 1_000


def _is_sensible(value: Any, most: int) -> bool:
    """Return whether a parameter is of a size for which a model can be planned."""
    if isinstance(value, list | tuple):
        return len(value) <= LONGEST_LIST and all(_is_sensible(one, most) for one in value)
    if isinstance(value, str):
        return True
    return abs(value) <= (most if isinstance(value, int) else LARGEST_PARAMETER)  # False for NaN, too


_TYPES: dict[str, Any] = {
    "int": int,
    "float": (int, float),
    "str": str,
    "path": str,
    "bool": bool,
    "list": (list, tuple),
}


def _typed(spec: ArchitectureSpec | DatasetSpec, param: Param, value: Any) -> Any:
    owner = spec.name
    is_bool = isinstance(value, bool)
    if not isinstance(value, _TYPES[param.type]) or is_bool != (param.type == "bool"):
        hint = (
            f". Write --param '{param.name}=[4,8]' for one list, with quotes; in a TOML file {param.name} = [[4, 8]]"
            if param.type == "list"
            else ""
        )
        raise BenchError(
            f"The parameter '{param.name}' of {owner} is of type {param.type}, but got {shown(repr(value))}{hint}."
        )
    if param.choices and value not in param.choices:
        accepted = ", ".join(map(str, param.choices))
        raise BenchError(f"The parameter '{param.name}' of {owner} is {shown(repr(value))}. Accepted: {accepted}.")
    most = param.most or (LARGEST_OF_BUILDER if isinstance(spec, ArchitectureSpec) else LARGEST_PARAMETER)
    if not _is_sensible(value, most):
        whole, other = f"whole numbers up to {most:,}", f"finite numbers up to {LARGEST_PARAMETER:,}"
        accepted = {"int": whole, "float": other}.get(
            param.type, f"lists of up to {LONGEST_LIST} values, of {whole} and other {other}"
        )
        raise BenchError(f"The parameter '{param.name}' of {owner} is {shown(repr(value))}. Accepted: {accepted}.")
    if param.type == "path":
        return _existing(owner, param, value)
    return float(value) if param.type == "float" else _plain(value)


def _existing(owner: str, param: Param, value: str) -> str:
    """Return the absolute path of a file; an empty text stays what it is."""
    if value and not Path(value).expanduser().is_file():
        raise BenchError(f"The parameter '{param.name}' of {owner} is '{value}', and there is no such file.")
    return str(Path(value).expanduser().resolve()) if value else ""
