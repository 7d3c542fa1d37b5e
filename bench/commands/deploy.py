"""`bench deploy`: measure finished runs where they will run, in Keras and in every exported form."""

from typing import Annotated

import typer

from bench.commands.export import CalibrationImages
from bench.commands.shared import DEFAULT_RESULTS, ResultsOfRun, RunsPlugin, output, say, trained, warn
from bench.core.errors import BenchError


def deploy(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Runs with saved weights: ids, their beginnings, or paths of their folders.", show_default=False
        ),
    ],
    formats: Annotated[
        str, typer.Option("--format", help="onnx, litert, openvino, saved_model, torch; or all installed.")
    ] = "all",
    precisions: Annotated[str, typer.Option("--precision", help="float32, float16, int8; or all.")] = "float32,int8",
    threads: Annotated[str, typer.Option(help="Numbers of threads, each on as many cores.")] = "1",
    tta: Annotated[
        str | None,
        typer.Option(
            help="Also the mean of probabilities over views of each image: flips (with its mirror image; Keras and "
            "files), scales (three sizes; Keras only), or both with a comma.",
            show_default=False,
        ),
    ] = None,
    calibration_images: CalibrationImages = 100,
    results: ResultsOfRun = DEFAULT_RESULTS,
    plugin: RunsPlugin = None,
) -> None:
    """Score and time finished runs in Keras and as exported files, on this machine's CPU.

    bench deploy unet_pets_s0 deeplab_pets_s0 --format onnx,litert --precision float32,int8 --threads 1,2

    Exit code 1: a variant that exists couldn't be made or measured.
    """
    from bench.deployment.deploy import deploy as measure
    from bench.deployment.processes import check_threads
    from bench.deployment.variants import read_variants, read_views
    from bench.report.findings.deployment_tables import deployment_boards
    from bench.results.deployed.deployment_rows import deployment, store_deployments

    variants, left_out = read_variants(formats, precisions)
    counts, views = _threads(threads), read_views(tta)
    check_threads(counts)
    chosen = [trained(run, results, plugin, None) for run in dict.fromkeys(runs)]
    for line in left_out:
        warn(line)
    console, failed = output(), False
    for trial, config in chosen:
        with console.status(config.pair) as status:
            for row in measure(
                trial,
                config,
                variants,
                counts,
                views=views,
                calibration=calibration_images,
                doing=lambda what, pair=config.pair: status.update(f"{pair}: {what}"),  # type: ignore[misc]
            ):
                file = store_deployments(trial.folder, [deployment(row)])
                failed |= "failed" in row
        say(console, f"Written: {file}")
    for board in deployment_boards(trial for trial, _ in chosen):
        console.print(board.terminal_table())
    if failed:
        raise typer.Exit(1)


def _threads(text: str) -> list[int]:
    try:
        return list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise BenchError(f"--threads is '{text}'. Accepted: whole numbers with commas between, such as 1,2.") from error
