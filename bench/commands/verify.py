"""`bench verify`: run a configuration again and check that the result agrees with its other seeds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.grid_run import How, start
from bench.commands.shared import DEFAULT_RESULTS, MovedData, ResultsOfRun, RunsPlugin, output, warn
from bench.core.errors import BenchError
from bench.core.untrusted.plain_files import check_inside

if TYPE_CHECKING:
    from bench.core.specs import TrialRecord
    from bench.core.trial_config import TrialConfig
    from bench.results.analysis.configurations import Configuration
    from bench.results.analysis.prediction_interval import Verdict
    from bench.results.loading import StoredTrial

FOLDER = "verify"  # a results folder inside the results folder, whose own trials stay as they are


def verify(
    run: Annotated[
        str,
        typer.Argument(help="A run: its id, the beginning of its id, or its folder's path.", show_default=False),
    ],
    results: ResultsOfRun = DEFAULT_RESULTS,
    seed: Annotated[
        int | None,
        typer.Option(help="The seed of the new run. Default: the first that the configuration has not used.", min=0),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help=f"The folder for the new run. Default: RESULTS/{FOLDER}.", show_default=False)
    ] = None,
    data_dir: MovedData = None,
    plugin: RunsPlugin = None,
    force: Annotated[bool, typer.Option("--force", help="Run it again even if this seed was verified before.")] = False,
) -> None:
    """Run a configuration again and say whether the result is inside the prediction interval of its other seeds.

    bench verify unet_pets_s0

    Exit code 1: a score is outside the interval; 2: the new run is not ok.
    """
    from bench.results.analysis.prediction_interval import ENOUGH, verdicts
    from bench.results.find import find_run
    from bench.trials.saved.stored_trials import changed_code, paths_of_record, start_from
    from bench.trials.scheduling.slots import local_slots

    trial = find_run(run, results)
    known = _known(trial)
    seeds = [int(seed) for seed in known.good_seeds]
    if len(seeds) < ENOUGH:
        warn(f"{len(seeds)} seeds give a wide interval, in which a real change may go unnoticed. Use {ENOUGH} or more.")
    config = again(trial, seeds, seed=seed, data_dir=data_dir, plugin=plugin)
    if "source" in trial.record.weights and (note := changed_code(trial, config)):
        warn(note)
    for line in paths_of_record(config, own_data=bool(data_dir)):
        warn(line)
    folder = out or trial.folder.parents[1] / FOLDER
    if not out:
        check_inside(trial.folder.parents[1], folder, "give another folder with --out.")
    how = How(local_slots(configs=[config]), force=force)
    records = start([start_from(config, folder)], folder, how)
    if not records or records[0].status != "ok":
        reason = records[0].reason if records else "another runner is working on it"
        raise BenchError(f"The new run is not ok: {reason}")
    record = records[0]
    new = _pooled(folder, record, alone=True)
    if record.configuration != trial.record.configuration:
        warn("The data, the plug-in or the weights file have changed since the run, so expect a different result.")
    found = list(verdicts(known, new))
    _show(found, known, new, config.seed)
    if not all(verdict.is_inside for verdict in found if _decides(verdict)):
        raise typer.Exit(1)


def again(
    trial: "StoredTrial", seeds: Sequence[int], *, seed: int | None, data_dir: str | None, plugin: Path | None
) -> "TrialConfig":
    """Return the trial's configuration with the given seed, or with the first that is not among `seeds`."""
    from bench.config import catalog
    from bench.core.trial_config import TrialConfig
    from bench.trials.saved.stored_trials import named_plugin

    config = _as_then(TrialConfig.from_dict(trial.record.config), trial.record)
    chosen = seed if seed is not None else next(n for n in range(len(seeds) + 1) if n not in seeds)
    data = str(data_dir) if data_dir else config.data_dir
    code = named_plugin(config, plugin)
    return catalog.resolve_config(
        replace(config, seed=chosen, repeat=0, keep_weights="none", keep_predictions=False, data_dir=data, plugin=code)
    )


def _as_then(config: "TrialConfig", record: "TrialRecord") -> "TrialConfig":
    """Return the configuration; of a record from before --val-limit, whose validations were whole, without a limit."""
    beyond = record.dataset["images"].get("val", 0) > (config.val_limit or 0)
    return replace(config, val_limit=None) if "val_limit" not in record.config and beyond else config


def _known(trial: "StoredTrial") -> "Configuration":
    """Return the trial's configuration with all its seeds; raise BenchError if they are too few for an interval."""
    from bench.results.analysis.prediction_interval import ENOUGH, FEWEST

    if trial.record.status != "ok":
        raise BenchError(
            f"The run '{trial.folder.name}' has the status {trial.record.status}: there is nothing to verify."
        )
    if not trial.record.metrics:
        raise BenchError(f"The run '{trial.folder.name}' is speed-only: it has no scores to verify.")
    member = _pooled(trial.folder.parents[1], trial.record)
    if member.seeds < FEWEST:
        raise BenchError(
            f"The configuration of '{trial.folder.name}' has only {member.seeds} ok seed, and a prediction interval "
            f"needs at least {FEWEST}. Run it with --seeds {ENOUGH} first."
        )
    return member


def _pooled(results: Path, record: "TrialRecord", *, alone: bool = False) -> "Configuration":
    """Return the trial's configuration on its device, with all its trials or with that one alone."""
    from bench.results.analysis.configurations import pool
    from bench.results.dataframe import load_results

    frame = load_results(results)
    frame = frame[frame["device"] == record.device]
    members = pool(frame[frame["key"] == record.key] if alone else frame)
    return next(member for member in members if record.key in set(member.ok["key"]))


def _decides(verdict: "Verdict") -> bool:
    from bench.results.quantities import METRICS

    return verdict.column in METRICS


def _show(found: "Sequence[Verdict]", known: "Configuration", new: "Configuration", seed: int) -> None:
    from rich.text import Text

    from bench.report.text.terminal import plain_table
    from bench.results.analysis.comparing import differences

    console = output()
    table = plain_table(f"Seed {seed} against {known.seeds} seeds")
    table.add_column()
    for heading in ("new", "mean", "95 % prediction interval"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for verdict in found:
        expected, form = verdict.expected, ".4f" if _decides(verdict) else ",.1f"
        span = f"{expected.low:{form}} to {expected.high:{form}}"
        word = "as expected" if verdict.is_inside else "outside" if _decides(verdict) else "outside (speed never fails)"
        cells = (verdict.column.replace("_", " "), f"{verdict.value:{form}}", f"{expected.mean:{form}}", span, word)
        table.add_row(*map(Text, cells))
    console.print(table)
    if all(verdict.is_inside for verdict in found):
        return
    causes = plain_table("What differs, likely causes first")
    for heading in ("differs in", "", "before", "now"):
        causes.add_column(heading)
    for one in differences(known, new):
        if one.name not in ("seed", "keep_weights", "keep_predictions", "data_dir"):
            causes.add_row(*(Text(part) for part in (one.kind, one.name.replace("_", " "), one.one, one.other)))
    console.print(causes if causes.row_count else "No recorded setting differs.")
    console.print(
        "One new seed in 20 is outside by chance alone: verify with another --seed before you look for causes."
    )
