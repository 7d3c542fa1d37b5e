"""`bench predict`: a trained model on pictures of any size."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.commands.run import DEFAULT_RESULTS
from bench.commands.shared import output, warn


def predict(
    run: Annotated[
        str,
        typer.Argument(help="Id of a run with saved weights, how it begins, or its folder's path.", show_default=False),
    ],
    images: Annotated[
        list[str], typer.Argument(help="Pictures, folders of them, or quoted patterns.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Where masks/, overlays/ and probabilities/ go.", show_default=False)],
    results: Annotated[Path, typer.Option(help="The results folder that has the run.")] = DEFAULT_RESULTS,
    probabilities: Annotated[
        str | None,
        typer.Option(help="Write them too: npz (float32), or png (16 bits, a file a class).", show_default=False),
    ] = None,
    overlays: Annotated[bool, typer.Option(help="Draw the classes over the picture.")] = True,
    submission: Annotated[
        Path | None,
        typer.Option(help="Write Kaggle's CSV there, of runs on carvana or airbus.", show_default=False),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Of class 1, for two classes. Default: as tuned on validation, or 0.5.", show_default=False),
    ] = None,
    min_area: Annotated[
        int | None,
        typer.Option(help="Drop objects of fewer pixels. Default: as tuned, or none.", show_default=False),
    ] = None,
    plugin: Annotated[Path | None, typer.Option(help="Where the run's plug-in is now.", show_default=False)] = None,
    backend: Annotated[str | None, typer.Option(help="Default: the run's.", show_default=False)] = None,
) -> None:
    """Write the masks of pictures, at their own size, by the model of a finished run.

    bench predict unet_pets_s0 photographs/ --out predicted
    """
    from bench.config.checks import one_of
    from bench.evaluation.pictures import PROBABILITIES
    from bench.evaluation.submission import check_names, format_of
    from bench.evaluation.thresholds import decide
    from bench.trials.saved.predict_run import Picture, find_pictures
    from bench.trials.saved.stored_trials import changed_code, choose_backend, find_trained, trained_config

    if probabilities:
        one_of("form of probabilities", probabilities, PROBABILITIES)
    trial = find_trained(run, results)
    config = trained_config(trial, plugin=plugin, backend=backend)
    if note := changed_code(trial, config):
        warn(note)
    form = format_of(config.dataset) if submission else None
    decision = decide(trial.record, threshold, min_area)
    pictures = find_pictures(images)
    if form:
        check_names([picture.path.name for picture in pictures])
    choose_backend(config.backend)
    from bench.trials.saved.predict_run import Wanted
    from bench.trials.saved.predict_run import predict as write

    wanted = Wanted(out, overlays, probabilities, (submission, form) if submission and form else None)
    problems: list[str] = []
    console = output()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{config.pair} on {config.backend}", total=len(pictures))

        def done(picture: Picture, problem: str | None) -> None:
            bar.advance(task)
            if problem:
                problems.append(problem)
                warn(problem)

        write(trial, config, pictures, wanted, decision, done=done)
    written = f"{len(pictures) - len(problems)} of {len(pictures)} pictures in {out}"
    if len(trial.record.dataset["classes"]) == 2:
        written += f"; {decision}"
    console.print(written, highlight=False, soft_wrap=True)
    if submission:
        console.print(f"Submission: {submission}", highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)
