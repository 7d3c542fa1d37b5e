"""`bench evaluate --model`: its options, and what it shows of a model that segbench didn't train."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from bench.commands.shared import dataset_params, number, output, say, warn
from bench.core.errors import BenchError
from bench.core.specs import flat
from bench.results.clean_text import clean

if TYPE_CHECKING:
    from bench.results.deployed.other_models import OtherModel

PANEL = "A model that was not trained here (--model)"


def _option(text: str, *names: str, **said: Any) -> Any:
    return typer.Option(*names, help=text, show_default=False, rich_help_panel=PANEL, **said)


Model = Annotated[
    Path | None,
    _option(
        "Score this file instead of a run: .onnx, .tflite, .keras, OpenVINO's .xml, or the folder of a SavedModel."
    ),
]
Preprocess = Annotated[
    Path | None,
    _option("A model.json, as bench export writes; the options below win over what it says.", "--preprocess"),
]
Scale = Annotated[
    str | None, _option("The input is (scale * picture - mean) / std, of pictures in 0 to 255. Such as 1/255, or 1.")
]
Mean = Annotated[str | None, _option("The mean of the scaled values: one number, or three with commas.")]
Std = Annotated[str | None, _option("Their standard deviation: one number, or three with commas.")]
Layout = Annotated[str | None, _option("NHWC or NCHW. Default: recognised by the axis of 3 channels.")]
Channels = Annotated[str | None, _option("The order of the channels: RGB or BGR. Default: RGB.")]
Output = Annotated[
    str | None,
    _option(
        "What the output holds: logits, probabilities (after softmax or sigmoid) or classes (a map of numbers). "
        "Default: classes if it has whole numbers.",
        "--output",
    ),
]
OutputName = Annotated[str | None, _option("The output's name, if the model has several.")]
Classes = Annotated[
    str | None,
    _option(
        "The data set's class of each of the model's, in the model's order, with commas; several may be one. "
        "Default: the data set's classes in its order."
    ),
]
ImageSize = Annotated[
    str | None, _option("The size to which images are resized. Default: that of the input, if it is fixed.")
]
Resize = Annotated[str | None, _option("stretch, letterbox or crop. Default: stretch.")]
Threshold = Annotated[
    float | None, _option("With two classes: also score the masks of class 1 above this probability.")
]
MinArea = Annotated[int | None, _option("With --threshold: drop smaller objects, in pixels.")]
Params = Annotated[
    list[str] | None,
    _option("A parameter of the data set; repeat it for more.", "--dataset-param", metavar="key=value"),
]
Threads = Annotated[int, _option("The number of threads, each on a core, with which it is timed. Default: 1.")]
Timeout = Annotated[str, _option("The longest time to score it, and to time it, such as 2h. Default: 1h.")]
Unseen = Annotated[bool, _option("You know that the model saw none of the split's images in its training.", "--unseen")]


def evaluate_model(
    model: Path,
    preprocess: Path | None,
    terms: Mapping[str, Any],
    *,
    dataset: str | None,
    data_dir: str | None,
    params: list[str] | None,
    results: Path,
    timeout: str,
    **options: Any,
) -> None:
    """Score and time a file, and show the result.

    Args:
        terms: the options that make its contract, by field.
        options: those of `evaluate_other`.
    """
    from bench.config import catalog
    from bench.core.trial_config import OPTIONS
    from bench.deployment.others.contract import contract_of
    from bench.deployment.others.evaluate_other import data_config, evaluate_other
    from bench.deployment.others.kinds import find_kind

    if dataset is None:
        raise BenchError("--model needs the data set to score it on. Give --dataset.")
    seconds = OPTIONS["timeout"].read(timeout)
    OPTIONS["timeout"].check(seconds)
    find_kind(model)
    contract, said = contract_of(preprocess, terms)
    spec, _ = catalog.find_dataset(dataset, data_dir)
    config = data_config(dataset, data_dir, dataset_params(spec, params), contract)
    console = output()
    with console.status(model.name) as status:
        found, path = evaluate_other(
            model,
            contract,
            said,
            config,
            results,
            timeout=seconds,
            doing=lambda what: status.update(f"{clean(model.name)}: {what}"),
            **options,
        )
    _warn_of(found)
    console.print(_table(found))
    for line in _taken(found):
        say(console, line)
    say(console, f"Written: {path}, and beside it the per-image table. `bench report` shows it in a table of its own.")


def _warn_of(found: "OtherModel") -> None:
    for note in found.notes:
        warn(note)
    if not found.unseen:
        warn(
            f"The model may have seen the {found.split} images in its training, and its scores would then be too high. "
            "If you know that it didn't, give --unseen."
        )


def _table(found: "OtherModel") -> Table:
    data = found.dataset
    title = f"{found.model} ({found.kind}) on {data['name']}, {found.split} split: {data['images']} images"
    table = Table(title=Text(clean(title)), title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("metric", overflow="fold")
    table.add_column("value", justify="right")
    for name, value in flat(found.metrics).items():
        table.add_row(Text(clean(name)), number(value, ".4f"))
    for name in ("latency_ms_p50", "latency_ms_p95", "latency_ms_p99", "images_per_second", "load_seconds"):
        table.add_row(name, number(getattr(found, name), ".4g"))
    for name in ("size_mib", "process_peak_mib"):
        table.add_row(name, number(getattr(found, name), ".1f"))
    return table


def _taken(found: "OtherModel") -> list[str]:
    """Say what the input and the output were taken for, so that a wrong guess is seen."""
    terms, size = found.contract, "x".join(map(str, found.image_size))
    values = "as they are stored"
    if terms["scale"] or terms["mean"] or terms["std"]:
        values = f"times {terms['scale'] or 1:.6g}, less {terms['mean'] or 0}, divided by {terms['std'] or 1}"
    names = terms["classes"] or found.dataset["classes"]
    order = "" if terms["classes"] else " (the data set's order)"
    return [
        f"Input: {found.input['dtype']} {found.input['layout']}, {terms['channels']}, images resized to {size} "
        f"({terms['resize']}), {values}.",
        f"Output: {found.output['holds']} of {', '.join(map(str, names))}{order}, "
        f"{' x '.join(map(str, found.output['shape']))}.",
        f"Timed on {found.device}, computed in {found.computes}.",
    ]
