"""`bench export`: write a trained model in the forms that devices take."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.shared import DEFAULT_RESULTS, ResultsOfRun, RunsPlugin, SavedRun, cell, output, say, trained, warn
from bench.core.untrusted.plain_files import MIB

if TYPE_CHECKING:
    from rich.table import Table

    from bench.deployment.export_run import Exported

Formats = Annotated[str, typer.Option("--format", help="onnx, litert, openvino, saved_model, torch; or all installed.")]
Precisions = Annotated[str, typer.Option("--precision", help="float32, float16, int8; or all.")]
CalibrationImages = Annotated[
    int, typer.Option(min=1, help="How many training images int8 looks at for the ranges of its activations.")
]


def export(
    run: SavedRun,
    out: Annotated[Path, typer.Option(help="The folder that gets a folder per variant.", show_default=False)],
    formats: Formats = "onnx",
    precisions: Precisions = "float32",
    dynamic_batch: Annotated[
        bool, typer.Option("--dynamic-batch", help="Take any number of images at once, where the format can.")
    ] = False,
    calibration_images: CalibrationImages = 100,
    results: ResultsOfRun = DEFAULT_RESULTS,
    plugin: RunsPlugin = None,
) -> None:
    """Write the model of a finished run for other runtimes: each file is compared with Keras before it counts.

    bench export unet_pets_s0 --format onnx,litert --precision float32,int8 --out exported

    Exit code 1: a variant that exists wasn't written.
    """
    from bench.deployment.export_run import export as write
    from bench.deployment.variants import read_variants

    variants, left_out = read_variants(formats, precisions)
    trial, config = trained(run, results, plugin, None)
    for line in left_out:
        warn(line)
    console = output()
    with console.status("starting") as status:
        found = write(
            trial,
            config,
            variants,
            out,
            dynamic_batch=dynamic_batch,
            calibration=calibration_images,
            starting=lambda backend: status.update(f"{config.pair}: converting on {backend}"),
        )
    console.print(_table(found))
    written = [one for one in found if one.folder]
    say(console, f"{len(written)} of {len(found)} variants in {out}, each with model.json and example.py")
    if any(one.failed for one in found):
        raise typer.Exit(1)


def _table(found: "Sequence[Exported]") -> "Table":
    from bench.report.text.terminal import plain_table

    table = plain_table()
    for heading in ("format", "precision", "file", "MiB", "drift", "note"):
        table.add_column(heading, justify="right" if heading in ("MiB", "drift") else "left", overflow="fold")
    for one in found:
        table.add_row(*map(cell, _row(one)))
    return table


def _row(one: "Exported") -> list[str]:
    names = [one.variant.form.title, one.variant.precision]
    if not one.folder or not one.facts:
        return [*names, "", "", "", f"not written: {one.failed}" if one.failed else f"doesn't exist: {one.empty}"]
    size = sum(file["bytes"] for file in one.facts["files"].values()) / MIB
    file = f"{one.folder.name}/{one.facts['file']}"
    return [*names, file, f"{size:.1f}", f"{one.facts['check']['drift']:.1e}", one.flag]
