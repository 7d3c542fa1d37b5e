"""`bench predict`: apply a trained model to images of any size."""

import itertools
from pathlib import Path
from typing import Annotated

import typer

from bench.commands.shared import (
    DEFAULT_RESULTS,
    Augmentation,
    OtherBackend,
    ResultsOfRun,
    RunsPlugin,
    SavedRun,
    check_augmentation,
    counting,
    output,
    say,
    trained,
    warn,
)


def predict(
    run: SavedRun,
    images: Annotated[
        list[str], typer.Argument(help="Images, folders of images, or patterns in quotes.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The folder for masks/, overlays/ and probabilities/.", show_default=False)],
    results: ResultsOfRun = DEFAULT_RESULTS,
    probabilities: Annotated[
        str | None,
        typer.Option(
            help="Also write the probabilities: as npz (float32), or as png (16 bits, one file per class).",
            show_default=False,
        ),
    ] = None,
    overlays: Annotated[bool, typer.Option(help="Write images with the classes drawn over them.")] = True,
    submission: Annotated[
        Path | None,
        typer.Option(
            help="Also write Kaggle's CSV to this file, for runs on a competition's data.", show_default=False
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Probability above which a pixel is class 1, for data sets with two classes. "
            "Default: as tuned on validation, or 0.5.",
            show_default=False,
        ),
    ] = None,
    min_area: Annotated[
        int | None,
        typer.Option(help="Drop objects with fewer pixels. Default: as tuned on validation, or 0.", show_default=False),
    ] = None,
    tta: Augmentation = None,
    plugin: RunsPlugin = None,
    backend: OtherBackend = None,
) -> None:
    """Predict masks of your images, at their own size, with the model of a finished run.

    bench predict unet_pets_s0 photographs/ --out predicted
    """
    from bench.config import catalog
    from bench.config.checks import require_choice
    from bench.evaluation.pictures import PROBABILITY_FORMS
    from bench.evaluation.submission import check_names, format_of
    from bench.evaluation.thresholds import operating_point
    from bench.trials.saved.prediction_images import InputImage, find_images
    from bench.trials.saved.stored_trials import choose_backend

    if probabilities:
        require_choice("format of --probabilities", probabilities, PROBABILITY_FORMS)
    trial, config = trained(run, results, plugin, backend)
    check_augmentation(tta, config)
    form = format_of(catalog.dataset(config)) if submission else None
    point = operating_point(trial.record, threshold, min_area)
    found = find_images(images)
    if form:
        check_names([image.path.name for image in found])
    choose_backend(config.backend)
    from bench.trials.saved.predict_run import Outputs
    from bench.trials.saved.predict_run import predict as write

    outputs = Outputs(out, overlays, probabilities, (submission, form) if submission and form else None)
    problems: list[str] = []
    console = output()
    with counting(console, f"{config.pair} on {config.backend}") as progress:
        finished = itertools.count(1)

        def done(image: InputImage, problem: str | None) -> None:
            progress(next(finished), len(found))
            if problem:
                problems.append(problem)
                warn(problem)

        write(trial, config, found, outputs, point, tta=tta, done=done)
    if len(problems) == len(found):
        warn("No image could be read, so none is predicted.")
        raise typer.Exit(1)
    written = f"{len(found) - len(problems)} of {len(found)} images in {out}"
    if len(trial.record.dataset["classes"]) == 2:
        written += f"; {point}"
    say(console, written)
    if submission:
        say(console, f"Submission: {submission}")
    if problems:
        raise typer.Exit(1)
