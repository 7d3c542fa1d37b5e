"""A grid's way to its table: show its plan or run it, print its rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bench.commands.grid_tuning import tuned, with_tuning
from bench.commands.shared import output, say, warn
from bench.core.trial_config import TrialConfig

if TYPE_CHECKING:
    from bench.core.specs import TrialRecord
    from bench.results.loading import StoredTrial
    from bench.trials.cluster.workers import Workers
    from bench.trials.forecasts.evaluation_cost import Sizes
    from bench.trials.scheduling.slots import Slot
    from bench.trials.scheduling.until_decided import Rule


@dataclass(frozen=True)
class How:
    """The way in which a command runs its grid, as its options say."""

    slots: "Sequence[Slot]"
    dry_run: bool = False
    force: bool = False
    rerun_stale: bool = False
    sizes: "Sizes | None" = None  # of the data sets, where they are known
    rule: "Rule | None" = None  # when seeds are added; None: never
    workers: "Workers | None" = None  # of a cluster, which have the slots
    each_device: bool = False  # run each trial on each type of device
    trackers: Sequence[str] = ()  # that show the trials while they run


def finish(configs: Sequence[TrialConfig], folder: Path, how: How) -> None:
    """Show the plan, or run the trials and print their rows; exit with 1 if one failed.

    Args:
        configs: none for a shard of a grid that has fewer trials than shards.
    """
    if not configs:
        return
    _note_changed_code(configs, folder, how)
    if how.dry_run:
        show_plan(configs, folder, how)
        return
    _check_keeping(configs, folder, how)
    _note_trackers(folder, how)
    chosen = tuned(configs, partial(start_each, folder=folder, how=how))
    if not chosen:
        raise typer.Exit(1)
    records = _start_until_decided(chosen, folder, how, how.rule) if how.rule else start(chosen, folder, how)
    print_tables(records, folder)
    if len(chosen) < len(configs) or any(record.status not in ("ok", "skipped") for record in records):
        raise typer.Exit(1)


def _note_changed_code(configs: Sequence[TrialConfig], folder: Path, how: How) -> None:
    """Say which finished trials run again because their plug-in has changed."""
    from bench.results.loading import load
    from bench.results.marker import why_unreadable
    from bench.trials.forecasts.changed_plugins import changed_plugins

    if any(config.plugin for config in configs) and not why_unreadable(folder):
        records = [trial.record for trial in load([folder]).trials]
        for line in changed_plugins(configs, records, how.sizes or {}):
            warn(line)


def _note_trackers(folder: Path, how: How) -> None:
    """Say where each tracker writes; raise BenchError if one is to send its runs and can't."""
    from bench.trials.tracking.tracker import places

    for line in places(how.trackers, folder):
        say(output(), line)


def show_plan(configs: Sequence[TrialConfig], folder: Path, how: How) -> None:
    """Print the planned trials in the order of the run, and how long they would take."""
    from bench.results.loading import load
    from bench.results.marker import check_writable
    from bench.results.trial_files import MARKER
    from bench.trials import estimate
    from bench.trials.preflight import check_weights_files
    from bench.trials.rescoring.keeping_room import keeping_lines

    check_writable(folder)
    check_weights_files(configs)
    trials = load([folder]).trials if (folder / MARKER).is_file() else []
    devices = list(dict.fromkeys(slot.device for slot in how.slots))
    again = {"force": how.force, "rerun_stale": how.rerun_stale}
    configs, lines = with_tuning(configs, trials, how.sizes or {}, devices)
    estimates = estimate.estimates(configs, trials, sizes=how.sizes, devices=devices, **again)
    console = output()
    for line in lines:
        say(console, line)
    console.print(estimate.table(estimates))
    console.print(estimate.summary(estimates, len(how.slots)), highlight=False)
    for line in keeping_lines(estimates, trials, how.sizes or {}, folder)[0]:
        say(console, line)


def _check_keeping(configs: Sequence[TrialConfig], folder: Path, how: How) -> None:
    """Say how much room the predictions take that are to be kept; raise BenchError if there is too little."""
    from bench.results.loading import load
    from bench.results.trial_files import MARKER
    from bench.trials.estimate import estimates
    from bench.trials.rescoring.keeping_room import keeping_lines, require_room

    if not any(config.keep_predictions for config in configs):
        return
    trials = load([folder]).trials if (folder / MARKER).is_file() else []
    devices = list(dict.fromkeys(slot.device for slot in how.slots))
    again = {"force": how.force, "rerun_stale": how.rerun_stale}
    found = estimates(configs, trials, sizes=how.sizes, devices=devices, **again)
    lines, fits = keeping_lines(found, trials, how.sizes or {}, folder)
    if lines:
        require_room(lines[-1], fits)
    for line in lines:
        warn(line)


def start(configs: Sequence[TrialConfig], folder: Path, how: How) -> "list[TrialRecord]":
    """Run the trials with a live view and return all their records."""
    from bench.trials import runner

    with _runner_options(folder, how) as options:
        return runner.run(configs, **options, each_device=how.each_device)


def start_each(
    configs: Sequence[TrialConfig], searched: Sequence[str], *, folder: Path, how: How
) -> "list[TrialRecord | None]":
    """Do as `start`, on one type of device, and return a record for each configuration; None if it runs elsewhere.

    Args:
        searched: the fields whose values name the tuning trials.
    """
    from bench.trials import runner

    with _runner_options(folder, how, searched) as options:
        return runner.run_each(configs, **options)


@contextmanager
def _runner_options(folder: Path, how: How, searched: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield the options of the runner; its live view is drawn inside the context."""
    from bench.commands.live import view
    from bench.commands.plain_lines import name_of
    from bench.trials.tracking.tracked import tracked

    again = {"force": how.force, "rerun_stale": how.rerun_stale}
    with (
        view(output(), len(how.slots), searched) as shown,
        tracked(shown, how.trackers, folder, name_of) as observer,
    ):
        yield {"results": folder, "observer": observer, "slots": how.slots, "workers": how.workers, **again}


def _start_until_decided(configs: Sequence[TrialConfig], folder: Path, how: How, rule: "Rule") -> "list[TrialRecord]":
    from bench.results.dataframe import trials_frame
    from bench.trials.scheduling.until_decided import train_until_decided

    def train(some: Sequence[TrialConfig]) -> "list[TrialRecord]":
        return start(some, folder, how)

    return train_until_decided(configs, rule, train, lambda records: trials_frame(_stored(records, folder)))


def print_tables(records: "Sequence[TrialRecord]", folder: Path) -> None:
    """Print the rows of these trials only; `bench report` has the whole folder."""
    from bench.report.leaderboard import groups
    from bench.report.speed_tables import speed_boards
    from bench.report.text.fit_tables import fit_boards
    from bench.report.text.tables import terminal_table
    from bench.results.dataframe import trials_frame

    console, trials = output(), _stored(records, folder)
    frame = trials_frame(trials)
    for group in groups(frame):
        console.print(terminal_table(group))
    for board in speed_boards(frame):
        console.print(board.terminal_table())
    for fits in fit_boards(frame, {str(trial.folder): trial for trial in trials}):
        console.print(fits.for_terminal(), highlight=False)
    say(console, f"Records: {folder}. The report: bench report {folder}")


def _stored(records: "Sequence[TrialRecord]", folder: Path) -> "list[StoredTrial]":
    from bench.results.loading import StoredTrial
    from bench.results.store import ResultsFolder

    store = ResultsFolder(folder)
    return [StoredTrial(record, store.folder(_identity(record))) for record in records]


def _identity(record: "TrialRecord") -> str:
    from bench.trials.identity import trial_identity

    return trial_identity(TrialConfig.from_dict(record.config), record.key, record.device)
