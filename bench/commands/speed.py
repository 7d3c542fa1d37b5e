"""`bench speed`: measure architectures without training them and without data."""

from dataclasses import replace
from typing import Annotated, Any

import typer

from bench.commands.grid_options import (
    ConfigFile,
    DevicesOption,
    DryRun,
    Force,
    JobsOption,
    RerunStale,
    Results,
    ShardOption,
)
from bench.commands.grid_reading import read_grid
from bench.commands.grid_run import How, finish
from bench.commands.shared import BANDS_OF_NO_DATA_HELP, bands_of_no_data, with_options
from bench.core.errors import BenchError
from bench.core.options import RUN

LARGEST_BATCH = 1024


@with_options(lambda option: option.of_speed)
def speed(
    find_batch_size: Annotated[
        bool,
        typer.Option(
            "--find-batch-size",
            help="Also find the largest batch that can be trained, and the memory per image; with several --image-size "
            "also which batches fit a card.",
            rich_help_panel=RUN,
        ),
    ] = False,
    largest_batch: Annotated[
        int | None,
        typer.Option(
            help=f"The largest batch that --find-batch-size tries. Default: {LARGEST_BATCH}.",
            rich_help_panel=RUN,
            show_default=False,
        ),
    ] = None,
    config: ConfigFile = None,
    results: Results = None,
    dry_run: DryRun = False,
    force: Force = False,
    rerun_stale: RerunStale = False,
    shard: ShardOption = None,
    jobs: JobsOption = None,
    devices: DevicesOption = None,
    bands: Annotated[str | None, typer.Option(help=BANDS_OF_NO_DATA_HELP, show_default=False)] = None,
    **given: Any,
) -> None:
    """Measure training and inference speed, latency and memory, without data; all architectures take minutes.

    bench speed --arch all --image-size 256 --precision mixed_bfloat16 --backend jax
    """
    from bench.trials.scheduling.slots import local_slots

    slots = local_slots(jobs, devices)
    search = _search(find_batch_size, largest_batch)
    grid = read_grid({**given, **search, "measure": "speed"}, config, results, shard)
    configs = grid.configs
    if bands is not None:
        configs = [replace(each, dataset_params=bands_of_no_data(bands)) for each in configs]
    finish(configs, grid.results, How(slots, dry_run, force, rerun_stale))


def _search(wanted: bool, largest: int | None) -> dict[str, int]:
    """Return the grid's option for the search for the largest batch; empty if there is none."""
    if largest is not None and not wanted:
        raise BenchError(f"--largest-batch {largest} limits a search: give --find-batch-size too, or neither.")
    if largest is not None and largest < 1:
        raise BenchError(f"--largest-batch is {largest}. Accepted: 1 or more images.")
    return {"find_batch_size": largest or LARGEST_BATCH} if wanted else {}
