"""`bench show-dataset`: show how many images a data set has, their sizes and classes, and what they look like."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.commands.shared import (
    BANDS_HELP,
    GROUP_BY_HELP,
    SCALE_VALUES_HELP,
    counting,
    dataset_params,
    opened,
    output,
    say,
    warn,
    with_short_params,
)
from bench.core.errors import BenchError, first_few
from bench.core.option_kinds import text_of
from bench.core.specs import IGNORE_INDEX

if TYPE_CHECKING:
    from bench.core.specs import DatasetSpec
    from bench.data.check import Health
    from bench.data.source import Source

ON_A_SHEET = 12  # images
_CANDIDATES = 4  # images are read for each one on the sheet, because those with several classes are preferred
_MOST_SIZES = 5  # printed


def show_dataset(
    name: Annotated[
        str | None,
        typer.Argument(help="A data set, such as pets, folder:PATH, tfds:NAME or hf:OWNER/NAME.", show_default=False),
    ] = None,
    data_dir: Annotated[str | None, typer.Option(help="The data set's folder or address", show_default=False)] = None,
    dataset_param: Annotated[
        list[str] | None, typer.Option(help="A data set's parameter: key=value. Repeatable.", show_default=False)
    ] = None,
    group_by: Annotated[str | None, typer.Option(help=GROUP_BY_HELP, show_default=False)] = None,
    bands: Annotated[str | None, typer.Option(help=BANDS_HELP, show_default=False)] = None,
    scale_values: Annotated[str | None, typer.Option(help=SCALE_VALUES_HELP, show_default=False)] = None,
    images: Annotated[int, typer.Option(help="How many images to read for class balance and sizes; 0: all.")] = 200,
    contact_sheet: Annotated[
        Path | None,
        typer.Option(help="Write images of the data set with their labels to this PNG file.", show_default=False),
    ] = None,
    plugin: Annotated[Path | None, typer.Option(help="A Python file with your data set.", show_default=False)] = None,
) -> None:
    """Show a data set: images per split, class balance, sizes and, if asked for, a contact sheet.

    bench show-dataset pets --contact-sheet pets.png
    """
    from bench.config import catalog
    from bench.data.check import evenly, examine
    from bench.data.reading.find_values import with_values

    if plugin:
        catalog.add_plugin(plugin)
    if name is None:
        names = ", ".join(catalog.datasets().names())
        raise BenchError(f"`bench show-dataset` needs a name: {names}, folder:PATH, tfds:NAME or hf:OWNER/NAME.")
    if images < 0:
        raise BenchError(f"--images is {images}. Accepted: a number of images, or 0 for all.")
    if contact_sheet is not None and contact_sheet.suffix.lower() != ".png":
        raise BenchError(f"--contact-sheet is '{contact_sheet}'. Accepted: a file that ends in .png.")
    spec, folder = catalog.find_dataset(name, data_dir)
    console = output()
    params = dataset_params(spec, with_short_params(dataset_param, group_by, bands, scale_values))
    source = with_values(opened(console, spec, folder, params))
    print_head(console, source)
    samples = evenly(source.samples, images) if images else source.samples
    with counting(console, f"reading {spec.name}") as progress:
        health = examine(source, samples, progress)
    print_balance(console, source, health)
    print_notes(console, source)
    _print_params(console, spec)
    if health.problems:
        warn(
            f"{len(health.problems)} of {len(samples)} images can't be read. `bench prepare {name} --check` lists them."
        )
    if contact_sheet is not None:
        _write_sheet(source, contact_sheet)
        say(console, f"Contact sheet: {contact_sheet}")
        if not spec.may_show_pictures:
            warn(f"The images of {spec.name} may not be published ({spec.licence}).")


def print_head(console: Console, source: "Source") -> None:
    """Print the data set's name, summary and licence, and a table with one row per split."""
    spec = source.spec
    console.print(Text(f"{spec.name}: {spec.summary}"), style="bold")
    about = [spec.homepage, spec.licence, "" if spec.may_show_pictures else "images may not be published"]
    if any(about):
        console.print(Text("; ".join(text for text in about if text)))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("split", "images", "groups"):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for split in ("train", "val", "test"):
        samples = source.of_split(split)
        table.add_row(split, f"{len(samples):,}", f"{len({sample.group for sample in samples}):,}")
    console.print(table)


def print_balance(console: Console, source: "Source", health: "Health") -> None:
    """Print a table with one row per class, and the image sizes."""
    title = f"of {health.read:,} images" if health.read < len(source.samples) else "of all images"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("label", "class", "pixels", "images with it"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for label, name in enumerate(source.spec.classes):
        table.add_row(str(label), Text(name), f"{health.share(label):.2%}", f"{health.images[label]:,}")
    if ignored := int(health.pixels[IGNORE_INDEX]):
        table.add_row(str(IGNORE_INDEX), "ignored", f"{ignored / int(health.pixels.sum()):.2%} of all",
                      f"{health.images[IGNORE_INDEX]:,}")  # fmt: skip
    console.print(table)
    sizes = (f"{height} x {width} ({count:,})" for (height, width), count in health.sizes.most_common())
    console.print(Text(f"sizes (height x width): {first_few(sizes, _MOST_SIZES) or 'none'}"))


def print_notes(console: Console, source: "Source") -> None:
    """Print the notes and warnings of a data set, one line each."""
    for note in source.notes:
        console.print(Text(f"note: {note}"))
    for warning in source.warnings:
        print_warning(console, warning)


def print_warning(console: Console, warning: str) -> None:
    """Print a warning on a line of its own."""
    console.print(Text(f"warning: {warning}", style="yellow"), soft_wrap=True)


def _print_params(console: Console, spec: "DatasetSpec") -> None:
    """Print a table with one row per parameter that --dataset-param takes."""
    table = Table(title="parameters, for --dataset-param NAME=VALUE", title_justify="left", box=box.SIMPLE_HEAD,
                  pad_edge=False)  # fmt: skip
    for heading in ("name", "default", "meaning"):
        table.add_column(heading)
    for param in spec.all_params:
        choices = f": {', '.join(map(str, param.choices))}" if param.choices else ""
        table.add_row(param.name, text_of(param.default), Text(f"{param.help}{choices}"))
    console.print(table)


def _write_sheet(source: "Source", file: Path) -> None:
    """Draw twelve images, evenly spaced, with objects in different colours; images of several classes come first."""
    from bench.data.check import evenly
    from bench.data.geometry import resize_picture
    from bench.data.reading.decode import decode
    from bench.evaluation.pictures import contact_sheet

    read = []
    for sample in evenly(source.samples, _CANDIDATES * ON_A_SHEET):
        try:
            decoded = decode(source, sample, None)
        except (BenchError, OSError):
            continue  # `examine` has counted it
        labels = decoded.labels
        image = resize_picture(decoded.picture, decoded.picture.size)
        read.append((labels.min() == labels.max(), sample, image, labels))
    if not read:
        raise BenchError(f"None of the images of '{source.spec.name}' that were tried can be read.")
    chosen = sorted(_chosen(read), key=lambda entry: entry[1].name)
    number = getattr(source.dataset, "instances", None)
    pictures = [
        (f"{sample.split}  {sample.name}", image, number(sample) if number else labels)
        for _, sample, image, labels in chosen
    ]
    try:
        contact_sheet(pictures, () if number else source.spec.classes).save(file)
    except OSError as error:
        raise BenchError(f"The contact sheet '{file}' can't be written ({error.strerror or error}).") from error


def _chosen(read: list[tuple[bool, Any, Any, Any]]) -> list[tuple[bool, Any, Any, Any]]:
    """Choose twelve evenly spaced images with several classes; if there are too few, fill up with others."""
    from bench.data.check import evenly

    several, plain = ([entry for entry in read if entry[0] == flat] for flat in (False, True))
    chosen = evenly(several, ON_A_SHEET)
    return [*chosen, *evenly(plain, ON_A_SHEET - len(chosen))]
