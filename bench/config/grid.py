"""From options or a TOML file to the trials' configurations.

Names are those of `bench run`'s options, with `-` or `_`. A value may hold several, an axis of the grid:
commas on the command line, a list in a TOML file. The order puts every pair's first seed first.
"""

import itertools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.config import catalog, checks
from bench.config.options import axis, parameters, single
from bench.core.errors import BenchError
from bench.core.registry import unknown
from bench.core.specs import NO_DATASET, TrialConfig

Options = Mapping[str, Any]  # name -> text, number or list

DATASET_PARAMS = ("balance_ships", "empty_fraction")  # said only of the data sets that have them
AXES = (
    "dataset", *DATASET_PARAMS, "image_size", "resize", "crop", "crop_foreground", "train_fraction", "backend",
    "precision", "jit", "budget", "batch_size", "lr", "schedule", "loss", "class_weights", "augment", "eval_size",
    "select", "initial_weights",
    "freeze_encoder", "fine_tune_lr_factor", "unfreeze_from", "weights", "arch", "backbone", "param",
)  # fmt: skip
SINGLE = (
    *("data_dir", "skip_corrupt", "plugin", "timeout", "keep_weights", "init_from", "measure", "find_batch_size"),
    *("trace", "sweep_seconds"),
)
ALL = "all"  # of --arch: every architecture that the rest of the options suits
# Said only of the trials that have what comes before it.
OF_ANOTHER = {"freeze_encoder": ("fine_tune_lr_factor", "unfreeze_from"), "crop": ("crop_foreground",)}
REPETITIONS = ("seed", "seeds", "repeat")
OF_THE_RUN = ("results",)  # not of a trial, but a TOML file may name it
NAMES = (*AXES, *SINGLE, *REPETITIONS, *OF_THE_RUN)


def expand(options: Options, left_out: list[str] | None = None) -> list[TrialConfig]:
    """Every combination of the options' values, resolved and checked; equal trials once.

    Args:
        left_out: gets a line for each combination that `--arch all` stands for and that can't be run.

    BenchError for a name, value or combination that can't be run.
    """
    options = _of_its_kind(_known(options, "option"))
    fixed = {name: single(name, options[name]) for name in SINGLE if options.get(name) is not None}
    if "plugin" in fixed:
        catalog.add_plugin(fixed["plugin"])
    for name, registry in (("arch", catalog.architectures()), ("dataset", catalog.datasets())):
        if not options.get(name):
            raise BenchError(f"No {registry.kind} is named. Give --{name}; available: {', '.join(registry.names())}.")
    axes = [axis(name, options[name]) for name in AXES if options.get(name) is not None and name != "param"]
    axes += [[("param", (key, value)) for value in values] for key, values in parameters(options.get("param")).items()]
    axes = [_repeats(options), _seeds(options), *axes]
    _check_dataset_params(axes)
    used = {name for axis in axes for name, value in axis if name in OF_ANOTHER and value}
    every = _values_of("arch", axes) == [ALL]
    if every:
        names = [("arch", name) for name in catalog.architectures().names()]
        axes = [names if axis[0][0] == "arch" else axis for axis in axes]
    trials = [_config(fixed, values, used) for values in itertools.product(*axes)]
    return _unique(_suitable(trials, left_out) if every else map(catalog.resolve, trials))


def _of_its_kind(options: dict[str, Any]) -> dict[str, Any]:
    """The options; of a trial of speed alone only those that it has a use for."""
    if options.get("measure") != "speed":
        return options
    unused = (*checks.NOT_OF_SPEED, *DATASET_PARAMS, "dataset")
    return {**{name: value for name, value in options.items() if name not in unused}, "dataset": NO_DATASET}


def _suitable(trials: Iterable[TrialConfig], left_out: list[str] | None) -> list[TrialConfig]:
    """Those that can be run, resolved; BenchError where none can."""
    found, lines = [], []
    for trial in trials:
        try:
            found.append(catalog.resolve(trial))
        except BenchError as error:
            lines.append(f"{trial.pair} is left out: {error}")
    if not found:
        raise BenchError(lines[0])
    if left_out is not None:
        left_out += dict.fromkeys(lines)
    return found


def _check_dataset_params(axes: Iterable[list[tuple[str, Any]]]) -> None:
    """BenchError for a parameter that none of the data sets has."""
    specs = [catalog.find_dataset(name)[0] for name in _values_of("dataset", axes)]
    known = {param.name for spec in specs for param in spec.params}
    for name in DATASET_PARAMS:
        if _values_of(name, axes) and name not in known:
            having = [spec.name for spec in catalog.datasets() if name in {param.name for param in spec.params}]
            option, names = name.replace("_", "-"), ", ".join(spec.name for spec in specs)
            raise BenchError(f"--{option} is for the data set {', '.join(having)}, not for {names}.")


def _values_of(name: str, axes: Iterable[list[tuple[str, Any]]]) -> list[Any]:
    """The values of an axis; empty where there is none of that name."""
    return [value for axis in axes for other, value in axis if other == name]


def configs(options: Options, file: Path | None = None, left_out: list[str] | None = None) -> list[TrialConfig]:
    """The trials of a TOML file and options; where both name something, the options win.

    The file's names are those of the options; `[[trials]]` lists further trials (or small grids), which take
    what they leave out from the names above them. `left_out` as in `expand`.
    """
    options = {name: value for name, value in _known(options, "option").items() if value is not None}
    if file is None:
        return expand(options, left_out)
    grid, trials = read_toml(file)
    tables = [{**grid, **trial} for trial in trials]
    if grid.get("arch") or not trials:
        tables.insert(0, grid)
    return _unique(itertools.chain.from_iterable(expand(_override(table, options), left_out) for table in tables))


def read_toml(file: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The names of a TOML file, and its [[trials]]; BenchError names the line that is broken."""
    try:
        values = tomllib.loads(Path(file).read_text())
    except OSError as error:
        raise BenchError(f"The file '{file}' can't be read ({error.strerror}).") from error
    except ValueError as error:  # tomllib.TOMLDecodeError says line and column; UnicodeDecodeError the byte
        raise BenchError(f"'{file}' is no valid TOML: {error}.") from error
    trials = values.pop("trials", [])
    if not isinstance(trials, list) or not all(isinstance(trial, dict) for trial in trials):
        raise BenchError(f"'trials' in '{file}' must be tables, each under a line [[trials]].")
    grid = _known(values, f"name in '{file}'")
    if "results" in grid:
        grid["results"] = single("results", grid["results"])
    return grid, [_of_a_trial(_known(trial, f"name in '{file}'"), file) for trial in trials]


def _of_a_trial(trial: dict[str, Any], file: Path) -> dict[str, Any]:
    for name in OF_THE_RUN:
        if name in trial:
            raise BenchError(f"'{name}' in '{file}' is for the whole run: it stands above the first [[trials]].")
    return trial


def _known(values: Options, kind: str) -> dict[str, Any]:
    named = {name.replace("-", "_"): value for name, value in values.items()}
    for name in named:
        if name not in NAMES:
            raise BenchError(unknown(kind, name, list(NAMES), sorted(NAMES)))
    return named


def _override(table: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The table with the options in it; --seed takes the place of `seeds` too, --param only of its own names."""
    merged = {**table, **options}
    for name, other in (("seed", "seeds"), ("seeds", "seed")):
        if name in options and other not in options:
            merged.pop(other, None)
    if "param" in table and "param" in options:
        merged["param"] = {**parameters(table["param"]), **parameters(options["param"])}
    return merged


def _unique(configs: Iterable[TrialConfig]) -> list[TrialConfig]:
    """Equal trials once, and every pair's first seed before anyone's second."""
    once = {_text_of(config): config for config in configs}
    return _search_once(sorted(once.values(), key=lambda config: (config.repeat, config.seed)))


def _search_once(configs: list[TrialConfig]) -> list[TrialConfig]:
    """The largest batch is sought by the first of the trials that differ in batch size, seed and repeat alone."""
    first: dict[str, TrialConfig] = {}
    for config in configs:
        first.setdefault(_text_of(replace(config, batch_size=1, seed=0, repeat=0)), config)
    seeking = list(map(id, first.values()))
    return [config if id(config) in seeking else replace(config, find_batch_size=0) for config in configs]


def _text_of(config: TrialConfig) -> str:
    return repr(sorted(config.to_dict().items()))


def _config(fixed: dict[str, Any], values: Iterable[tuple[str, Any]], used: set[str]) -> TrialConfig:
    """A configuration of one value an axis; a pair's own backbone goes before the axis of backbones.

    Where some trials of the grid freeze the encoder (`used`), the others leave out how it is fine-tuned.
    """
    chosen: dict[str, Any] = dict(fixed)
    params: dict[str, Any] = {}
    for name, value in values:
        if name == "param":
            params[value[0]] = value[1]
        else:
            chosen[name] = value
    for name in used:
        if not chosen.get(name):
            chosen = {other: value for other, value in chosen.items() if other not in OF_ANOTHER[name]}
    known = {param.name for param in catalog.find_dataset(chosen["dataset"])[0].params}
    given = {name: chosen.pop(name) for name in DATASET_PARAMS if name in chosen}
    chosen["dataset_params"] = {name: value for name, value in given.items() if name in known}
    arch, _, backbone = chosen["arch"].partition(":")
    chosen["arch"] = arch
    if backbone:
        chosen["backbone"] = backbone
    return TrialConfig(**chosen, params=params)


def _seeds(options: Options) -> list[tuple[str, int]]:
    if options.get("seed") is not None and options.get("seeds") is not None:
        raise BenchError("Give --seeds N (the seeds 0 to N-1) or --seed 0,1 (these seeds), not both.")
    if options.get("seed") is not None:
        return axis("seed", options["seed"])
    return [("seed", seed) for seed in range(_count("seeds", options))]


def _repeats(options: Options) -> list[tuple[str, int]]:
    return [("repeat", repeat) for repeat in range(_count("repeat", options))]


def _count(name: str, options: Options) -> int:
    given = options.get(name)
    count = 1 if given is None else single(name, given)
    if count < 1:
        raise BenchError(f"--{name} is {count}. Accepted: 1 or more.")
    return count
