"""The checks of one trial's configuration, before anything is started: each a BenchError in one line."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.architectures.outside import check_installed
from bench.core.backends import BACKENDS, TABLE, installed
from bench.core.errors import BenchError
from bench.core.registry import Registry, unknown
from bench.core.specs import (
    AUGMENTS,
    EVAL_SIZES,
    INITIAL_WEIGHTS,
    JITS,
    KEPT_WEIGHTS,
    MEASURES,
    NO_DATASET,
    PRECISIONS,
    RESIZES,
    SCHEDULES,
    SELECTIONS,
    ArchitectureSpec,
    BackboneSpec,
    DatasetSpec,
    Param,
    TrialConfig,
)

NOT_OF_SPEED = (
    *("dataset_params", "weights", "init_from", "resize", "crop", "crop_foreground", "lr", "schedule", "class_weights"),
    *("budget", "eval_size", "select", "freeze_encoder", "fine_tune_lr_factor", "unfreeze_from", "train_fraction"),
    *("initial_weights", "data_dir", "skip_corrupt", "keep_weights"),
)
"""Fields that a trial of speed alone has no use for."""
LARGEST_SIDE = 4096  # pixels; a slip of the finger beyond: a pack holds whole data sets at this size
_SIZES = f"height and width from 1 to {LARGEST_SIDE} pixels"


def one_of(kind: str, given: str, accepted: tuple[str, ...]) -> None:
    """BenchError with near misses unless `given` is accepted."""
    if given not in accepted:
        raise BenchError(unknown(kind, given, list(accepted), list(accepted)))


def measure(config: TrialConfig) -> TrialConfig:
    """The configuration; of a trial of speed alone, without a data set and what else it has no use for."""
    one_of("choice of what is measured", config.measure, MEASURES)
    if config.measure == "speed":
        default = TrialConfig(arch="", dataset=NO_DATASET)
        return replace(config, dataset=NO_DATASET, **{name: getattr(default, name) for name in NOT_OF_SPEED})
    if config.dataset == NO_DATASET:
        raise BenchError("Training needs a data set. Name one with --dataset, or measure the speed alone: bench speed.")
    if config.find_batch_size:
        raise BenchError("The largest batch is sought by `bench speed --find-batch-size`, not beside a training.")
    return config


def numbers(config: TrialConfig) -> None:
    """Check the fields that are amounts or names of a short list."""
    limits: tuple[tuple[str, Any, Callable[[Any], bool], str], ...] = (
        ("image size", "x".join(map(str, config.image_size)), lambda _: _fits(config.image_size), _SIZES),
        ("batch size", config.batch_size, lambda v: v >= 1, "1 or more images"),
        ("learning rate", config.lr, lambda v: 0 < v < float("inf"), "a number above 0, such as 0.001"),
        (
            "frozen share of the budget",
            config.freeze_encoder,
            lambda v: 0 <= v <= 1,
            "a number from 0 to 1, such as 0.5",
        ),
        ("fine-tuning factor", config.fine_tune_lr_factor, lambda v: 0 < v < float("inf"), "a number above 0"),
        ("crop's chance of the foreground", config.crop_foreground, lambda v: 0 <= v <= 1, "a number from 0 to 1"),
        ("train fraction", config.train_fraction, lambda v: 0 < v <= 1, "a number above 0, up to 1"),
        ("seed", config.seed, lambda v: 0 <= v < 2**31, "a whole number from 0 to 2147483647"),
        ("repeat", config.repeat, lambda v: v >= 0, "0 or more"),
        ("limit of the batch size", config.find_batch_size, lambda v: v >= 0, "1 or more images, 0 for none"),
        ("seconds of the sweep", config.sweep_seconds, lambda v: v >= 0, "0 seconds or more"),
        ("timeout", config.timeout, lambda v: v is None or v > 0, "more than 0 seconds"),
    )
    for name, value, accepts, accepted in limits:
        if not accepts(value):
            raise BenchError(f"The {name} is {value}. Accepted: {accepted}.")
    one_of("resize policy", config.resize, RESIZES)
    one_of("evaluation size", config.eval_size, EVAL_SIZES)
    one_of("schedule", config.schedule, SCHEDULES)
    one_of("selection", config.select, SELECTIONS)
    one_of("choice of weights to keep", config.keep_weights, KEPT_WEIGHTS)
    one_of("augmentation", config.augment, AUGMENTS)
    one_of("choice of initial weights", config.initial_weights, INITIAL_WEIGHTS)
    one_of("choice of compilation (--jit)", config.jit, JITS)
    if (config.eval_size, config.resize) == ("native", "crop"):
        raise BenchError(
            "--eval-size native needs whole pictures, and --resize crop cuts their borders off. "
            "Use --resize stretch or letterbox."
        )


def crop(config: TrialConfig) -> TrialConfig:
    """The configuration, with no crop where that is the whole image."""
    default = TrialConfig(arch="", dataset="").crop_foreground
    if config.crop is None and config.crop_foreground != default:
        raise BenchError("--crop-foreground needs --crop, the size of the parts that are trained on, such as 256.")
    if config.crop is not None and not all(1 <= c <= s for c, s in zip(config.crop, config.image_size, strict=True)):
        given, whole = ("x".join(map(str, size)) for size in (config.crop, config.image_size))
        raise BenchError(f"--crop is {given}, but the images are {whole} (--image-size). Accepted: no more than these.")
    if config.crop == config.image_size:
        return replace(config, crop=None, crop_foreground=default)
    return config


def _fits(image_size: tuple[int, int]) -> bool:
    return all(1 <= side <= LARGEST_SIDE for side in image_size)


def backend(config: TrialConfig, spec: ArchitectureSpec) -> None:
    """Check that backend and precision exist, that the architecture runs under them, and that all is installed."""
    one_of("backend", config.backend, BACKENDS)
    one_of("precision", config.precision, PRECISIONS)
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
    """The backbone by its own name; the architecture's default for None; "none" asks for none."""
    if given in (None, "none"):
        if given == "none" and spec.default_backbone:
            raise BenchError(f"{spec.name} needs a backbone. It accepts: {', '.join(spec.backbones)}.")
        return spec.default_backbone
    if not spec.backbones:
        raise BenchError(f"{spec.name} takes no backbone, but got '{given}'.")
    name = backbones.get(given).name if given in backbones else given
    if name not in spec.backbones:
        raise BenchError(unknown(f"backbone for {spec.name}", name, list(spec.backbones), list(spec.backbones)))
    return name


def weights(given: str, backbone: str | None) -> str:
    """ "none", "imagenet" or an absolute path that exists; "none" for an architecture without backbone."""
    if given not in ("none", "imagenet") and not Path(given).expanduser().is_file():
        raise BenchError(f"There is no weights file '{given}'. Accepted: none, imagenet or the path of a file.")
    if given == "none" or backbone is None:
        return "none"
    return given if given == "imagenet" else str(Path(given).expanduser().resolve())


def fine_tuning(config: TrialConfig, spec: ArchitectureSpec, backbone: str | None) -> None:
    """Check that there is an encoder to freeze, and that nothing is said of unfreezing what was never frozen."""
    if config.freeze_encoder and backbone is None:
        backbones = f"It accepts the backbones: {', '.join(spec.backbones)}." if spec.backbones else "It takes none."
        raise BenchError(f"--freeze-encoder needs a backbone, and {spec.name} has none here. {backbones}")
    default = TrialConfig(arch="", dataset="")
    for name in ("fine_tune_lr_factor", "unfreeze_from"):
        if not config.freeze_encoder and getattr(config, name) != getattr(default, name):
            option = name.replace("_", "-")
            raise BenchError(f"--{option} needs --freeze-encoder, the share of the budget before it, such as 0.5.")


def params(given: Mapping[str, Any], spec: ArchitectureSpec | DatasetSpec) -> dict[str, Any]:
    """The parameters of a builder or of a data set's adapter, with the types of its signature.

    What equals the default is left out, so that saying it is no other trial.
    """
    known = {param.name: param for param in spec.params}
    listing = ", ".join(f"{p.name} ({p.type}, {p.default})" for p in spec.params) or "none"
    checked = {}
    for name, value in given.items():
        if name not in known:
            near = unknown(f"parameter of {spec.name}", name, list(known), [])
            raise BenchError(near.replace("Available: none.", f"It has: {listing}."))
        checked[name] = _typed(spec.name, known[name], value)
    return {name: value for name, value in checked.items() if value != _plain(known[name].default)}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


_TYPES: dict[str, Any] = {"int": int, "float": (int, float), "str": str, "bool": bool, "list": (list, tuple)}


def _typed(owner: str, param: Param, value: Any) -> Any:
    is_bool = isinstance(value, bool)
    if not isinstance(value, _TYPES[param.type]) or is_bool != (param.type == "bool"):
        hint = "; in a TOML file a list of values is written [[8, 16], [16, 32]]" if param.type == "list" else ""
        raise BenchError(f"The parameter '{param.name}' of {owner} is of type {param.type}, but got {value!r}{hint}.")
    if param.choices and value not in param.choices:
        accepted = ", ".join(map(str, param.choices))
        raise BenchError(f"The parameter '{param.name}' of {owner} is {value!r}. Accepted: {accepted}.")
    return float(value) if param.type == "float" else _plain(value)
