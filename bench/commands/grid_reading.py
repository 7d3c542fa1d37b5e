"""Read a command's grid from its options and its TOML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.commands.shared import DEFAULT_RESULTS, output, warn
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig

if TYPE_CHECKING:
    from bench.config.given import GridFile
    from bench.trials.scheduling.slots import Slot


@dataclass(frozen=True)
class ReadGrid:
    """The contents of a command's options and TOML file."""

    configs: list[TrialConfig]  # resolved; of the shard if there is one
    results: Path
    file: Mapping[str, Any] = field(default_factory=dict)  # the names above the file's tables
    preset: str | None = None  # the one that --config names


def read_grid(
    given: Mapping[str, Any], config: Path | None, results: Path | None, shard: str | None = None, *, seeds: int = 1
) -> ReadGrid:
    """Read the options and the file that --config names; warn of each combination that `--arch all` leaves out.

    Args:
        seeds: the number of seeds if neither the options nor the file name any.
    """
    from bench.config import grid, presets
    from bench.config.given import GridFile, read_toml
    from bench.config.shard import Shard

    part = Shard.parse(shard) if shard is not None else None
    file = read_toml(presets.find(config)) if config else GridFile()
    left_out: list[str] = []
    chosen = {name: value for name, value in given.items() if value not in (None, [])}
    if config:
        _check_purpose(config, file, chosen)
    if seeds > 1 and not {"seed", "seeds"} & {*chosen, *file.grid, *(name for some in file.trials for name in some)}:
        chosen["seeds"] = seeds
    configs = grid.configs(chosen, file if config else None, left_out)
    for line in left_out:
        warn(line)
    if any(trial.tune and trial.folds for trial in configs):
        raise BenchError(
            "--tune chooses by validation images, which other folds of --folds test, so scores would be too good. "
            "Leave out one of them."
        )
    if part:
        whole, configs = configs, part.of(configs)
        warn(f"Shard {part.number} of {part.count}: {len(configs)} of the grid's {len(whole)} trials.")
    folder = Path(results or file.grid.get("results") or DEFAULT_RESULTS)
    return ReadGrid(configs, folder, file.grid, presets.name_of(config))


def sized(configs: list[TrialConfig], results: Path, slots: "Sequence[Slot]", *, measure: bool) -> list[TrialConfig]:
    """Return the configurations, those that have a limit of cost at the image size within it.

    Args:
        slots: where the trials run.
        measure: measure memory where what is kept doesn't tell the size; without it such trials are left out.
    """
    from bench.config.equal_cost import limit_of
    from bench.results.marker import check_writable
    from bench.trials.image_sizes.measured_size import place_of
    from bench.trials.image_sizes.within_limit import sized as choose

    if not any(map(limit_of, configs)):
        return configs
    check_writable(results)
    with output().status("finding image sizes"):
        return choose(configs, warn, place_of(results, slots, measure=measure))


def _check_purpose(config: Path, file: "GridFile", given: Mapping[str, Any]) -> None:
    """Warn of a training file's values that speed-only trials don't use; raise BenchError if training has no data set.

    Args:
        config: the file's name, for messages.
        given: the command's own options.
    """
    from bench.config.given import BY_NAME

    names = dict.fromkeys(name for table in (file.grid, *file.trials) for name in table)
    if given.get("measure") == "speed":
        unused = [name for name in names if not (BY_NAME[name].of_speed or name in ("seeds", "results"))]
        if unused:
            listed = ", ".join(name.replace("_", "-") for name in unused)
            warn(f"Of '{config}', speed-only trials don't use: {listed}.")
    elif not given.get("dataset") and "dataset" not in names:
        raise BenchError(
            f"No data set is named in '{config}'. Give one with --dataset, or measure speed only: "
            f"bench speed --config {config}."
        )
