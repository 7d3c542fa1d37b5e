"""`bench evaluate`: score the saved weights of a run again."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from bench.commands import evaluate_model as other
from bench.commands.shared import (
    DEFAULT_RESULTS,
    Augmentation,
    KeepPredictions,
    MovedData,
    OtherBackend,
    ResultsOfRun,
    RunsPlugin,
    check_augmentation,
    number,
    output,
    say,
    trained,
    warn,
)
from bench.core.errors import BenchError
from bench.core.specs import flat
from bench.results.clean_text import clean
from bench.results.trial_files import predictions_of

if TYPE_CHECKING:
    from bench.core.trial_config import TrialConfig
    from bench.results.loading import StoredTrial


def evaluate(
    run: Annotated[
        str | None,
        typer.Argument(
            help="A run with saved weights: its id, the beginning of its id, or its folder's path.", show_default=False
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Another data set with the same classes. Default: the run's.", show_default=False)
    ] = None,
    data_dir: MovedData = None,
    split: Annotated[
        str,
        typer.Option(help="The split to score: test, val or train. Of the run's own data, the images that it used."),
    ] = "test",
    eval_size: Annotated[
        str | None,
        typer.Option(
            help="The size at which scores are computed: train or native. Default: the run's.", show_default=False
        ),
    ] = None,
    tta: Augmentation = None,
    keep_predictions: KeepPredictions = False,
    results: ResultsOfRun = DEFAULT_RESULTS,
    plugin: RunsPlugin = None,
    backend: OtherBackend = None,
    model: other.Model = None,
    preprocess: other.Preprocess = None,
    scale: other.Scale = None,
    mean: other.Mean = None,
    std: other.Std = None,
    layout: other.Layout = None,
    channels: other.Channels = None,
    holds: other.Output = None,
    output_name: other.OutputName = None,
    classes: other.Classes = None,
    image_size: other.ImageSize = None,
    resize: other.Resize = None,
    threshold: other.Threshold = None,
    min_area: other.MinArea = None,
    dataset_param: other.Params = None,
    threads: other.Threads = 1,
    timeout: other.Timeout = "1h",
    unseen: other.Unseen = False,
) -> None:
    """Score the saved weights of a finished run again, on its own or another data set. The record does not change.

    bench evaluate unet_pets_s0 --split val

    bench evaluate --model net.onnx --dataset oxford_pets --scale 1/255 --output logits
    """
    from bench.config.checks import require_choice
    from bench.data.source import SPLITS
    from bench.trials.saved.stored_trials import choose_backend, on_data, paths_of_record

    require_choice("split", split, SPLITS)
    terms = {
        "scale": scale, "mean": mean, "std": std, "layout": layout, "channels": channels, "output": holds,
        "output_name": output_name, "classes": classes, "image_size": image_size, "resize": resize,
        "threshold": threshold, "min_area": min_area,
    }  # fmt: skip
    if model is not None:
        _check_alone(run, {"--tta": tta, "--plugin": plugin})
        other.evaluate_model(
            model,
            preprocess,
            {**terms, "eval_size": eval_size},
            dataset=dataset,
            data_dir=data_dir,
            params=dataset_param,
            results=results,
            timeout=timeout,
            split=split,
            threads=threads,
            unseen=unseen,
            backend=backend,
        )
        return
    if run is None:
        raise BenchError("Nothing to score. Give a run (`bench list runs` shows the ids), or a file with --model.")
    given = {"preprocess": preprocess, **terms, "dataset_param": dataset_param, "unseen": unseen or None}
    if unused := [name for name, value in given.items() if value is not None]:
        raise BenchError(f"--{unused[0].replace('_', '-')} is for --model; a run's record says it. Leave it out.")
    trial, config = trained(run, results, plugin, backend)
    check_augmentation(tta, config)
    config = on_data(config, dataset=dataset, data_dir=data_dir, eval_size=eval_size)
    for line in paths_of_record(config, own_data=bool(dataset or data_dir)):
        warn(line)
    if keep_predictions:
        _check_room(trial, config, split)
    choose_backend(config.backend)
    from bench.trials.saved.evaluate_run import evaluate_run

    console = output()
    with console.status(f"{config.pair} on {config.dataset}"):
        found, file = evaluate_run(trial, config, split, tta=tta, keep_predictions=keep_predictions)
    record = trial.record
    same_data = found["dataset"]["fingerprint"] == record.dataset["fingerprint"]
    if config.dataset == record.config["dataset"] and not same_data:
        warn("The data differ from those that the run was trained on: files have been changed, added or removed.")
    if same_data and found["protocol_version"] != record.protocol_version:
        warn("Pictures are decoded in another way than for the run's own scores, since segbench has changed.")
    same = same_data and split == "test" and config.eval_size == record.config.get("eval_size", "train")
    console.print(_table(found, record.metrics if same else {}))
    if tta:
        say(console, _gain(tta, found["tta"]))
    kept = f" and the predictions in {predictions_of(file).name}" if keep_predictions else ""
    say(console, f"Written: {file}, and beside it the per-image table{kept}")


def _check_room(trial: "StoredTrial", config: "TrialConfig", split: str) -> None:
    """Say how much room the predictions take; raise BenchError if there is too little."""
    from bench.trials.rescoring.keeping_room import needed_bytes, require_room, room_line

    data = trial.record.dataset
    images = int(data.get("images", {}).get(split, 0))
    line, fits = room_line(needed_bytes(config, images, len(data["classes"])), 1, trial.folder)
    require_room(line, fits)
    warn(line)


def _check_alone(run: str | None, given: Mapping[str, Any]) -> None:
    """Raise BenchError for what doesn't go with --model."""
    if run is not None:
        raise BenchError(f"Both a run ('{run}') and --model were given. Give one of them.")
    if unused := [name for name, value in given.items() if value is not None]:
        raise BenchError(f"{unused[0]} is for runs, not for --model. Leave it out.")


def _gain(tta: str, found: Mapping[str, Any]) -> str:
    """Say what averaging over views gained and cost."""
    difference, with_it, without = found["difference"], found["ms_per_image"], found["ms_per_image_without"]
    interval = f"{difference['mean']:+.4f} [{difference['low']:+.4f}, {difference['high']:+.4f}]"
    return (
        f"--tta {tta} ({', '.join(found['views'])}): mean IoU {interval} (95 % over the images) for "
        f"{with_it / without:.1f} times the time: {with_it:.2f} ms an image instead of {without:.2f}."
    )


def _table(found: Mapping[str, Any], recorded: Mapping[str, Any]) -> Table:
    """Make a table with one row per metric, and the record's values if they are of the same split of the same data."""
    data = found["dataset"]
    title = f"{found['run']} on {data['name']}, {found['split']} split: {data['images']} images"
    table = Table(title=Text(clean(title)), title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("metric", overflow="fold")
    for heading in ("value", *(["in the record"] if recorded else [])):
        table.add_column(heading, justify="right")
    before = flat(recorded)
    for name, value in flat(found["metrics"]).items():
        cells = [number(value, ".4f"), *([number(before.get(name), ".4f")] if recorded else [])]
        table.add_row(Text(clean(name)), *cells)
    return table
