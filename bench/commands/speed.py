"""`bench speed`: measure architectures without training them and without data."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bench.commands.run import DEFAULT_RESULTS, print_tables, show_plan, start
from bench.commands.shared import warn
from bench.core.errors import BenchError
from bench.core.specs import AUGMENTS, BACKENDS, JITS, LOSS_TERMS, PRECISIONS, TrialConfig

_DEFAULT = TrialConfig(arch="", dataset="")
_TRIAL, _RUN = "What is compared (commas make a grid)", "The run"
LARGEST_BATCH = 1024


def _option(panel: str, help: str, *names: str, default: Any = None) -> Any:
    """An option; its default stands in the help text only, so that a TOML file can give the value."""
    text = f"{help} Default: {default}." if default is not None else help
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False)


Text = str | None


def speed(
    context: typer.Context,
    arch: Annotated[
        Text, _option(_TRIAL, "Architectures, such as unet,deeplab:resnet50; all: every one that can be run.")
    ] = None,
    backbone: Annotated[Text, _option(_TRIAL, "Backbones. Default: the architecture's.")] = None,
    param: Annotated[
        list[str] | None, _option(_TRIAL, "A builder's parameter: key=v1,v2 or 'filters=[8,16],[16,32]'. Repeatable.")
    ] = None,
    batch_size: Annotated[Text, _option(_TRIAL, "Images a training step.", default=_DEFAULT.batch_size)] = None,
    image_size: Annotated[Text, _option(_TRIAL, "Pixels: 256, or height x width as 128x192.", default=128)] = None,
    precision: Annotated[Text, _option(_TRIAL, f"{', '.join(PRECISIONS)}.", default=_DEFAULT.precision)] = None,
    backend: Annotated[Text, _option(_TRIAL, f"{', '.join(BACKENDS)}.", default=_DEFAULT.backend)] = None,
    jit: Annotated[
        Text, _option(_TRIAL, f"Compile the steps: {', '.join(JITS)} (as the backend does).", default=_DEFAULT.jit)
    ] = None,
    loss: Annotated[
        Text, _option(_TRIAL, f"{', '.join(LOSS_TERMS)} or a sum, such as 0.5*ce+dice.", default=_DEFAULT.loss)
    ] = None,
    augment: Annotated[
        Text, _option(_TRIAL, f"Part of the training step: {', '.join(AUGMENTS)}.", default=_DEFAULT.augment)
    ] = None,
    seed: Annotated[Text, _option(_TRIAL, "Of weights and pixels, such as 0,1,2.", default=0)] = None,
    repeat: Annotated[int | None, _option(_TRIAL, "Measure the same N times.", default=1)] = None,
    find_batch_size: Annotated[
        bool, _option(_RUN, "Also find the largest batch that trains, and the memory of an image.", "--find-batch-size")
    ] = False,
    largest_batch: Annotated[
        int | None, _option(_RUN, "Where --find-batch-size gives up.", default=LARGEST_BATCH)
    ] = None,
    sweep_seconds: Annotated[
        Text,
        _option(
            _RUN,
            "After which the sweep over inference batches tries no larger one; compiling counts.",
            default=f"{_DEFAULT.sweep_seconds:g}",
        ),
    ] = None,
    plugin: Annotated[Path | None, _option(_RUN, "A Python file with your architectures.")] = None,
    config: Annotated[
        Path | None, _option(_RUN, "A TOML file with the options' names, tables of trials, or a preset; options win.")
    ] = None,
    results: Annotated[Path | None, _option(_RUN, "Where the records go.", default=DEFAULT_RESULTS)] = None,
    trace: Annotated[
        bool | None, _option(_RUN, "Write a profiler's trace of some training steps, for TensorBoard.", "--trace")
    ] = None,
    timeout: Annotated[Text, _option(_RUN, "Stop a trial after this wall time, such as 20m.")] = None,
    dry_run: Annotated[bool, _option(_RUN, "Show the planned trials; run none.", "--dry-run")] = False,
    force: Annotated[bool, _option(_RUN, "Measure again what is done.", "--force")] = False,
) -> None:
    """Measure training and inference speed, latency and memory without training or data; minutes for all families.

    bench speed --arch all --image-size 256 --precision mixed_bfloat16 --backend jax
    """
    from bench.config import grid, presets

    config = config and presets.find(config)
    of_command = ("config", "dry_run", "force", "find_batch_size", "largest_batch")
    given = {name: value for name, value in context.params.items() if value not in (None, (), [])}
    options = {name: value for name, value in given.items() if name not in of_command} | {"measure": "speed"}
    options |= _search(find_batch_size, largest_batch)
    file = grid.read_toml(config)[0] if config else {}
    folder = Path(options.pop("results", None) or file.get("results") or DEFAULT_RESULTS)
    left_out: list[str] = []
    configs = grid.configs(options, config, left_out)
    for line in left_out:
        warn(line)
    if dry_run:
        show_plan(configs, folder, force)
        return
    records = start(configs, folder, force)
    print_tables(records, folder)
    if any(record.status not in ("ok", "skipped") for record in records):
        raise typer.Exit(1)


def _search(wanted: bool, largest: int | None) -> dict[str, int]:
    """The option of the grid, where the largest batch is sought."""
    if largest is not None and not wanted:
        raise BenchError(f"--largest-batch {largest} says where a search ends. Give --find-batch-size too, or neither.")
    if largest is not None and largest < 1:
        raise BenchError(f"--largest-batch is {largest}. Accepted: 1 or more images.")
    return {"find_batch_size": largest or LARGEST_BATCH} if wanted else {}
