"""`bench prepare`: download and decode a data set before the first run, or only check it."""

import os
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
    VERIFY_DATA_HELP,
    counting,
    dataset_params,
    opened,
    output,
    with_short_params,
)
from bench.core.errors import BenchError, first_few, first_lines
from bench.core.trial_config import DEFAULTS, OPTIONS

if TYPE_CHECKING:
    from bench.core.specs import DatasetSpec
    from bench.data.check import Health
    from bench.data.source import Source

_KINDS = {
    "missing": "missing or unmatched files",
    "size": "masks of another size than their image",
    "values": "label values without a class",
    "depth": "images of other bands, another depth or an unknown one",
    "unreadable": "unreadable files",
}
_EXAMPLES = 10  # messages printed per kind


def prepare(
    dataset: Annotated[
        str,
        typer.Argument(help="A data set, such as pets, folder:PATH, tfds:NAME or hf:OWNER/NAME.", show_default=False),
    ],
    data_dir: Annotated[
        str | None,
        typer.Option(
            help="The data set's folder or address Default: it is downloaded.",
            show_default=False,
        ),
    ] = None,
    image_size: Annotated[
        str, typer.Option(help="Image sizes in pixels, separated by commas: 128, or height x width as 128x192.")
    ] = "128",
    resize: Annotated[str, typer.Option(help=OPTIONS["resize"].help_text(), show_default=False)] = DEFAULTS.resize,
    dataset_param: Annotated[
        list[str] | None, typer.Option(help="A data set's parameter: key=value. Repeatable.", show_default=False)
    ] = None,
    group_by: Annotated[str | None, typer.Option(help=GROUP_BY_HELP, show_default=False)] = None,
    bands: Annotated[str | None, typer.Option(help=BANDS_HELP, show_default=False)] = None,
    scale_values: Annotated[str | None, typer.Option(help=SCALE_VALUES_HELP, show_default=False)] = None,
    skip_corrupt: Annotated[bool, typer.Option("--skip-corrupt", help="Leave out images that can't be read.")] = False,
    verify_data: Annotated[bool, typer.Option("--verify-data", help=VERIFY_DATA_HELP)] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Only check the files. Exit code 1 if training would fail, 2 if the data can't be opened."
        ),
    ] = False,
    write_classes: Annotated[
        bool,
        typer.Option("--write-classes", help="Write a classes.json into a folder of masks, with names to replace."),
    ] = False,
    export_masks: Annotated[
        Path | None, typer.Option(help="Only write the masks as PNG files into this new folder.", show_default=False)
    ] = None,
    per_ship: Annotated[
        bool, typer.Option("--per-ship", help="With --export-masks: write one PNG per object, not one per image.")
    ] = False,
    plugin: Annotated[Path | None, typer.Option(help="A Python file with your data set.", show_default=False)] = None,
) -> None:
    """Download a data set, check its files and decode it once for all trials of that image size."""
    from bench.config import catalog
    from bench.data.remote.mirror import listed_anew
    from bench.data.source import opened_once

    if plugin:
        catalog.add_plugin(plugin)
    OPTIONS["resize"].check(resize)
    if check and export_masks:
        raise BenchError("--check only checks and --export-masks only writes masks: give one of them.")
    if verify_data and (check or export_masks or write_classes):
        raise BenchError("--verify-data is for the packs, which --check, --export-masks and --write-classes don't use.")
    if per_ship and not export_masks:
        raise BenchError("--per-ship needs --export-masks FOLDER, where the PNG files are written.")
    spec, folder = catalog.find_dataset(dataset, data_dir)
    params = dataset_params(spec, with_short_params(dataset_param, group_by, bands, scale_values))
    console = output()
    if write_classes:
        _propose(console, spec, folder, params)
        return
    if check:
        with listed_anew():
            fails = _check(console, spec, folder, params, skip_corrupt)
        raise typer.Exit(fails)
    if export_masks:
        _export(console, spec, folder, params, export_masks, per_ship, skip_corrupt)
        return
    with opened_once(), listed_anew():
        _pack(console, spec, folder, params, image_size, resize, skip_corrupt, verify_data)


def _propose(console: Console, spec: "DatasetSpec", folder: Path | str | None, params: dict[str, Any]) -> None:
    """Write the proposal of a classes.json and print it."""
    from bench.core.specs import FOLDER
    from bench.core.untrusted.plain_files import require_plain
    from bench.data.remote.address import is_address
    from bench.datasets.classes_proposal import proposal, write_proposal

    if not spec.name.startswith(FOLDER) or folder is None:
        by_hand = " Write the file by hand, and give it by --dataset-param classes=PATH." if spec.source else ""
        raise BenchError(f"--write-classes is for a folder of your own, folder:PATH, not for {spec.name}.{by_hand}")
    if is_address(folder):
        raise BenchError(f"--write-classes writes into a folder, not to '{folder}'. Copy a few masks here for it.")
    require_plain(Path(folder))
    file, text = proposal(Path(folder), params.get("layout", ""))
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    write_proposal(file, text)
    console.print(f"Written to {file}. Give the classes their names, then run --check.", markup=False, soft_wrap=True)


def _pack(
    console: Console,
    spec: "DatasetSpec",
    folder: Path | str | None,
    params: dict[str, Any],
    image_size: str,
    resize: str,
    skip_corrupt: bool,
    verify_data: bool,
) -> None:
    """Write the packs of all sizes."""
    from bench.config.given import axis
    from bench.data import pack

    sizes = list(dict.fromkeys(axis("image_size", image_size)))
    opened(console, spec, folder, params, sizes)
    for size in sizes:
        name = f"{spec.name} {size[0]}x{size[1]}"
        with counting(console, name) as progress:
            made = pack.prepare(
                spec,
                size,
                resize=resize,
                data_dir=folder,
                params=params,
                skip_corrupt=skip_corrupt,
                verify_data=verify_data,
                progress=progress,
            )
        counts = ", ".join(f"{len(made.indexes(split))} {split}" for split in ("train", "val", "test"))
        console.print(f"{name}: {counts}; in {made.path}", markup=False, highlight=False, soft_wrap=True)
        for note in (*made.notes, *(f"warning: {warning}" for warning in made.warnings)):
            console.print(f"  {note}", markup=False, highlight=False, soft_wrap=True)


def _export(
    console: Console,
    spec: "DatasetSpec",
    folder: Path | str | None,
    params: dict[str, Any],
    target: Path,
    per_ship: bool,
    skip_corrupt: bool,
) -> None:
    from bench.data.export import export_masks

    source = opened(console, spec, folder, params)
    with counting(console, f"masks of {spec.name}") as progress:
        written, problems = export_masks(
            source, target, per_object=per_ship, skip_corrupt=skip_corrupt, progress=progress
        )
    left_out = f", {len(problems)} images left out" if problems else ""
    console.print(f"{written} masks in {target}{left_out}", markup=False, highlight=False, soft_wrap=True)


def _check(
    console: Console, spec: "DatasetSpec", folder: Path | str | None, params: dict[str, Any], skip_corrupt: bool
) -> int:
    """Print the health report; return exit code 1 if training would fail."""
    from bench.commands.show_dataset import print_balance, print_head, print_notes, print_warning
    from bench.data.check import examine, find_doubts
    from bench.data.reading.find_values import with_values
    from bench.data.source import SPLITS

    source = with_values(opened(console, spec, folder, params))
    with counting(console, f"reading {spec.name}") as progress:
        health = examine(source, source.samples, progress)
    print_head(console, source)
    print_balance(console, source, health)
    print_notes(console, source)
    _print_problems(console, source, health)
    doubts = find_doubts(source, health)
    for warning in doubts.warnings[len(source.warnings) :]:
        print_warning(console, warning)
    empty = [split for split in SPLITS if not health.splits[split]]
    errors = [f"no images are left in the split {' and '.join(empty)}."] if empty else list(doubts.errors)
    for error in errors:
        console.print(Text(f"error: {error}"), style="red", soft_wrap=True)
    fails = bool(errors) or (bool(health.problems) and not skip_corrupt)
    verdict, colour = _verdict(fails, len(health.problems), len(doubts.warnings), can_skip=not errors)
    console.print(verdict, style=colour, soft_wrap=True)
    return int(fails)


def _print_problems(console: Console, source: "Source", health: "Health") -> None:
    """Print one row per kind of problem, then examples, and the classes that no image has."""
    table = Table(title="problems", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("kind")
    table.add_column("images", justify="right")
    for kind, text in _KINDS.items():
        table.add_row(text, f"{health.kinds[kind]:,}")
    unseen = [name for label, name in enumerate(source.spec.classes) if not health.images[label]]
    table.add_row("classes that no image has", Text(f"{len(unseen)}{': ' if unseen else ''}{', '.join(unseen)}"))
    console.print(table)
    for kind in _KINDS:
        lines = _lines([message for found, message in health.problems if found == kind])
        for line in first_lines(lines, _EXAMPLES, f"and {{:,}} more: {_KINDS[kind]}".format):
            console.print(Text(line), soft_wrap=True)


def _lines(messages: list[str]) -> list[str]:
    """Write messages that differ only in the file's name as one line."""
    alike: dict[tuple[str, str], list[str]] = {}
    for message in messages:
        place, _, what = message.partition(": ")
        folder, _, name = place.rpartition(os.sep)
        alike.setdefault((folder, what), []).append(name)
    lines = []
    for (folder, what), (first, *others) in alike.items():
        more = f" Likewise {first_few(others)}" if others else ""
        lines.append(f"{folder}{os.sep if folder else ''}{first}: {what}{more}")
    return lines


def _verdict(fails: bool, problems: int, warnings: int, can_skip: bool) -> tuple[str, str]:
    """Return the last line of the check and its colour; `can_skip`: no split would be left empty."""
    if fails:
        leave_out = ", or leave them out with --skip-corrupt" if can_skip else ""
        advice = f"fix the files{leave_out}" if problems else "see the errors above"
        return f"Training would fail: {advice}.", "red"
    left_out = f"; {problems} images are left out." if problems else "."
    if warnings:
        what = "the warning" if warnings == 1 else f"the {warnings} warnings"
        return f"Look at this first: {what} above. Training would run, but its results may mislead{left_out}", "yellow"
    return f"Training can begin{left_out}", "green"
