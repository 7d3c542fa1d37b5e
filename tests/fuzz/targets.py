"""What reads files and texts of others: a target takes a changed input, and may raise BenchError and nothing else."""

import io
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from fake_results import fake_config, fake_record, write_trial
from mutate import TOKENS, VALUES, mutated_bytes, mutated_json
from rich.console import Console
from typer.testing import CliRunner

from bench.cli import app
from bench.commands import verify
from bench.commands.list import runs_table
from bench.commands.show import _print_record
from bench.config import grid
from bench.config.given import read_toml
from bench.core.errors import BenchError
from bench.datasets.classes_file import read_classes
from bench.datasets.rle import rle_decode
from bench.datasets.rle_table import read_table as read_csv
from bench.evaluation.image_table import read_table
from bench.profiling.clock.timing_table import TIMINGS, read_timings
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.report.text.exports import exports
from bench.report.text.failed_trials import empty_budgets, failure_table, failures_markdown
from bench.report.text.tables import markdown
from bench.results.analysis.same_trial import drop_duplicates
from bench.results.analysis.uncertainty import image_means
from bench.results.dataframe import trials_frame
from bench.results.find import find_run
from bench.results.gate import baseline, judge, measured
from bench.results.gate.limits import read_limits
from bench.results.loading import load
from bench.results.trial_files import IMAGES, RECORD, WEIGHTS

Case = Callable[[], Any]
_TOML = b"""arch = "unet"
dataset = ["shapes"]
budget = "10epochs"
image-size = [64, "96x64"]
lr = [0.001, 3e-4]
param = {filters = [[8, 16]]}
[[trials]]
arch = "unet_plus_plus"
seeds = 2
"""
_LIMITS = b'peak_memory_mib = false\n[mean_iou]\nworse = "lower"\nlimit = 0.01\n[params]\nlimit = "10%"\n'
_CLASSES: tuple[Any, ...] = (
    ["background", "car"],
    {"background": 0, "car": [7, 8]},
    {"background": "#000000", "car": "#800000"},
    {"classes": ["a", "b"], "ignore": [255, "#e0e0c0", "nan"], "threshold": 128, "from": "index"},
)
_CSV = b"ImageId,EncodedPixels\na.jpg,1 2 5 3\na.jpg,\nb.jpg,9 1\n"
_OPTIONS = {
    "budget": "10m",
    "param": "filters=[8,16],[16,32]",
    "lr": "0.001,0.01",
    "image_size": "64x96",
    "loss": "0.5*ce",
    "class_weights": "[0.3,0.7]",
    "seeds": "3",
    "weights": "none",
    "backbone": "resnet50",
    "arch": "unet:resnet50",
    "timeout": "2h",
    "dataset_param": "balance=20",
    "crop": "32",
    "unfreeze_from": "-20",
    "plugin": "my_net.py",
    "init_from": "unet",
    "dataset": "shapes",
    "batch_size": "8",
    "repeat": "2",
    "optimizer": "adamw",
}


@cache
def _results() -> Path:
    """Make a results folder with three trials; the first one's files are those that are changed."""
    folder = Path(tempfile.mkdtemp(prefix="segbench-fuzz-")) / "results"
    for seed in range(2):
        record, table = fake_record(fake_config(seed=seed), weights={"file": WEIGHTS})
        (write_trial(folder, record, table, samples=0) / WEIGHTS).write_bytes(b"none")
    record, table = fake_record(fake_config(seed=2))
    write_trial(folder, replace(record, status="failed", reason="boom", metrics={}), table, samples=0)
    return folder


@cache
def _first() -> Path:
    return sorted(path for path in (_results() / "trials").iterdir() if path.is_dir())[0]


@cache
def _original(name: str) -> bytes:
    return (_first() / name).read_bytes()


@cache
def _baseline_file() -> Path:
    subjects, _ = measured.from_results([_results()])
    file = _results().parent / "baseline.json"
    baseline.write_baseline(file, subjects, {"reason": "first", "time": "", "commit": ""})
    return file


def _with(name: str, data: bytes, use: Callable[[], Any]) -> None:
    """Use the results folder with another content of one of its files."""
    path = _first() / name
    before = _original(name)
    _baseline_file()
    path.write_bytes(data)
    try:
        use()
    finally:
        path.write_bytes(before)


def look_at_results() -> None:
    """Do what `list`, `show`, `report`, `recommend` and `check` do, without plots and page."""
    console = Console(file=io.StringIO(), width=100)
    loaded = load([_results()])
    console.print(runs_table(loaded))
    for trial in loaded.trials:
        _print_record(console, trial)
    trials, _ = drop_duplicates(loaded.trials)
    frame = trials_frame(trials)
    failures = frame[frame["status"] != "ok"]
    empty = empty_budgets(frame)
    console.print(failure_table(failures, empty))
    boards = groups(frame)
    exports(boards)
    lacking = {"Not in the tables": loaded.problems, "Read in part": loaded.parts}
    markdown(boards, failures_markdown(failures, empty), lacking, "now", [])
    for board in boards:
        for row in board.ranked:
            image_means(row.configuration)
    subjects, _ = measured.from_results([_results()])
    judge.compare(subjects, subjects, read_limits())
    find_run(_first().name, _results())


def _commands() -> list[list[str]]:
    """List commands that read a results folder, of the trial whose files are changed and of the others."""
    name, folder, other = _first().name, str(_results()), "unet_None_1"
    at = ["--results", folder]
    out = str(_results().parent / "out")
    plan = ["run", "--arch", "unet", "--dataset", "shapes", "--budget", "5steps", "--dry-run"]
    return [
        *(["list", "runs", *at], ["show", name, *at], ["show", other, *at]),
        *(["recommend", folder], ["audit", folder], ["merge", folder, "--results", out]),
        *(["compare", "unet", "unet", *at], ["check", folder, "--baseline", str(_baseline_file())]),
        *(["predict", name, out, "--out", out, *at], [*plan, *at], [*plan, "--init-from", name, *at]),
    ]


def ask_commands(rng: random.Random) -> None:
    """Run a few of the commands in this process."""
    for words in rng.sample(_commands(), 3):
        error = CliRunner().invoke(app, words).exception
        if error is not None and not isinstance(error, SystemExit):
            raise error
    trial = find_run(_first().name, _results())
    verify.again(trial, [verify._known(trial).seeds], seed=None, data_dir=None, plugin=None)


def commands(rng: random.Random) -> None:
    _with(RECORD, _json_or_bytes(rng, _original(RECORD)), partial(ask_commands, rng))


def command_tables(rng: random.Random) -> None:
    _with(IMAGES, _columns(rng, IMAGES), partial(ask_commands, rng))


def pages(rng: random.Random) -> None:
    """The whole report, with plots."""
    data = json.dumps(mutated_json(rng, json.loads(_original(RECORD)))).encode()
    _with(RECORD, data, lambda: write_report([_results()], _results().parent / "page"))


def _file(data: bytes, name: str, read: Callable[[Path], Any]) -> None:
    path = _results().parent / name
    path.write_bytes(data)
    read(path)


def _json_or_bytes(rng: random.Random, data: bytes) -> bytes:
    """Change the values in half of the cases, in the others the bytes."""
    if rng.random() < 0.5:
        return mutated_bytes(rng, data)
    return json.dumps(mutated_json(rng, json.loads(data))).encode()


def records(rng: random.Random) -> None:
    _with(RECORD, _json_or_bytes(rng, _original(RECORD)), look_at_results)


def histories(rng: random.Random) -> None:
    _with("history.jsonl", mutated_bytes(rng, _original("history.jsonl")), look_at_results)


def tables(rng: random.Random) -> None:
    _with(IMAGES, mutated_bytes(rng, _original(IMAGES)), look_at_results)
    _file(mutated_bytes(rng, _original(IMAGES)), "table.parquet", read_table)


def columns(rng: random.Random) -> None:
    _with(IMAGES, _columns(rng, IMAGES), look_at_results)


def timings(rng: random.Random) -> None:
    data = mutated_bytes(rng, _original(TIMINGS)) if rng.random() < 0.5 else _columns(rng, TIMINGS)
    _with(TIMINGS, data, lambda: read_timings(_first()))


def _columns(rng: random.Random, file: str) -> bytes:
    """A Parquet file that is whole, with other columns, types or numbers of rows."""
    import pandas as pd

    table = pd.read_parquet(io.BytesIO(_original(file)))
    for name in rng.sample(list(table.columns), 2):
        kind = rng.randrange(5)
        if kind == 0:
            table = table.drop(columns=name)
        elif kind == 1:
            table[name] = rng.choice([1.5, float("nan"), "text", True, None, -1, 2**62])
        elif kind == 2:
            table = table.rename(columns={name: rng.choice(["tp_9", "tp_\u0661", "", "name ", "fn_t05", "odd"])})
        elif kind == 3:
            table = table.iloc[: rng.choice([0, 1, 5])]
        else:
            table[name] = table[name].astype(rng.choice(["category", "string", "object"]))
    out = io.BytesIO()
    table.loc[:, ~table.columns.duplicated()].to_parquet(out, index=False)
    return out.getvalue()


def markers(rng: random.Random) -> None:
    path = _results() / "segbench.json"
    before = path.read_bytes()
    path.write_bytes(_json_or_bytes(rng, before))
    try:
        load([_results()])
    finally:
        path.write_bytes(before)


def baselines(rng: random.Random) -> None:
    data = _json_or_bytes(rng, _baseline_file().read_bytes())

    def use(path: Path) -> None:
        judge.compare(baseline.read_baseline(path), measured.from_results([_results()])[0], read_limits())

    _file(data, "baseline-changed.json", use)


def classes(rng: random.Random) -> None:
    _file(_json_or_bytes(rng, json.dumps(rng.choice(_CLASSES)).encode()), "classes.json", read_classes)


def toml(rng: random.Random) -> None:
    def use(path: Path) -> None:
        grid.configs({}, read_toml(path))

    _file(mutated_bytes(rng, _TOML), "grid.toml", use)


def limits(rng: random.Random) -> None:
    _file(mutated_bytes(rng, _LIMITS), "limits.toml", read_limits)


def csv(rng: random.Random) -> None:
    def use(path: Path) -> None:
        for rows in read_csv(path, "ImageId", "EncodedPixels").values():
            for row in rows:
                rle_decode(row.text, (16, 16))

    _file(mutated_bytes(rng, _CSV), "masks.csv", use)


def rle(rng: random.Random) -> None:
    rle_decode(mutated_bytes(rng, b"1 2 5 3 100 4").decode("utf-8", "replace"), (16, 16), rng.choice(["row", "column"]))


def options(rng: random.Random) -> None:
    """One or two options of `bench run`, as texts of the command line or as values of a TOML file."""
    given: dict[str, Any] = {"arch": "unet", "dataset": "shapes"}
    for name in rng.sample(list(_OPTIONS), rng.choice([1, 1, 2])):
        text = mutated_bytes(rng, _OPTIONS[name].encode()).decode("utf-8", "replace")
        kind = rng.randrange(4)
        given[name] = text if kind < 2 else rng.choice(VALUES) if kind == 2 else rng.choice(TOKENS)
    grid.configs(given)


TARGETS = (records, histories, tables, columns, timings, markers, baselines, classes, toml, limits, csv, rle, options)
SLOW = (commands, command_tables, pages)  # seconds a case


def failures(target: Callable[[random.Random], None], seed: int, count: int) -> Iterator[tuple[int, BaseException]]:
    """Yield the number of each case that ends in another exception than BenchError."""
    for number in range(count):
        try:
            target(random.Random(f"{target.__name__} {seed} {number}"))
        except BenchError:
            pass
        except Exception as error:  # noqa: BLE001 - to be reported with its case
            yield number, error
