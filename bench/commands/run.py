"""`bench run`: train and measure a grid of trials."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.commands.shared import opened, output, warn
from bench.config.loss_text import FORMS as CLASS_WEIGHT_FORMS
from bench.core.specs import AUGMENTS, BACKENDS, LOSS_TERMS, MEASURES, PRECISIONS, RESIZES, SCHEDULES, TrialConfig

if TYPE_CHECKING:
    from bench.core.specs import TrialRecord

DEFAULT_RESULTS = Path("results")
_DEFAULT = TrialConfig(arch="", dataset="")
_TRIAL, _TRAINING, _RUN = "What is compared (commas make a grid)", "Training (commas make a grid)", "The run"


def _option(panel: str, help: str, *names: str, default: Any = None) -> Any:
    """An option; its default stands in the help text only, so that a TOML file can give the value."""
    text = f"{help} Default: {default}." if default is not None else help
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False)


Text = str | None


def run(
    context: typer.Context,
    arch: Annotated[
        Text, _option(_TRIAL, "Architectures, such as unet,deeplab or unet:resnet50 (with backbone).")
    ] = None,
    dataset: Annotated[Text, _option(_TRIAL, "Data sets, such as shapes,pets.")] = None,
    balance_ships: Annotated[
        Text, _option(_TRIAL, "airbus: at most so many images of each number of ships. Default: all.")
    ] = None,
    empty_fraction: Annotated[
        Text, _option(_TRIAL, "airbus: share of the images without ships that is kept.", default=1)
    ] = None,
    backbone: Annotated[Text, _option(_TRIAL, "Backbones. Default: the architecture's.")] = None,
    weights: Annotated[
        Text, _option(_TRIAL, "Of the backbone: none, imagenet or a file's path.", default=_DEFAULT.weights)
    ] = None,
    init_from: Annotated[
        Text, _option(_TRIAL, "Start from the saved weights of a finished run: its id, or its folder's path.")
    ] = None,
    param: Annotated[
        list[str] | None, _option(_TRIAL, "A builder's parameter: key=v1,v2 or 'filters=[8,16],[16,32]'. Repeatable.")
    ] = None,
    backend: Annotated[Text, _option(_TRIAL, f"{', '.join(BACKENDS)}.", default=_DEFAULT.backend)] = None,
    precision: Annotated[Text, _option(_TRIAL, f"{', '.join(PRECISIONS)}.", default=_DEFAULT.precision)] = None,
    jit: Annotated[
        Text,
        _option(
            _TRIAL,
            "Whether steps are compiled: auto (XLA on JAX, and on TensorFlow with a GPU; PyTorch runs eagerly), on "
            "(XLA, torch.compile) or off (on JAX operation by operation, which is very slow).",
            default=_DEFAULT.jit,
        ),
    ] = None,
    initial_weights: Annotated[
        Text,
        _option(
            _TRIAL,
            "own: the backend's random numbers, or shared: the same weights on every backend.",
            default=_DEFAULT.initial_weights,
        ),
    ] = None,
    image_size: Annotated[Text, _option(_TRIAL, "Pixels: 128, or height x width as 128x192.", default=128)] = None,
    resize: Annotated[
        Text, _option(_TRIAL, f"How pictures of another shape fit: {', '.join(RESIZES)}.", default=_DEFAULT.resize)
    ] = None,
    eval_size: Annotated[
        Text,
        _option(
            _TRIAL,
            "What predictions are compared at: train (the image size), or native (each picture's own size, at which "
            "trials of different image sizes stand in one ranking).",
            default=_DEFAULT.eval_size,
        ),
    ] = None,
    seed: Annotated[Text, _option(_TRIAL, "Seeds by name, such as 0,1,2.", default=0)] = None,
    seeds: Annotated[int | None, _option(_TRIAL, "How many seeds: 0 to N-1.")] = None,
    repeat: Annotated[int | None, _option(_TRIAL, "Run the same configuration N times.", default=1)] = None,
    budget: Annotated[
        Text, _option(_TRAINING, "10m, 90s, 2000steps, 20epochs or 100ksamples.", default=_DEFAULT.budget)
    ] = None,
    crop: Annotated[
        Text,
        _option(_TRAINING, "Train on random parts of the images: none, pixels, or height x width.", default="none"),
    ] = None,
    crop_foreground: Annotated[
        Text,
        _option(_TRAINING, "Chance that a part is centred on the foreground.", default=_DEFAULT.crop_foreground),
    ] = None,
    batch_size: Annotated[Text, _option(_TRAINING, "Images a step.", default=_DEFAULT.batch_size)] = None,
    lr: Annotated[Text, _option(_TRAINING, "Adam's learning rate at the start.", default=_DEFAULT.lr)] = None,
    schedule: Annotated[Text, _option(_TRAINING, f"{', '.join(SCHEDULES)}.", default=_DEFAULT.schedule)] = None,
    loss: Annotated[
        Text, _option(_TRAINING, f"{', '.join(LOSS_TERMS)} or a sum, such as 0.5*ce+dice.", default=_DEFAULT.loss)
    ] = None,
    class_weights: Annotated[
        Text, _option(_TRAINING, f"In the loss: {CLASS_WEIGHT_FORMS}.", default=_DEFAULT.class_weights)
    ] = None,
    augment: Annotated[Text, _option(_TRAINING, f"{', '.join(AUGMENTS)}.", default=_DEFAULT.augment)] = None,
    select: Annotated[
        Text, _option(_TRAINING, "Weights that are tested: last, or best on validation.", default=_DEFAULT.select)
    ] = None,
    freeze_encoder: Annotated[
        Text,
        _option(_TRAINING, "Share of the budget in which the backbone is frozen.", default=_DEFAULT.freeze_encoder),
    ] = None,
    fine_tune_lr_factor: Annotated[
        Text,
        _option(_TRAINING, "Of the learning rate once it is unfrozen.", default=_DEFAULT.fine_tune_lr_factor),
    ] = None,
    unfreeze_from: Annotated[
        Text, _option(_TRAINING, "The backbone's first layer (name or index) that is unfrozen. Default: all of it.")
    ] = None,
    measure: Annotated[
        Text, _option(_TRIAL, f"{' or '.join(MEASURES)}: speed alone needs no data; see bench speed.", default="all")
    ] = None,
    train_fraction: Annotated[
        Text, _option(_TRAINING, "Share of the training images.", default=_DEFAULT.train_fraction)
    ] = None,
    data_dir: Annotated[Path | None, _option(_RUN, "The data set's folder. Default: it is downloaded.")] = None,
    skip_corrupt: Annotated[
        bool | None, _option(_RUN, "Leave out images that can't be read.", "--skip-corrupt")
    ] = None,
    plugin: Annotated[Path | None, _option(_RUN, "A Python file with your architectures or data sets.")] = None,
    config: Annotated[
        Path | None, _option(_RUN, "A TOML file with the options' names, tables of trials, or a preset; options win.")
    ] = None,
    results: Annotated[Path | None, _option(_RUN, "Where the records go.", default=DEFAULT_RESULTS)] = None,
    keep_weights: Annotated[
        Text,
        _option(_RUN, "Whose final weights stay: all, none, or of each pair the best on validation.", default="best"),
    ] = None,
    trace: Annotated[
        bool | None,
        _option(_RUN, "Write a profiler's trace of some training steps, for TensorBoard.", "--trace"),
    ] = None,
    timeout: Annotated[Text, _option(_RUN, "Stop a trial after this wall time, such as 2h.")] = None,
    dry_run: Annotated[
        bool, _option(_RUN, "Show the planned trials and how long they take; run none.", "--dry-run")
    ] = False,
    force: Annotated[bool, _option(_RUN, "Run finished trials again.", "--force")] = False,
) -> None:
    """Train and measure every combination; finished trials are not run again.

    bench run --arch unet,deeplab --dataset shapes --budget 60s --seeds 2
    """
    from bench.config import grid, presets
    from bench.trials.saved.stored_trials import new_head, start_from

    config = config and presets.find(config)
    given = {name: value for name, value in context.params.items() if value not in (None, (), [])}
    options = {name: value for name, value in given.items() if name not in ("config", "dry_run", "force")}
    file = grid.read_toml(config)[0] if config else {}
    folder = Path(options.pop("results", None) or file.get("results") or DEFAULT_RESULTS)
    left_out: list[str] = []
    configs = [start_from(trial, folder) for trial in grid.configs(options, config, left_out)]
    for line in left_out:
        warn(line)
    for note in dict.fromkeys(filter(None, map(new_head, configs))):
        warn(note)
    _note_unused_weights(configs, str(options.get("weights", file.get("weights", "none"))))
    downloads = _check_data(configs)
    if dry_run:
        for line in downloads:
            warn(line)
        show_plan(configs, folder, force)
        return
    records = start(configs, folder, force)
    print_tables(records, folder)
    if any(record.status not in ("ok", "skipped") for record in records):
        raise typer.Exit(1)


def _note_unused_weights(configs: Sequence[TrialConfig], wanted: str) -> None:
    """Say which architectures start from scratch although weights are asked for."""
    trained = [config for config in configs if config.measure == "all" and not config.init_from]
    names = dict.fromkeys(config.arch for config in trained if not config.backbone)
    if names and wanted != "none":
        has, start = ("has", "it starts") if len(names) == 1 else ("have", "they start")
        warn(f"{', '.join(names)} {has} no backbone: {start} from scratch; --weights is not used.")


def show_plan(configs: Sequence[TrialConfig], folder: Path, force: bool) -> None:
    """Print the trials as they would run, and how long they would take."""
    from bench.results import store
    from bench.trials import estimate

    store.check_writable(folder)
    trials = store.load([folder]).trials if (folder / store.MARKER).is_file() else []
    estimates = estimate.estimates(configs, trials, force=force)
    console = output()
    console.print(estimate.table(estimates))
    console.print(estimate.summary(estimates), highlight=False)


def _check_data(configs: Sequence[TrialConfig]) -> list[str]:
    """Open each data set but download none; a line for each that is fetched. BenchError for an unusable folder."""
    from bench.config import catalog
    from bench.data import kaggle_download

    downloads = []
    seen = []
    for config in configs:
        data = config.dataset, config.data_dir, config.dataset_params
        if data in seen or config.measure == "speed":
            continue
        seen.append(data)
        spec, data_dir = catalog.find_dataset(config.dataset, config.data_dir)
        if data_dir is None and spec.needs_data_dir and spec.archives:
            size = sum(size for _, size, _ in spec.archives) / 2**20
            downloads.append(f"{spec.name}: its archives ({size:.0f} MiB) are downloaded unless they are in the cache.")
        elif data_dir is None and spec.kaggle and not kaggle_download.is_here(spec, spec.kaggle):
            size = spec.kaggle.size / 2**30
            downloads.append(f"{spec.name}: {size:.1f} GiB are downloaded from Kaggle.")
        else:
            opened(output(), spec, data_dir, config.dataset_params)
    return downloads


def start(configs: Sequence[TrialConfig], folder: Path, force: bool) -> "list[TrialRecord]":
    """Run the trials with a view on them; the records of all."""
    from bench.commands.live import view
    from bench.trials import runner

    with view(output()) as observer:
        return runner.run(configs, results=folder, observer=observer, force=force)


def print_tables(records: "Sequence[TrialRecord]", folder: Path) -> None:
    """The rows of these trials alone; `bench report` has the whole folder."""
    from bench.report.leaderboard import groups
    from bench.report.speed_tables import speed_boards
    from bench.report.text.tables import terminal_table
    from bench.results.dataframe import trials_frame
    from bench.results.store import ResultsFolder, StoredTrial

    console, store = output(), ResultsFolder(folder)
    frame = trials_frame(StoredTrial(record, store.folder(_identity(record))) for record in records)
    for group in groups(frame):
        console.print(terminal_table(group))
    for board in speed_boards(frame):
        console.print(board.terminal_table())
    console.print(f"Records: {folder}. The report: bench report {folder}", highlight=False, soft_wrap=True)


def _identity(record: "TrialRecord") -> str:
    from bench.trials.identity import trial_identity

    return trial_identity(TrialConfig.from_dict(record.config), record.key, record.device)
