"""`bench show-arch`: show an architecture's stages, backbones and parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.commands.shared import BANDS_OF_NO_DATA_HELP, bands_of_no_data, output, say
from bench.core.errors import BenchError
from bench.core.specs import ArchitectureSpec
from bench.core.trial_config import TrialConfig


def show_arch(
    name: Annotated[
        str | None,
        typer.Argument(help="An architecture, such as unet or unet:resnet50 (with backbone).", show_default=False),
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="The architecture's backbone.", show_default=False)] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="A builder's parameter: key=value. Repeatable.", show_default=False)
    ] = None,
    image_size: Annotated[
        str, typer.Option(help="The image size in pixels: 128, or height x width as 128x192.")
    ] = "256",
    bands: Annotated[str | None, typer.Option(help=BANDS_OF_NO_DATA_HELP, show_default=False)] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Write Keras's drawing of the architecture to this PNG file.", show_default=False),
    ] = None,
    plugin: Annotated[
        Path | None, typer.Option(help="A Python file with your architecture.", show_default=False)
    ] = None,
) -> None:
    """Show an architecture: its stages, parameters, FLOPs, backbones and `--param` names.

    bench show-arch unet --backbone resnet50
    """
    from bench.config import catalog
    from bench.trials import preflight

    spec, config = _resolved(name, backbone, param, image_size, plugin)
    config = replace(config, dataset_params=bands_of_no_data(bands)) if bands is not None else config
    if plot is not None:
        preflight.plot(config, plot)
    console = output()
    with Console(stderr=True).status("building the model"):
        facts = preflight.diagram(config)
    height, width = config.image_size
    of_bands = "" if config.bands == 3 else f", {config.bands} band{'s' * (config.bands > 1)}"
    console.print(Text(f"{config.pair} at {height} x {width}{of_bands}, {preflight.NUM_CLASSES} classes"), style="bold")
    console.print(Text(". ".join(text for text in (spec.summary, spec.paper) if text)))
    console.print(stages_table(facts["stages"]))
    console.print(
        f"{facts['params']:,} parameters, {facts['trainable_params']:,} trainable; "
        + (f"{facts['gflops']:.1f}" if "gflops" in facts else "unknown")
        + " GFLOPs (2 x MAC) for a forward pass of one image",
        highlight=False,
    )
    console.print(Text(f"backbones: {', '.join(spec.backbones) or 'none'}"))
    if spec.params:
        console.print(_params_table(spec, config.params))
    if plot is not None:
        say(console, f"Drawing: {plot}")
    for problem in catalog.problems():
        console.print(Text(problem))


def _resolved(
    name: str | None, backbone: str | None, params: Sequence[str] | None, image_size: str, plugin: Path | None
) -> tuple[ArchitectureSpec, TrialConfig]:
    """Look up the architecture and build the checked configuration of one model."""
    from bench.architectures.sizes import check_image_size
    from bench.config import catalog, checks
    from bench.config.given import axis, single_parameters

    if plugin:
        catalog.add_plugin(plugin)
    if name is None:
        raise BenchError(f"Name an architecture. Available: {', '.join(catalog.architectures().names())}.")
    arch, _, own = name.partition(":")
    spec = catalog.architectures().get(arch)
    chosen = checks.backbone(own or backbone, spec, catalog.backbones())
    checked = checks.params(single_parameters("param", params), spec)
    size = axis("image_size", image_size)[0]
    check_image_size(spec, size, chosen, checked)
    path = str(plugin.expanduser().resolve()) if plugin else None
    return spec, TrialConfig(spec.name, "", backbone=chosen, params=checked, image_size=size, plugin=path)


def stages_table(stages: Sequence[Mapping[str, Any]]) -> Table:
    """Make a table with one row per stage, from image to logits; layers that give no feature map have no stride."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("stage")
    for heading in ("stride", "channels", "layers", "params"):
        table.add_column(heading, justify="right")
    for stage in stages:
        stride = "" if stage["stride"] is None else str(stage["stride"])
        table.add_row(
            Text(stage["stage"]), stride, str(stage["channels"]), str(stage["layers"]), f"{stage['params']:,}"
        )
    return table


def _params_table(spec: ArchitectureSpec, given: Mapping[str, Any]) -> Table:
    table = Table(title="--param", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("name", "type", "value", "meaning"):
        table.add_column(heading, overflow="fold")
    for param in spec.params:
        value = given.get(param.name, param.default)
        choices = f" ({', '.join(map(str, param.choices))})" if param.choices else ""
        table.add_row(*map(Text, (param.name, param.type, str(value), param.help + choices)))
    return table
