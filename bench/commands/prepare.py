"""`bench prepare`: fetch and decode a data set before the first run."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bench.commands.console import output
from bench.spec import RESIZES


def prepare(
    dataset: Annotated[str, typer.Argument(help="A data set of `bench list datasets`.", show_default=False)],
    data_dir: Annotated[
        Path | None, typer.Option(help="Its folder. Default: it is downloaded.", show_default=False)
    ] = None,
    image_size: Annotated[
        str, typer.Option(help="Pixels: 128, height x width as 128x192, several with commas.")
    ] = "128",
    resize: Annotated[str, typer.Option(help=f"Another aspect ratio: {', '.join(RESIZES)}.")] = "stretch",
    skip_corrupt: Annotated[bool, typer.Option("--skip-corrupt", help="Leave out images that can't be read.")] = False,
    plugin: Annotated[Path | None, typer.Option(help="A Python file with your data set.", show_default=False)] = None,
) -> None:
    """Fetch a data set, check its files and decode it once for all trials of that size."""
    from bench import catalog, checks
    from bench.pipeline import pack
    from bench.values import axis

    if plugin:
        catalog.add_plugin(plugin)
    spec = catalog.datasets().get(dataset)
    checks.one_of("resize policy", resize, RESIZES)
    console = output()
    for _, size in axis("image_size", image_size):
        name = f"{spec.name} {size[0]}x{size[1]}"
        with Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
        ) as bar:
            task = bar.add_task(name, total=None)

            def show(done: int, total: int, bar: Progress = bar, task: TaskID = task) -> None:
                bar.update(task, completed=done, total=total)

            made = pack.prepare(spec, size, resize=resize, data_dir=data_dir, skip_corrupt=skip_corrupt, progress=show)
            bar.update(task, completed=len(made.names), total=len(made.names))
        counts = ", ".join(f"{len(made.indexes(split))} {split}" for split in ("train", "val", "test"))
        console.print(f"{name}: {counts}; in {made.path}", highlight=False, soft_wrap=True)
        for note in made.notes:
            console.print(f"  {note}", markup=False, highlight=False, soft_wrap=True)
