"""`bench run`: train and measure a grid of trials."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.commands.shared import (
    GROUP_BY_HELP,
    VERIFY_DATA_HELP,
    counting,
    opened,
    output,
    say,
    warn,
    with_group_by,
    with_options,
)
from bench.core.errors import BenchError
from bench.core.options import DATA, RUN
from bench.core.trial_config import TrialConfig

if TYPE_CHECKING:
    from bench.config.given import GridFile
    from bench.core.specs import TrialRecord
    from bench.trials.forecasts.evaluation_cost import Sizes
    from bench.trials.scheduling.slots import Slot

DEFAULT_RESULTS = Path("results")

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        help="A TOML file with options and tables of trials, or the name of a preset. Command-line options win.",
        rich_help_panel=RUN,
        show_default=False,
    ),
]
Results = Annotated[
    Path | None,
    typer.Option(
        help=f"The folder for the records. Default: {DEFAULT_RESULTS}.", rich_help_panel=RUN, show_default=False
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Show the planned trials and their estimated time; run none.", rich_help_panel=RUN),
]
GroupBy = Annotated[str | None, typer.Option(help=GROUP_BY_HELP, rich_help_panel=DATA, show_default=False)]
VerifyData = Annotated[bool, typer.Option("--verify-data", help=VERIFY_DATA_HELP, rich_help_panel=DATA)]
Force = Annotated[bool, typer.Option("--force", help="Run finished trials again.", rich_help_panel=RUN)]
RerunStale = Annotated[
    bool,
    typer.Option(
        "--rerun-stale",
        help="Run finished trials again that ran on another version of the backend or of Keras (0.9 and 0.10 are two, "
        "0.10.1 and 0.10.2 one), or on an unknown one.",
        rich_help_panel=RUN,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="<number/count>",
        help="Run one part of the grid, such as 3/8: the third of eight, the same on every machine. For job arrays.",
        rich_help_panel=RUN,
        show_default=False,
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="<number>",
        help="Run so many trials at once, each on a GPU of its own or, without GPUs, on its share of the cores.",
        rich_help_panel=RUN,
        show_default=False,
    ),
]
DevicesOption = Annotated[
    str | None,
    typer.Option(
        "--devices",
        metavar="<numbers>",
        help="Run one trial at a time on each of these GPUs: 0,1,2,3, or all.",
        rich_help_panel=RUN,
        show_default=False,
    ),
]


@dataclass(frozen=True)
class How:
    """The way in which a command runs its grid, as its options say."""

    slots: "Sequence[Slot]"
    dry_run: bool = False
    force: bool = False
    rerun_stale: bool = False
    sizes: "Sizes | None" = None  # of the data sets, where they are known


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
    group_by: GroupBy = None,
    verify_data: VerifyData = False,
    **given: Any,
) -> None:
    """Train and measure every combination of the options' values; finished trials are not run again.

    bench run --arch unet,deeplab --dataset shapes --budget 60s --seeds 2
    """
    from bench.trials.saved.stored_trials import new_head, start_from
    from bench.trials.scheduling.slots import local_slots

    given["dataset_param"] = with_group_by(given["dataset_param"], group_by)
    grid = read_grid(given, config, results, shard)
    slots = local_slots(jobs, devices, configs=grid.configs)
    configs = [start_from(trial, grid.results) for trial in grid.configs]
    for note in dict.fromkeys(filter(None, map(new_head, configs))):
        warn(note)
    _note_unused_weights(configs, str(given.get("weights") or grid.file.get("weights", "none")))
    downloads, sizes = check_data(configs)
    if dry_run:
        for line in downloads:
            warn(line)
    if verify_data:
        _verify_data(configs, dry_run)
    _note_sharing(configs, len(slots))
    finish(configs, grid.results, How(slots, dry_run, force, rerun_stale, sizes))


def _verify_data(configs: Sequence[TrialConfig], dry_run: bool) -> None:
    """Compare the source files with those of the packs, which are made again where they differ."""
    from bench.trials.plan import data_of, prepare_pack

    if dry_run:
        raise BenchError("--verify-data reads all source files, and --dry-run reads none. Leave out one of them.")
    console = output()
    for config in {data_of(config): config for config in configs if config.measure == "all"}.values():
        with counting(console, f"verifying {config.dataset}") as progress:
            prepare_pack(config, progress, verify_data=True)


@dataclass(frozen=True)
class ReadGrid:
    """The contents of a command's options and TOML file."""

    configs: list[TrialConfig]  # resolved; of the shard if there is one
    results: Path
    file: Mapping[str, Any] = field(default_factory=dict)  # the names above the file's tables


def read_grid(
    given: Mapping[str, Any], config: Path | None, results: Path | None, shard: str | None = None
) -> ReadGrid:
    """Read the options and the file that --config names; warn of each combination that `--arch all` leaves out."""
    from bench.config import grid, presets
    from bench.config.given import GridFile, read_toml
    from bench.config.shard import Shard

    part = Shard.parse(shard) if shard is not None else None
    file = read_toml(presets.find(config)) if config else GridFile()
    left_out: list[str] = []
    chosen = {name: value for name, value in given.items() if value not in (None, [])}
    if config:
        _check_purpose(config, file, chosen)
    configs = grid.configs(chosen, file if config else None, left_out)
    for line in left_out:
        warn(line)
    if part:
        whole, configs = configs, part.of(configs)
        warn(f"Shard {part.number} of {part.count}: {len(configs)} of the grid's {len(whole)} trials.")
    return ReadGrid(configs, Path(results or file.grid.get("results") or DEFAULT_RESULTS), file.grid)


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


def finish(configs: Sequence[TrialConfig], folder: Path, how: How) -> None:
    """Show the plan, or run the trials and print their rows; exit with 1 if one failed.

    Args:
        configs: none for a shard of a grid that has fewer trials than shards.
    """
    if not configs:
        return
    if how.dry_run:
        show_plan(configs, folder, how)
        return
    records = start(configs, folder, how)
    print_tables(records, folder)
    if any(record.status not in ("ok", "skipped") for record in records):
        raise typer.Exit(1)


def _note_unused_weights(configs: Sequence[TrialConfig], wanted: str) -> None:
    """Say which architectures start from scratch although weights are asked for."""
    trained = [config for config in configs if config.measure == "all" and not config.init_from]
    names = dict.fromkeys(config.arch for config in trained if not config.backbone)
    if names and wanted != "none":
        has, start = ("has", "it starts") if len(names) == 1 else ("have", "they start")
        warn(f"{', '.join(names)} {has} no backbone: {start} from scratch; --weights is not used.")


def _note_sharing(configs: Sequence[TrialConfig], at_once: int) -> None:
    """Say that a budget of time buys less training where trials share a machine."""
    timed = any(config.budget.unit == "seconds" and config.measure == "all" for config in configs)
    if at_once > 1 and timed:
        warn(
            f"{at_once} trials at once share this machine. Under a budget of time each takes fewer steps than alone: "
            "its quality changes, not only its speed. A budget of steps, epochs or samples doesn't depend on that."
        )


def show_plan(configs: Sequence[TrialConfig], folder: Path, how: How) -> None:
    """Print the planned trials in the order of the run, and how long they would take."""
    from bench.results.loading import load
    from bench.results.marker import check_writable
    from bench.results.trial_files import MARKER
    from bench.trials import estimate

    check_writable(folder)
    trials = load([folder]).trials if (folder / MARKER).is_file() else []
    device = how.slots[0].device
    again = {"force": how.force, "rerun_stale": how.rerun_stale}
    estimates = estimate.estimates(configs, trials, sizes=how.sizes, device=device, **again)
    console = output()
    console.print(estimate.table(estimates))
    console.print(estimate.summary(estimates, len(how.slots)), highlight=False)


def check_data(configs: Sequence[TrialConfig]) -> "tuple[list[str], Sizes]":
    """Open each data set but download none; return a line per download, and the sizes of those that are here.

    Raises:
        BenchError: a folder can't be used, or a data set's validations lack the score of a target.
    """
    from bench.config import catalog
    from bench.data import kaggle_download
    from bench.results.analysis.target import check_target
    from bench.trials.forecasts.evaluation_cost import DataSize, data_name

    downloads = []
    seen = []
    sizes = {}
    for config in configs:
        check_target(config)
        data = data_name(config)
        if data in seen or config.measure == "speed":
            continue
        seen.append(data)
        spec, data_dir = catalog.find_dataset(config.dataset, config.data_dir)
        if data_dir is None and spec.needs_data_dir and spec.archives:
            size = sum(size for _, size, _ in spec.archives) / 2**20
            downloads.append(
                f"{spec.name}: its archives ({size:.0f} MiB) will be downloaded unless they are in the cache."
            )
        elif data_dir is None and spec.kaggle and not kaggle_download.is_here(spec, spec.kaggle):
            size = spec.kaggle.size / 2**30
            downloads.append(f"{spec.name}: {size:.1f} GiB will be downloaded from Kaggle.")
        else:
            source = opened(output(), spec, data_dir, config.dataset_params)
            sizes[data] = DataSize(Counter(str(sample.split) for sample in source.samples), len(source.spec.classes))
    return downloads, sizes


def start(configs: Sequence[TrialConfig], folder: Path, how: How) -> "list[TrialRecord]":
    """Run the trials with a live view and return all their records."""
    from bench.commands.live import view
    from bench.trials import runner

    again = {"force": how.force, "rerun_stale": how.rerun_stale}
    with view(output(), len(how.slots)) as observer:
        return runner.run(configs, results=folder, observer=observer, slots=how.slots, **again)


def print_tables(records: "Sequence[TrialRecord]", folder: Path) -> None:
    """Print the rows of these trials only; `bench report` has the whole folder."""
    from bench.report.leaderboard import groups
    from bench.report.speed_tables import speed_boards
    from bench.report.text.fit_tables import fit_boards
    from bench.report.text.tables import terminal_table
    from bench.results.dataframe import trials_frame
    from bench.results.loading import StoredTrial
    from bench.results.store import ResultsFolder

    console, store = output(), ResultsFolder(folder)
    trials = [StoredTrial(record, store.folder(_identity(record))) for record in records]
    frame = trials_frame(trials)
    for group in groups(frame):
        console.print(terminal_table(group))
    for board in speed_boards(frame):
        console.print(board.terminal_table())
    for fits in fit_boards(frame, {str(trial.folder): trial for trial in trials}):
        console.print(fits.for_terminal(), highlight=False)
    say(console, f"Records: {folder}. The report: bench report {folder}")


def _identity(record: "TrialRecord") -> str:
    from bench.trials.identity import trial_identity

    return trial_identity(TrialConfig.from_dict(record.config), record.key, record.device)
