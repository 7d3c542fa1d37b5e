"""`bench rescore`: compute every metric from kept predictions, without the model."""

from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.shared import DEFAULT_RESULTS, MovedData, ResultsOfRun, RunsPlugin, number, output, say, warn
from bench.core.errors import BenchError, first_few, first_lines
from bench.results.clean_text import clean

if TYPE_CHECKING:
    from bench.trials.rescoring.rescore_run import Rescored

_MOST_NAMED = 8  # metrics in a line


def rescore(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Runs with kept predictions: ids, beginnings of ids, or folders.", show_default=False
        ),
    ],
    results: ResultsOfRun = DEFAULT_RESULTS,
    data_dir: MovedData = None,
    plugin: RunsPlugin = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Score the masks of class 1 at this threshold: 0.05, 0.10, ..., 0.95. Default: the tuned one.",
            show_default=False,
        ),
    ] = None,
    min_area: Annotated[
        int | None,
        typer.Option(help="Drop smaller objects of class 1, in pixels. Default: the tuned value.", show_default=False),
    ] = None,
) -> None:
    """Compute every metric again from the predictions that --keep-predictions kept, without the model.

    Check that each value equals the stored one, and write all of them, new metrics included, to a file beside the
    record. Exit code 1: a value differs.

    bench rescore unet_pets_s0
    """
    from bench.core.trial_config import TrialConfig
    from bench.results.find import find_run
    from bench.trials.rescoring.kept_scores import kept_scores
    from bench.trials.rescoring.rescore_run import rescore
    from bench.trials.saved.stored_trials import named_plugin

    differ = False
    for run in runs:
        trial = find_run(run, results)
        if trial.record.status != "ok":
            raise BenchError(
                f"The run '{trial.folder.name}' has no predictions: it has the status {trial.record.status}."
            )
        config = TrialConfig.from_dict(trial.record.config)
        own = TrialConfig.from_dict({**trial.record.config, "plugin": named_plugin(config, plugin)})
        own = TrialConfig.from_dict({**own.to_dict(), "weights": "none", "init_from": None})
        for scored in kept_scores(trial):
            with output().status(f"{trial.folder.name}: {scored.predictions.name}"):
                made = rescore(trial, own, scored, data_dir=data_dir, threshold=threshold, min_area=min_area)
            _show(trial.folder.name, made)
            differ = differ or bool(made.differing or made.table_differs)
    if differ:
        raise typer.Exit(1)


def _show(run: str, made: "Rescored") -> None:
    compared = len(made.equal) + len(made.differing)
    say(output(), f"{clean(run)}: {len(made.equal)} of {compared} stored values are equal to the last bit.")
    if made.added:
        named = first_few((f"{name} {number(_value(made, name), '.4f')}" for name in made.added), _MOST_NAMED)
        say(output(), f"Not stored before: {clean(named)}.")
    if made.gone:
        warn(f"Stored, but not computed now: {clean(first_few(made.gone, _MOST_NAMED))}.")
    if "tuned.threshold" in made.added or made.metrics.get("tuned"):
        tuned = made.metrics["tuned"]
        say(
            output(),
            f"At threshold {tuned['threshold']:g}, minimum area {tuned['min_area']}: foreground IoU "
            f"{number(tuned.get('foreground_iou'), '.4f')}, mean IoU {number(tuned.get('mean_iou'), '.4f')}.",
        )
    lines = (f"{name} is {stored} in the stored scores and {now} now." for name, stored, now in made.differing)
    for line in first_lines((clean(line) for line in lines), _MOST_NAMED):
        warn(line)
    if made.table_differs:
        warn(f"The per-image table differs in: {', '.join(sorted(made.table_differs))}.")
    say(output(), f"Written: {made.file}, and beside it the per-image table")


def _value(made: "Rescored", name: str) -> object:
    from bench.core.specs import flat

    return flat(made.metrics)[name]
