"""`bench robustness`: score the saved weights of runs on corrupted test images."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.shared import (
    DEFAULT_RESULTS,
    MovedData,
    OtherBackend,
    ResultsOfRun,
    RunsPlugin,
    counting,
    output,
    trained,
    warn,
)
from bench.core.errors import BenchError

if TYPE_CHECKING:
    from bench.core.trial_config import TrialConfig
    from bench.evaluation.corruptions.corruption_table import Condition
    from bench.results.loading import StoredTrial


def robustness(
    runs: Annotated[
        list[str], typer.Argument(help="Runs with saved weights: ids, or folders' paths.", show_default=False)
    ],
    kinds: Annotated[
        str | None,
        typer.Option(help="The kinds of corruption, such as blur,noise,rotation. Default: all.", show_default=False),
    ] = None,
    severities: Annotated[
        str | None, typer.Option(help="The severities, 1 to 5, such as 1,3,5. Default: all.", show_default=False)
    ] = None,
    test_limit: Annotated[
        int | None,
        typer.Option(
            help="The most test images, a fixed sample. Default: all that the run was tested on.", show_default=False
        ),
    ] = None,
    data_dir: MovedData = None,
    results: ResultsOfRun = DEFAULT_RESULTS,
    plugin: RunsPlugin = None,
    backend: OtherBackend = None,
) -> None:
    """Score the saved weights of finished runs on corrupted test images; nothing is trained, the records stay.

    bench robustness unet_pets_s0 deeplab_pets_s0 --test-limit 200

    Each kind and severity is stored when it is known: the same command goes on with what is missing.
    """
    from bench.evaluation.corruptions.corruption_table import conditions

    wanted = conditions(_names(kinds), _levels(severities))
    if test_limit is not None and test_limit < 1:
        raise BenchError(f"--test-limit is {test_limit}. Accepted: 1 or more images.")
    found = {}
    for run in runs:
        trial, config = trained(run, results, plugin, backend)
        found[trial.folder] = trial, _with_data(config, data_dir)
    fit = {folder: _defined(trial, wanted, named=kinds is not None) for folder, (trial, _) in found.items()}
    failed = [trial for trial, config in found.values() if not _score(trial, config, fit[trial.folder], test_limit)]
    scored = [trial for trial, _ in found.values() if trial not in failed]
    _show(scored, [one for one in wanted if all(one in fit[trial.folder] for trial in scored)])
    if failed:
        raise typer.Exit(1)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _levels(text: str | None) -> list[int] | None:
    names = _names(text)
    if names is not None and (odd := [name for name in names if not name.isdecimal()]):
        raise BenchError(f"--severities has '{odd[0]}'. Accepted: whole numbers from 1 to 5, such as 1,3,5.")
    return None if names is None else [int(name) for name in names]


def _with_data(config: "TrialConfig", data_dir: str | None) -> "TrialConfig":
    from bench.trials.saved.stored_trials import on_data, paths_of_record

    config = on_data(config, data_dir=data_dir)
    for line in paths_of_record(config, own_data=data_dir is not None):
        warn(line)
    return config


def _defined(trial: "StoredTrial", wanted: "Sequence[Condition]", *, named: bool) -> "list[Condition]":
    """Return the conditions that are defined for a run's images; warn of those that aren't."""
    from bench.core.errors import first_few
    from bench.trials.saved.robustness_plan import defined_for

    found = defined_for(trial, wanted)
    if left := list(dict.fromkeys(one.kind for one in wanted if one not in found)):
        what = f"{trial.folder.name}: {first_few(left)} is defined for 8-bit RGB alone, and its images are others"
        if named:
            raise BenchError(f"{what}. Leave it out of --kinds.")
        warn(f"{what}, so it is left out.")
    return found


def _score(trial: "StoredTrial", config: "TrialConfig", wanted: "Sequence[Condition]", test_limit: int | None) -> bool:
    """Score one run; warn and return False if it can't be scored, so that the others are."""
    from bench.trials.saved.robustness_plan import score_corrupted

    console = output()
    try:
        with counting(console, f"{trial.folder.name} on {config.backend}") as progress:
            score_corrupted(trial, config, wanted, test_limit, progress)
    except BenchError as error:
        warn(f"{trial.folder.name}: {error}")
        return False
    return True


def _show(trials: "Sequence[StoredTrial]", wanted: "Sequence[Condition]") -> None:
    from bench.report.findings.corruption_board import corruption_board
    from bench.report.leaderboard import groups
    from bench.results.dataframe import trials_frame

    if not trials:
        return
    console, problems = output(), list[str]()
    by_folder = {str(trial.folder): trial for trial in trials}
    for group in groups(trials_frame(list(trials))):
        if board := corruption_board(group, by_folder, problems, wanted=wanted):
            console.print(board.for_terminal(), highlight=False)
    for problem in problems:
        warn(problem)
    console.print("`bench report` shows the tables and the worst images as pictures.", highlight=False)
