"""`bench ensemble`: score the mean of the probabilities of several runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from bench.commands.shared import DEFAULT_RESULTS, MovedData, ResultsOfRun, RunsPlugin, output, say, trained, warn
from bench.core.errors import BenchError
from bench.results.clean_text import clean

if TYPE_CHECKING:
    from bench.results.analysis.intervals.scales import Interval
    from bench.trials.saved.ensemble_run import Ensemble


def ensemble(
    runs: Annotated[
        list[str],
        typer.Argument(help="Two runs with saved weights or more: ids, or folders' paths.", show_default=False),
    ],
    split: Annotated[str, typer.Option(help="The split to score: test or val.")] = "test",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Also write the results to this JSON file, and a table per image beside it.", show_default=False
        ),
    ] = None,
    data_dir: MovedData = None,
    results: ResultsOfRun = DEFAULT_RESULTS,
    plugin: RunsPlugin = None,
    backend: Annotated[
        str | None,
        typer.Option(help="The Keras backend for all of them. Default: the first run's.", show_default=False),
    ] = None,
) -> None:
    """Score the mean of the probabilities of several runs, beside each of them and what it costs.

    bench ensemble unet_pets_s0 unet_pets_s1 deeplab_pets_s0

    The runs may be seeds, folds or architectures; they share the data's split, the classes and the image size.
    """
    from bench.config.checks import require_choice
    from bench.trials.saved.stored_trials import check_alike, choose_backend, on_data, paths_of_record

    require_choice("split", split, ("test", "val"))
    found = [trained(run, results, plugin, backend) for run in runs]
    check_alike([trial for trial, _ in found])
    backend = backend or found[0][1].backend
    if others := sorted({config.backend for _, config in found} - {backend}):
        warn(f"All run on {backend}, also those that were trained on {', '.join(others)}.")
    found = [trained(run, results, plugin, backend) for run in runs] if others else found
    members = [(trial, on_data(config, data_dir=data_dir)) for trial, config in found]
    for line in dict.fromkeys(
        line for _, config in members for line in paths_of_record(config, own_data=bool(data_dir))
    ):
        warn(line)
    choose_backend(backend)
    from bench.trials.saved.ensemble_run import score_ensemble

    console = output()
    with console.status(f"{len(members)} runs on {backend}"):
        made = score_ensemble(members, split)
    console.print(_table(made, f"{members[0][1].dataset}, {split} split: {made.images} images"))
    console.print(_gain(made), highlight=False, soft_wrap=True)
    if out:
        _write(out, made, split)
        say(console, f"Written: {out}, and beside it the per-image table")


def _table(made: "Ensemble", title: str) -> Table:
    table = Table(title=Text(clean(title)), title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("model", overflow="fold")
    for heading in ("mean IoU [95 % over the images]", "ms / image", "parameters"):
        table.add_column(heading, justify="right")
    for row in made.rows:
        cells = (_interval(row.mean_iou), f"{row.milliseconds_per_image:.2f}", f"{row.params:,}")
        table.add_row(Text(clean(row.name)), *cells)
    return table


def _interval(value: "Interval", form: str = ".4f") -> str:
    return f"{value.mean:{form}} [{value.low:{form}}, {value.high:{form}}]"


def _gain(made: "Ensemble") -> Text:
    costs = {row.name: row.milliseconds_per_image for row in made.rows}
    times = made.rows[-1].milliseconds_per_image / costs[made.best]
    return Text(
        f"Against the best member, {clean(made.best)}: mean IoU {_interval(made.gain, '+.4f')} for {times:.1f} times "
        "its time of prediction. That member was chosen on the same images, which favours it."
    )


def _write(out: Path, made: "Ensemble", split: str) -> None:
    from dataclasses import asdict

    from bench.evaluation.image_table import write_table
    from bench.results.trial_files import write_json

    values = {
        "split": split, "images": made.images, "device": made.device, "models": [asdict(row) for row in made.rows],
        "best": made.best, "gain": asdict(made.gain), "metrics": made.metrics,
    }  # fmt: skip
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_table(out.with_suffix(".parquet"), *made.table)
        write_json(out, values)
    except OSError as error:
        raise BenchError(f"'{out}' can't be written ({error.strerror}). Give another file with --out.") from error
