"""`bench verify`: run a configuration again and check that the result agrees with its other seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.grid_run import How, start
from bench.commands.shared import DEFAULT_RESULTS, MovedData, ResultsOfRun, RunsPlugin, warn
from bench.commands.verify_forms import decides, show_verdicts
from bench.core.errors import BenchError
from bench.core.untrusted.plain_files import check_inside

if TYPE_CHECKING:
    from bench.core.specs import TrialRecord
    from bench.core.trial_config import TrialConfig
    from bench.results.analysis.configurations import Configuration
    from bench.results.analysis.prediction_interval import Verdict
    from bench.results.loading import StoredTrial
    from bench.results.verified.kept_verdicts import KeptVerdict

FOLDER = "verify"  # a results folder inside the results folder, whose own trials stay as they are


def verify(
    run: Annotated[
        str | None,
        typer.Argument(help="A run: its id, the beginning of its id, or its folder's path.", show_default=False),
    ] = None,
    results: ResultsOfRun = DEFAULT_RESULTS,
    seed: Annotated[
        int | None,
        typer.Option(help="The seed of the new run. Default: the first that neither was used nor verified.", min=0),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help=f"The folder for the new run. Default: RESULTS/{FOLDER}.", show_default=False)
    ] = None,
    data_dir: MovedData = None,
    plugin: RunsPlugin = None,
    force: Annotated[bool, typer.Option("--force", help="Run it again even if this seed was verified before.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Verify the ranked rows of all tables, the best first.")] = False,
    top: Annotated[
        int | None, typer.Option(help="With --all: only so many rows of each table.", min=1, show_default=False)
    ] = None,
) -> None:
    """Run a configuration again and say whether the result is inside the prediction interval of its other seeds.

    The verdict is kept beside the record, and reports count it.

    bench verify unet_pets_s0

    bench verify --all --top 5

    Exit code 1: a score is outside the interval; 2: a new run is not ok.
    """
    from bench.results.find import find_run

    if every == bool(run) or (top and not every):
        raise BenchError("Name a run, or give --all, with --top N for the best N rows of each table.")
    ask = Ask(seed, out, data_dir, plugin, force)
    inside = _verified(find_run(run, results), ask) if run else _all_verified(results, top, ask)
    if not inside:
        raise typer.Exit(1)


@dataclass(frozen=True)
class Ask:
    """The options for a new run."""

    seed: int | None
    out: Path | None
    data_dir: str | None
    plugin: Path | None
    force: bool


def _all_verified(results: Path, top: int | None, ask: Ask) -> bool:
    """Verify rows one by one; return whether all scores agree. A row that can't be verified is named and passed."""
    from bench.report.leaderboard import groups
    from bench.results.dataframe import load_results
    from bench.results.find import find_run

    rows = [row for group in groups(load_results(results)) for row in group.ranked[:top]]
    if not rows:
        raise BenchError(f"'{results}' has no ranked row to verify.")
    inside, problems = True, []
    for number, row in enumerate(rows, start=1):
        warn(f"{number} of {len(rows)}: {row.label}")
        try:
            inside &= _verified(find_run(str(row.configuration.ok["folder"].iloc[0]), results), ask)
        except BenchError as error:
            warn(str(error))
            problems.append(row.label)
    if problems:
        raise BenchError(f"Not verified: {len(problems)} of {len(rows)} rows ({'; '.join(problems[:5])}).")
    return inside


def _verified(trial: "StoredTrial", ask: Ask) -> bool:
    """Verify a run, keep the verdict beside its record and show it; return whether all scores agree."""
    from bench.results.analysis.prediction_interval import ENOUGH, verdicts
    from bench.results.verified.kept_verdicts import keep_verdict, kept_verdicts
    from bench.trials.saved.stored_trials import changed_code, paths_of_record, start_from
    from bench.trials.scheduling.slots import local_slots

    known = _known(trial)
    seeds = [int(seed) for seed in known.good_seeds]
    if len(seeds) < ENOUGH:
        warn(f"{len(seeds)} seeds give a wide interval, in which a real change may go unnoticed. Use {ENOUGH} or more.")
    done = [] if ask.force else [one.seed for one in kept_verdicts(trial.folder)]
    config = again(trial, [*seeds, *done], seed=ask.seed, data_dir=ask.data_dir, plugin=ask.plugin)
    if "source" in trial.record.weights and (note := changed_code(trial, config)):
        warn(note)
    for line in paths_of_record(config, own_data=bool(ask.data_dir)):
        warn(line)
    folder = ask.out or trial.folder.parents[1] / FOLDER
    if not ask.out:
        check_inside(trial.folder.parents[1], folder, "give another folder with --out.")
    how = How(local_slots(configs=[config]), force=ask.force)
    records = start([start_from(config, folder)], folder, how)
    if not records or records[0].status != "ok":
        reason = records[0].reason if records else "another runner is working on it"
        raise BenchError(f"The new run is not ok: {reason}")
    record = records[0]
    new = _pooled(folder, record, alone=True)
    if record.configuration != trial.record.configuration:
        warn("The data, the plug-in or the weights file have changed since the run, so expect a different result.")
    found = list(verdicts(known, new))
    for verdict in filter(decides, found):
        keep_verdict(trial.folder, _kept(verdict, trial.record, record))
    show_verdicts(found, known, new, config.seed, other_code=_has_other_code(trial.record, record))
    return all(verdict.is_inside for verdict in found if decides(verdict))


def _has_other_code(verified: "TrialRecord", new: "TrialRecord") -> bool:
    """Tell whether the records name two commits of segbench; one without a repository names none."""
    then, now = (record.environment.get("commit") for record in (verified, new))
    return bool(then and now and then != now)


def _kept(verdict: "Verdict", verified: "TrialRecord", new: "TrialRecord") -> "KeptVerdict":
    from bench.results.verified.kept_verdicts import KeptVerdict, machine_of

    expected = verdict.expected
    return KeptVerdict(
        metric=verdict.column,
        value=verdict.value,
        mean=expected.mean,
        low=expected.low,
        high=expected.high,
        seed=int(new.config["seed"]),
        machine=machine_of(new),
        finished=new.finished,
        verified=verified.finished,
        same=new.configuration == verified.configuration,
    )


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
    """Return the trial's configuration on its device, with all its trials of the same fold or with that one alone."""
    from bench.results.analysis.configurations import pool
    from bench.results.dataframe import load_results

    frame = load_results(results)
    frame = frame[(frame["device"] == record.device) & (frame["fold"] == record.config.get("fold", 0))]
    members = pool(frame[frame["key"] == record.key] if alone else frame)
    return next(member for member in members if record.key in set(member.ok["key"]))
