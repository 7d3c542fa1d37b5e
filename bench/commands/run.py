"""`bench run`: train and measure a grid of trials."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.commands.grid_data import check_data
from bench.commands.grid_options import (
    Bands,
    ConfigFile,
    DevicesOption,
    DryRun,
    EachDevice,
    ExecutorOption,
    Force,
    GroupBy,
    JobsOption,
    MaxSeeds,
    RayAddress,
    RerunStale,
    Results,
    ScaleValues,
    ShardOption,
    Top,
    TrackOption,
    UntilDecided,
    VerifyData,
)
from bench.commands.grid_reading import read_grid, sized
from bench.commands.grid_run import How, finish
from bench.commands.shared import counting, output, warn, with_options, with_short_params
from bench.core.errors import BenchError
from bench.core.option_kinds import shown
from bench.core.trial_config import TrialConfig

if TYPE_CHECKING:
    from bench.trials.cluster.workers import Workers
    from bench.trials.scheduling.until_decided import Rule

LOCAL, RAY = "local", "ray"  # executors


@with_options(lambda option: option.of_training)
def run(
    config: ConfigFile = None,
    results: Results = None,
    dry_run: DryRun = False,
    force: Force = False,
    rerun_stale: RerunStale = False,
    shard: ShardOption = None,
    jobs: JobsOption = None,
    devices: DevicesOption = None,
    executor: ExecutorOption = LOCAL,
    ray_address: RayAddress = None,
    each_device: EachDevice = False,
    track: TrackOption = None,
    until_decided: UntilDecided = False,
    max_seeds: MaxSeeds = None,
    top: Top = None,
    group_by: GroupBy = None,
    bands: Bands = None,
    scale_values: ScaleValues = None,
    verify_data: VerifyData = False,
    **given: Any,
) -> None:
    """Train and measure every combination of the options' values; finished trials are not run again.

    bench run --arch unet,deeplab --dataset shapes --budget 60s --seeds 2
    """
    from bench.data.source import opened_once
    from bench.results.trial_files import note_preset
    from bench.trials.saved.stored_trials import new_head, start_from
    from bench.trials.scheduling.slots import local_slots
    from bench.trials.tracking.tracker import read_names

    trackers = read_names(track)
    _check_executor(executor, {"--ray-address": ray_address, "--each-device": each_device}, jobs or devices)
    given["dataset_param"] = with_short_params(given["dataset_param"], group_by, bands, scale_values)
    rule = _rule(until_decided, max_seeds, top, shard)
    grid = read_grid(given, config, results, shard, seeds=rule.fewest if rule else 1)
    if rule:
        rule.check(len({trial.seed for trial in grid.configs}))
        if any(trial.folds for trial in grid.configs):
            raise BenchError("--until-decided adds seeds, and --folds has a trial for each fold. Leave out one.")
    _check_measured_here(executor, grid.configs)
    workers = _workers(ray_address, grid.configs) if executor == RAY else None
    slots = workers.slots if workers else local_slots(jobs, devices, configs=grid.configs)
    configs = [start_from(trial, grid.results) for trial in grid.configs]
    for note in dict.fromkeys(filter(None, map(new_head, configs))):
        warn(note)
    _note_unused_weights(configs, str(given.get("weights") or grid.file.get("weights", "none")))
    _note_random_backbones(configs)
    with opened_once():
        if any(config.same_memory_mib for config in configs) and not dry_run:
            check_data(configs)  # before memory is measured, which takes minutes
        configs = sized(configs, grid.results, slots, measure=not dry_run)
        coming, sizes = check_data(configs, estimating=dry_run)
        if dry_run:
            for line in coming:
                warn(line)
        if verify_data:
            _verify_data(configs, dry_run)
        _note_sharing(configs, workers.most_on_a_node if workers else len(slots))
        try:
            how = How(slots, dry_run, force, rerun_stale, sizes, rule, workers, each_device, trackers)
            finish(configs, grid.results, how)
        finally:
            if grid.preset and not dry_run:
                note_preset(grid.results, grid.preset)  # whose question the report answers


def _check_executor(executor: str, of_ray: Mapping[str, object], local: object) -> None:
    """Raise BenchError if the executor is unknown or an option belongs to the other one."""
    if executor not in (LOCAL, RAY):
        raise BenchError(f"--executor is '{shown(executor)}'. Accepted: {LOCAL}, {RAY}.")
    if executor == LOCAL and (given := [name for name, value in of_ray.items() if value]):
        raise BenchError(f"{given[0]} belongs to --executor {RAY}: give that too, or leave it out.")
    if executor == RAY and local:
        raise BenchError(
            f"With --executor {RAY} one trial at a time runs on each GPU of the cluster, or on each node if there is "
            "no GPU. Leave out --jobs and --devices."
        )


def _check_measured_here(executor: str, configs: Sequence[TrialConfig]) -> None:
    """Raise BenchError if memory is to be measured on this machine, and the trials run on others."""
    if executor == RAY and any(config.same_memory_mib for config in configs):
        raise BenchError(
            f"--same-memory-mib measures memory on this machine, and with --executor {RAY} the trials run on others. "
            "Find the sizes on one of those by bench run --same-memory-mib, and give them with --image-size."
        )


def _workers(address: str | None, configs: Sequence[TrialConfig]) -> "Workers | None":
    """Join the Ray cluster, or start one, and ask its nodes what they are; None if there is nothing to run."""
    from bench.trials.cluster.connection import connect
    from bench.trials.cluster.workers import Workers

    if not configs:
        return None
    with output().status("asking the nodes of the Ray cluster"):
        connect(address)
        return Workers(configs)


def _rule(until_decided: bool, max_seeds: int | None, top: int | None, shard: str | None) -> "Rule | None":
    """Return when seeds are added; None if their number is fixed."""
    if until_decided and shard:
        raise BenchError("--until-decided compares all configurations, and --shard runs a part of them. Leave out one.")
    given = {"most": max_seeds, "top": top}
    if not until_decided:
        for flag, value in (("--max-seeds", max_seeds), ("--top", top)):
            if value is not None:
                raise BenchError(f"{flag} {value} belongs to --until-decided: give that too, or neither.")
        return None
    from bench.trials.scheduling.until_decided import Rule  # with pandas and SciPy, which take half a second

    return Rule(**{name: value for name, value in given.items() if value is not None})


def _verify_data(configs: Sequence[TrialConfig], dry_run: bool) -> None:
    """Compare the source files with those of the packs, which are made again where they differ."""
    from bench.trials.plan import data_of, prepare_pack

    if dry_run:
        raise BenchError("--verify-data reads all source files, and --dry-run reads none. Leave out one of them.")
    console = output()
    for config in {data_of(config): config for config in configs if config.measure == "all"}.values():
        with counting(console, f"verifying {config.dataset}") as progress:
            prepare_pack(config, progress, verify_data=True)


def _note_unused_weights(configs: Sequence[TrialConfig], wanted: str) -> None:
    """Say which architectures start from scratch although weights are asked for."""
    trained = [config for config in configs if config.measure == "all" and not config.init_from]
    names = dict.fromkeys(config.arch for config in trained if not config.backbone)
    if names and wanted != "none":
        has, start = ("has", "it starts") if len(names) == 1 else ("have", "they start")
        warn(f"{', '.join(names)} {has} no backbone: {start} from scratch; --weights is not used.")


def _note_random_backbones(configs: Sequence[TrialConfig]) -> None:
    """Say which backbones stay frozen at random weights."""
    from bench.config import catalog, checks

    random = [c for c in configs if c.measure == "all" and c.backbone and c.weights == "none" and not c.init_from]
    frozen = [c for c in random if c.freeze_encoder == 1 or checks.always_frozen(c.params, catalog.architecture(c))]
    if pairs := dict.fromkeys(config.pair for config in frozen):
        warn(
            f"{', '.join(pairs)}: the backbone is frozen at random weights (--weights none), so that the score is that "
            "of a head on random features. Give the path of a weights file with --weights."
        )


def _note_sharing(configs: Sequence[TrialConfig], at_once: int) -> None:
    """Say that a budget of time buys less training where trials share a machine."""
    timed = any(config.budget.unit == "seconds" and config.measure == "all" for config in configs)
    if at_once > 1 and timed:
        warn(
            f"{at_once} trials at once share this machine. Under a budget of time each takes fewer steps than alone: "
            "its quality changes, not only its speed. A budget of steps, epochs or samples doesn't depend on that."
        )
