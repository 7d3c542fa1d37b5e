"""Turn the values that a user gives into configurations of trials.

Names are those of the options of `bench run`, with `-` or `_`. Several values, separated by commas on the command line
or as a list in a TOML file, are an axis of the grid. The first seed of every pair comes before any second seed.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from bench.config import catalog, equal_cost
from bench.config.given import BY_NAME, PARAMETERS, Given, GridFile, axis, known, parameters
from bench.config.searching import search_space
from bench.core.errors import BenchError
from bench.core.options import LOOPS, Option
from bench.core.specs import NO_DATASET
from bench.core.trial_config import ADAMW_WEIGHT_DECAY, OPTIONS, POOLED, SEEDS, TrialConfig

MOST_TRIALS = 10_000
_PARAMETER_FIELDS = tuple(BY_NAME[name].field for name in PARAMETERS)
ALL = "all"  # the value of --arch for every architecture that can run with the other options
AXES = tuple(
    option
    for panel in LOOPS
    for option in OPTIONS.values()
    if option.panel == panel and option.axis and option.field not in POOLED
)
"""The options whose values make a grid, from the outermost loop to the innermost."""
SINGLE = tuple(option for option in OPTIONS.values() if not option.axis)
DEPENDENT = {needed: [o.field for o in AXES if o.needs == needed] for needed in {o.needs for o in AXES if o.needs}}
"""The options that need another one, by that one; trials in which it is not set drop them."""
ALTERNATIVES = (("seed", "seeds"), ("train_fraction", "train_images"), ("image_size", *equal_cost.FIELDS))
"""Options of which at most one can be given; on the command line it replaces the others of a file, and in `[[trials]]`
those above the tables."""

Axis = list[tuple[str, Any]]  # (field, value); the value of a field of parameters is (key, value)


def configs(given: Given, file: GridFile | None = None, left_out: list[str] | None = None) -> list[TrialConfig]:
    """Make the configurations from the given values and a TOML file; given values win over the file's.

    `[[trials]]` of the file list further trials (or small grids), which take the values that they leave out from above
    the tables. `left_out` is that of `expand`.
    """
    given = {name: value for name, value in known(given).items() if value is not None}
    if file is None:
        return expand(given, left_out)
    tables = [{**_without_replaced(file.grid, trial), **trial} for trial in file.trials]
    if file.grid.get("arch") or not file.trials:
        tables.insert(0, file.grid)
    return _unique(itertools.chain.from_iterable(expand(_override(table, given), left_out) for table in tables))


def _override(table: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Merge the given values into a table; --seed also replaces `seeds`, and --param only the parameters it names.

    What is given to be searched for replaces the table's value of it.
    """
    sought = search_space.sought(given)
    kept = _without_replaced(table, given)
    merged = {**{name: value for name, value in kept.items() if name not in sought}, **given}
    for name in PARAMETERS:
        if name in table and name in given:
            merged[name] = {**parameters(name, table[name]), **parameters(name, given[name])}
    return merged


def _without_replaced(table: Given, given: Given) -> dict[str, Any]:
    """Return a table without the options whose alternative is given, such as an image size for a limit."""
    pairs = itertools.chain.from_iterable(itertools.permutations(some, 2) for some in ALTERNATIVES)
    replaced = {other for name, other in pairs if name in given and other not in given}
    return {name: value for name, value in table.items() if name not in replaced}


def expand(given: Given, left_out: list[str] | None = None) -> list[TrialConfig]:
    """List every combination of the options' values, resolved and checked; equal trials once.

    Args:
        left_out: gets a line for each combination that `--arch all` stands for and that can't be run.

    BenchError for a name, value or combination that can't be run.
    """
    given = equal_cost.at_native_size(_drop_unused(known(given)))
    if given.get("train_fraction") is not None and given.get("train_images") is not None:
        raise BenchError("Give --train-fraction (a share of the images) or --train-images (a number), not both.")
    search_space.check_given(given, parameters("param", given.get("param")))
    fixed = {o.field: o.read(given[o.name]) for o in SINGLE if given.get(o.name) is not None}
    if "plugin" in fixed:
        catalog.add_plugin(fixed["plugin"])
    for name, registry in (("arch", catalog.architectures()), ("dataset", catalog.datasets())):
        if not given.get(name):
            raise BenchError(f"No {registry.kind} is named. Give --{name}; available: {', '.join(registry.names())}.")
    repetitions = [_repeats(given), _seeds(given), _folds(fixed)]
    axes = [*repetitions, *itertools.chain.from_iterable(_axes(o, given) for o in AXES)]
    _check_count(axes)
    _check_dataset_params(axes)
    needed = {name for axis in axes for name, value in axis if name in DEPENDENT and value}
    every = _values_of("arch", axes) == [ALL]
    if every:
        names = [("arch", name) for name in catalog.architectures().names()]
        axes = [names if axis[0][0] == "arch" else axis for axis in axes]
    trials = [_config(fixed, values, needed) for values in itertools.product(*axes)]
    return _unique(_suitable(trials, left_out) if every else map(catalog.resolve_config, trials))


def _check_count(axes: Iterable[Axis]) -> None:
    """Raise BenchError, with the longest axis, if there are more combinations than a run can hold."""
    if (count := math.prod(map(len, axes))) <= MOST_TRIALS:
        return
    field, value = max(axes, key=len)[0]
    name = f"{field} {value[0]}" if isinstance(value, tuple) and field in _PARAMETER_FIELDS else field
    raise BenchError(
        f"The grid has {count:,} trials, {len(max(axes, key=len)):,} values of {name} among it; a run has at most "
        f"{MOST_TRIALS:,}. Give fewer values, or part the grid into several runs."
    )


def _drop_unused(given: dict[str, Any]) -> dict[str, Any]:
    """Return the given values; for speed-only trials, drop the options of training."""
    if given.get("measure") != "speed":
        return given
    return {**{name: value for name, value in given.items() if BY_NAME[name].of_speed}, "dataset": NO_DATASET}


def _axes(option: Option, given: Given) -> list[Axis]:
    """Return the axis of an option that is given; one per parameter for a field of parameters."""
    if (value := given.get(option.name)) is None:
        return []
    if option.name not in PARAMETERS:
        return [[(option.field, one) for one in axis(option.name, value)]]
    found = parameters(option.name, value)
    return [[(option.field, (key, one)) for one in values] for key, values in found.items()]


def _suitable(trials: Iterable[TrialConfig], left_out: list[str] | None) -> list[TrialConfig]:
    """Resolve the configurations that can run; raise BenchError if none can."""
    found, lines = [], []
    for trial in trials:
        try:
            found.append(catalog.resolve_config(trial))
        except BenchError as error:
            lines.append(f"{trial.pair} is left out: {error}")
    if not found:
        raise BenchError(lines[0])
    if left_out is not None:
        left_out += dict.fromkeys(lines)
    return found


def _check_dataset_params(axes: Iterable[Axis]) -> None:
    """Raise BenchError for a parameter that none of the data sets has."""
    specs = [catalog.find_dataset(name)[0] for name in _values_of("dataset", axes)]
    having = {param.name for spec in specs for param in spec.all_params}
    for name in dict.fromkeys(key for key, _ in _values_of("dataset_params", axes)):
        if name not in having:
            raise BenchError(_no_dataset_has(name, [spec.name for spec in specs]))


def _no_dataset_has(name: str, datasets: list[str]) -> str:
    others = [spec.name for spec in catalog.datasets() if name in {param.name for param in spec.params}]
    where = f"; {', '.join(others)} has it" if others else ""
    return f"--dataset-param {name}: no parameter of {', '.join(datasets)}{where}."


def _values_of(name: str, axes: Iterable[Axis]) -> list[Any]:
    """Return the values of a field's axes; empty if there is none."""
    return [value for axis in axes for other, value in axis if other == name]


def _config(fixed: dict[str, Any], values: Iterable[tuple[str, Any]], needed: set[str]) -> TrialConfig:
    """Build a configuration from one value per axis. A backbone in `arch:backbone` wins over `--backbone`.

    Args:
        needed: fields that some trials of the grid set; where one doesn't, what depends on it is left out.
    """
    chosen: dict[str, Any] = dict(fixed)
    params: dict[str, Any] = {BY_NAME[name].field: {} for name in PARAMETERS}
    for field, value in values:
        if field in params:
            params[field][value[0]] = value[1]
        else:
            chosen[field] = value
    for field in needed:
        if not chosen.get(field):
            chosen = {other: value for other, value in chosen.items() if other not in DEPENDENT[field]}
    if chosen.get("optimizer") == "adamw":
        chosen.setdefault("weight_decay", ADAMW_WEIGHT_DECAY)
    having = {param.name for param in catalog.find_dataset(chosen["dataset"])[0].all_params}
    params["dataset_params"] = {name: value for name, value in params["dataset_params"].items() if name in having}
    arch, _, backbone = chosen["arch"].partition(":")
    chosen["arch"] = arch
    if backbone:
        chosen["backbone"] = backbone
    return TrialConfig(**chosen, **params)


def _unique(configs: Iterable[TrialConfig]) -> list[TrialConfig]:
    """Drop equal trials, and put every pair's first seed before any second one."""
    once = {_fingerprint(config): config for config in configs}
    return _search_once(sorted(once.values(), key=lambda config: (config.repeat, config.seed, config.fold)))


def _search_once(configs: list[TrialConfig]) -> list[TrialConfig]:
    """Let only the first of the trials that differ in batch size and repetition search for the largest batch."""
    first: dict[str, TrialConfig] = {}
    for config in configs:
        first.setdefault(_fingerprint(replace(config.pooled, batch_size=1)), config)
    seeking = set(map(id, first.values()))
    return [config if id(config) in seeking else replace(config, find_batch_size=0) for config in configs]


def _fingerprint(config: TrialConfig) -> str:
    return repr(sorted(config.to_dict().items()))


def _seeds(given: Given) -> Axis:
    if given.get("seed") is not None and given.get("seeds") is not None:
        raise BenchError("Give --seeds N (the seeds 0 to N-1) or --seed 0,1 (these seeds), not both.")
    if given.get("seed") is not None:
        return [("seed", seed) for seed in axis("seed", given["seed"])]
    return [("seed", seed) for seed in range(_count(SEEDS, given))]


def _folds(fixed: Given) -> Axis:
    folds = fixed.get("folds", 0)
    OPTIONS["folds"].check(folds)
    return [("fold", fold) for fold in (range(1, folds + 1) if folds else (0,))]


def _repeats(given: Given) -> Axis:
    return [("repeat", repeat) for repeat in range(_count(OPTIONS["repeat"], given))]


def _count(option: Option, given: Given) -> int:
    value = given.get(option.name)
    count = 1 if value is None else option.read(value)
    if count > MOST_TRIALS:
        raise BenchError(f"{option.flag} is {count:,}. A run has at most {MOST_TRIALS:,} trials.")
    if count < 1:
        raise BenchError(f"{option.flag} is {count}. Accepted: {option.range}.")
    return count
