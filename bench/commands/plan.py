"""`bench plan`: say what a grid takes before it is run."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.commands.grid_data import check_data
from bench.commands.grid_options import (
    Bands,
    ConfigFile,
    DevicesOption,
    GroupBy,
    JobsOption,
    Results,
    ScaleValues,
    ShardOption,
)
from bench.commands.grid_reading import read_grid, sized
from bench.commands.grid_tuning import with_tuning_alike
from bench.commands.shared import output, say, warn, with_options, with_short_params
from bench.core.errors import BenchError
from bench.core.options import RUN
from bench.core.trial_config import TrialConfig

if TYPE_CHECKING:
    from bench.results.loading import StoredTrial
    from bench.trials.forecasts.evaluation_cost import Sizes


@with_options(lambda option: option.of_training)
def plan(
    config: ConfigFile = None,
    results: Results = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Probe nothing; show what earlier probes and trials say.", rich_help_panel=RUN),
    ] = False,
    price_per_hour: Annotated[
        float | None,
        typer.Option(
            help="The price of this machine for an hour, in any currency; adds a line about money.",
            rich_help_panel=RUN,
            show_default=False,
        ),
    ] = None,
    group_by: GroupBy = None,
    bands: Bands = None,
    scale_values: ScaleValues = None,
    shard: ShardOption = None,
    jobs: JobsOption = None,
    devices: DevicesOption = None,
    **given: Any,
) -> None:
    """Say what a grid will take: time, memory, disk, money, and what doesn't fit.

    Give it the options of `bench run` that say what is trained and how many trials run at once.

    bench plan --arch unet,deeplab --dataset shapes --budget 10m --seeds 5 --price-per-hour 2.50
    """
    from bench.profiling.environment import expected_device
    from bench.results.loading import load
    from bench.results.marker import check_writable
    from bench.results.trial_files import MARKER
    from bench.trials.estimate import estimates
    from bench.trials.forecasts import forecast, forecast_text, probes
    from bench.trials.preflight import check_weights_files
    from bench.trials.rescoring.keeping_room import keeping_lines
    from bench.trials.scheduling.slots import local_slots

    if price_per_hour is not None and not 0 <= price_per_hour < float("inf"):
        raise BenchError(f"--price-per-hour is {price_per_hour:g}. Accepted: 0 or more, such as 2.50.")
    given["dataset_param"] = with_short_params(given["dataset_param"], group_by, bands, scale_values)
    grid = read_grid(given, config, results, shard)
    slots = local_slots(jobs, devices, configs=grid.configs)
    check_writable(grid.results)
    configs = sized(grid.configs, grid.results, slots, measure=False)
    check_weights_files(configs)
    coming, sizes = check_data(configs, estimating=True)
    for line in coming:
        warn(line)
    trials = load([grid.results]).trials if (grid.results / MARKER).is_file() else []
    configs = with_tuning_alike(grid.configs)
    if not dry_run:
        _probe(configs, trials, sizes)
    found = forecast.forecasts(configs, trials, probes.known(), sizes)
    console = output()
    console.print(forecast_text.table(found))
    for line in keeping_lines(estimates(configs, trials, sizes=sizes), trials, sizes, grid.results)[0]:
        say(console, line)
    on_shares = len(slots) > 1 and slots[0].device != expected_device()
    for line in forecast_text.lines(
        found, price_per_hour=price_per_hour, free_mib=_free_mib(grid.results), at_once=len(slots), on_shares=on_shares
    ):
        say(console, line)


def _probe(configs: "Sequence[TrialConfig]", trials: "Sequence[StoredTrial]", sizes: "Sizes") -> None:
    """Probe the models of the trials that are left to run, with a live view."""
    from bench.commands.live import view
    from bench.trials.estimate import estimates
    from bench.trials.forecasts import probes

    left = [estimate.config for estimate in estimates(configs, trials, sizes=sizes) if not estimate.done]
    if left:
        say(
            output(),
            f"Models to probe, with {probes.STEPS} steps each: {len(probes.probes_of(left))}; known ones are kept.",
        )
    with view(output()) as observer:
        probes.run(left, observer)


def _free_mib(folder: Path) -> float:
    """Return the free space of the disk that holds the folder or will hold it."""
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free / 2**20
