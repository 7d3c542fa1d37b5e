"""A results folder that somebody else made is data: it can't hang, run code, or reach files outside of it."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_results import fake_config, fake_record, fake_results, write_trial
from filelock import FileLock
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.core.untrusted import safe_json
from bench.core.untrusted.typed_values import fits
from bench.evaluation.image_table import read_table
from bench.results.loading import load
from bench.results.merged.merging import merge
from bench.results.store import ResultsFolder
from bench.results.trial_files import IMAGES, KEEP, LOG, RECORD, SAMPLES
from bench.results.weight_retention import keep, prune

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and FIFOs are POSIX's")


def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """What is outside: names, modes, times and contents."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(p): (stat.S_IMODE(p.stat().st_mode), p.stat().st_mtime_ns, p.read_bytes()) for p in files}


@pytest.fixture
def private(tmp_path) -> Path:
    """A folder of the victim's."""
    folder = tmp_path / "private"
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / "0-ledger.svg").write_text("a plot of my own")
    (folder / "thesis.txt").write_text("secret")
    (folder / "index.html").write_text("my page")
    return folder


@pytest.fixture
def results(tmp_path) -> Path:
    return fake_results(tmp_path / "results", nets=1, failures=False)


def first(results: Path) -> Path:
    return sorted(path for path in (results / "trials").iterdir() if path.is_dir())[0]


# Links


@pytest.mark.parametrize("inner", ["", "plots"])
def test_a_report_is_not_written_through_a_link(results, private, inner):
    before = state(private)
    link = results / "report" / inner if inner else results / "report"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(private / inner)
    for words in (["report", results], ["report", results, "--out", results / "report"]):
        answer = run(*words)
        assert answer.exit_code == 2 and "is a link" in answer.output, answer.output
    assert state(private) == before


def test_a_linked_sample_is_not_put_into_a_page(results, private):
    folder = first(results) / SAMPLES
    next(folder.glob("*.png")).rename(private / "secret.png")
    (folder / "7_secret.png").symlink_to(private / "secret.png")
    answer = run("report", results)
    assert answer.exit_code == 0 and f"{SAMPLES}/7_secret.png is a link, so it is read without" in answer.output
    assert "7_secret" not in (results / "report" / "index.html").read_text().replace("7_secret.png is a link", "")


def test_a_linked_folder_of_samples_is_not_looked_into(results, private):
    folder = first(results) / SAMPLES
    for file in folder.iterdir():
        file.rename(private / file.name)
    folder.rmdir()
    folder.symlink_to(private)
    (trial,) = [t for t in load([results]).trials if t.folder == first(results)]
    assert trial.samples() == [] and f"{SAMPLES} is a link" in load([results]).parts[0]


def test_merging_copies_nothing_that_is_linked(results, private, tmp_path):
    folder = first(results)
    (folder / LOG).unlink()
    (folder / LOG).symlink_to(private / "thesis.txt")
    (folder / "trace").symlink_to(private)
    os.mkfifo(folder / "evaluations")
    out = tmp_path / "out"
    merged = merge([results], out)
    assert len(merged.copied) == 2 and sum("is a link" in line for line in merged.problems) == 2
    copied = out / "trials" / folder.name
    assert (copied / RECORD).is_file() and not any((copied / n).exists() for n in (LOG, "trace", "evaluations"))
    assert not any("secret" in path.read_text(errors="replace") for path in out.rglob("*") if path.is_file())


def test_a_mark_to_keep_weights_is_not_made_through_a_link(results, private):
    (first(results) / KEEP).symlink_to(private / "new")
    keep(first(results))
    assert not (private / "new").exists()


def test_a_linked_trial_is_left_out_and_keeps_its_weights(results, private, tmp_path):
    theirs = write_trial(tmp_path / "other", *fake_record(fake_config(seed=8)))
    (theirs / "weights.weights.h5").write_bytes(b"mine")
    (results / "trials" / "linked").symlink_to(theirs)
    loaded = load([results])
    assert len(loaded.trials) == 2 and loaded.problems == ["linked is a link, left out."]
    prune(ResultsFolder(results))
    assert (theirs / "weights.weights.h5").exists()


def test_the_folder_of_trials_may_not_be_a_link(results, tmp_path):
    (results / "trials").rename(tmp_path / "elsewhere")
    (results / "trials").symlink_to(tmp_path / "elsewhere")
    assert load([results]).problems == ["trials is a link, left out."] and not load([results]).trials
    with pytest.raises(BenchError, match="is a link, through which nothing is written"):
        ResultsFolder(results)


@pytest.mark.parametrize("name", ["a.lock", "a", "a.running", "a.replaced"])
def test_a_trial_is_not_run_through_a_link(results, private, name):
    before = state(private)
    (results / "trials" / name).symlink_to(private / "thesis.txt")
    with pytest.raises(BenchError, match="is a link"):
        ResultsFolder(results).claim("a")
    assert state(private) == before


def test_a_linked_lock_is_not_truncated_by_looking_at_the_folder(results, private):
    before = state(private)
    (results / "trials" / "a.running").mkdir()
    (results / "trials" / "a.lock").symlink_to(private / "thesis.txt")
    assert [path.name for path in load([results]).abandoned] == ["a.running"]
    assert state(private) == before


def test_a_folder_that_the_user_names_may_be_a_link(results, tmp_path):
    (tmp_path / "short").symlink_to(results)
    assert len(load([tmp_path / "short"]).trials) == 2
    assert run("report", tmp_path / "short").exit_code == 0
    with ResultsFolder(tmp_path / "short").claim("a") as lock:
        assert isinstance(lock, FileLock) or lock


# FIFOs: a test that fails here never ends


@pytest.mark.timeout(100)
def test_a_fifo_in_a_trial_is_never_waited_for(tmp_path):
    results = fake_results(tmp_path / "results", nets=2, failures=False)
    names = (RECORD, "history.jsonl", IMAGES, f"{SAMPLES}/0_image_0.png")
    for folder, name in zip(sorted(p for p in (results / "trials").iterdir() if p.is_dir()), names, strict=True):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
    for words in (["list", "runs", "--results"], ["report"], ["check"], ["merge", "--results", tmp_path / "out"]):
        answer = run(*words, results)
        assert isinstance(answer.exception, SystemExit | None), words
    assert run("list", "runs", "--results", results).output.count("is a FIFO") == 4


@pytest.mark.parametrize("name", ["history.jsonl", IMAGES, f"{SAMPLES}/0_image_0.png"])
def test_a_trial_that_is_read_in_part_is_not_said_to_be_out_of_the_tables(results, name):
    (first(results) / name).unlink(missing_ok=True)
    os.mkfifo(first(results) / name)
    answer = run("report", results)
    assert (
        "Not in the tables" not in answer.output and f"Read in part: {first(results).name}: {name} is" in answer.output
    )
    page = (results / "report" / "index.html").read_text()
    assert "<h2>Not in" not in page and "Read in part (" in page


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["segbench.json", "trials/x.running/progress.json", "trials/x.lock"])
def test_a_fifo_beside_the_trials_is_never_waited_for(results, name):
    path = results / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    answer = run("list", "runs", "--results", results)
    assert answer.exit_code in (0, 2) and "Traceback" not in answer.output


# Records


BAD = {
    "infinite version": {"schema_version": float("inf")},
    "version of another type": {"schema_version": "1"},
    "number for a table": {"metrics": 5},
    "list for a text": {"status": ["ok"]},
    "null for a table": {"dataset": None},
    "text for a number": {"wall_seconds": "12"},
    "yes for a number": {"repeat": True},
    "negative": {"repeat": -1},
    "huge": {"repeat": 10**400},
    "infinite time": {"wall_seconds": float("inf")},
    "class names that are none": {"dataset": {"classes": [1, 2]}},
    "a budget that is none": {"config": {"arch": "unet", "dataset": "pets", "budget": "soon"}},
    "a size that is none": {"config": {"arch": "unet", "dataset": "pets", "image_size": [1, 2, 3]}},
    "a configuration without names": {"config": {"seed": 1}},
    "too many values": {"metrics": {str(n): n for n in range(30_000)}},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_one_bad_record_is_named_and_stops_nothing(results, change):
    record = first(results) / RECORD
    record.write_text(json.dumps({**json.loads(record.read_text()), **change}))
    loaded = load([results])
    assert len(loaded.trials) == 1 and len(loaded.problems) == 1
    assert loaded.problems[0].startswith(f"{record.parent.name}: ")
    other = loaded.trials[0].folder.name
    for words in (["list", "runs"], ["show", other]):
        answer = run(*words, "--results", results)
        assert answer.exit_code == 0, answer.output


def test_a_deeply_nested_record_and_a_large_one_are_named(results):
    record = first(results) / RECORD
    for text, said in (("[" * 100_000 + "]" * 100_000, "nested more than"), (" " * (17 * 2**20), "more than 16.0")):
        record.write_text(text)
        (problem,) = load([results]).problems
        assert said in problem


def test_json_is_bounded_in_depth_number_and_size_of_integers():
    assert safe_json.loads('{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    for text in ("[" * 60 + "]" * 60, json.dumps([0] * 200_000), "[1" + "0" * 30 + "]", "[1" + "0" * 5000 + "]", "{"):
        with pytest.raises(ValueError):
            safe_json.loads(text)


@pytest.mark.parametrize(
    ("value", "hint", "fit"),
    [
        (1, float, True),
        (True, int, False),
        (1.0, int, False),
        (None, float | None, True),
        ([1, 2], tuple[int, int], True),
        ([1], tuple[int, int], False),
        (["a"], tuple[str, ...], True),
        ([], tuple[str, ...], True),
        ("ab", tuple[str, ...], False),
        ({"a": 1}, dict[str, float], True),
        ({"a": []}, dict[str, float], False),
    ],
)
def test_values_are_compared_with_annotations(value, hint, fit):
    assert fits(value, hint) is fit


# Code


@pytest.mark.parametrize("command", ["evaluate", "predict", "verify"])
def test_a_record_runs_no_code(tmp_path, command, monkeypatch):
    results = tmp_path / "results"
    code = results / "innocent.py"
    for seed in range(2):
        record, table = fake_record(fake_config(seed=seed, plugin="results/innocent.py"), weights={"file": "w"})
        folder = write_trial(results, record, table)
        (folder / "weights.weights.h5").write_bytes(b"")
    code.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    words = {"predict": [results, "--out", tmp_path / "out"]}.get(command, [])
    answer = run(command, folder.name, *words, "--results", results)
    assert answer.exit_code == 2 and "--plugin results/innocent.py" in answer.output, answer.output
    assert not (tmp_path / "ran").exists()
    run(command, folder.name, *words, "--results", results, "--plugin", code)  # which shows that the test can fail
    assert (tmp_path / "ran").exists()


# The terminal

HOSTILE = "\x1b[2J\x1b]0;title\x07 \u202eevil\ud800[red][/nothing]\x00"


@pytest.mark.parametrize("command", ["list", "show", "interrupted"])
def test_what_a_record_says_moves_no_cursor(results, command):
    folder = first(results)
    values = json.loads((folder / RECORD).read_text())
    values["config"] |= {"arch": HOSTILE, "dataset": HOSTILE, HOSTILE: HOSTILE}
    values |= {"reason": HOSTILE, "log_tail": [HOSTILE], "device": HOSTILE, "finished": HOSTILE}
    values["metrics"] = {HOSTILE: HOSTILE, "a": {HOSTILE: [HOSTILE]}}
    (folder / RECORD).write_text(json.dumps(values))
    (folder / "history.jsonl").write_text(json.dumps({"phase": HOSTILE, "loss": HOSTILE}))
    running = results / "trials" / "x\x1b[2J.running"
    running.mkdir()
    (running / "trial.json").write_text(json.dumps({"config": {"arch": HOSTILE}}))
    (running / "progress.json").write_text(json.dumps({HOSTILE: HOSTILE}))
    words = {"list": ["list", "runs"], "show": ["show", folder.name], "interrupted": ["show", "x"]}[command]
    answer = run(*words, "--results", results)
    assert answer.exit_code == 0, answer.output
    assert "evil" in answer.output and "[red][/no" in answer.output
    assert not {"\x1b", "\x07", "\u202e", "\x00"} & set(answer.output)


@pytest.mark.parametrize("part", ["config", "status", "metrics"])
def test_an_error_that_quotes_a_record_moves_no_cursor(results, part):
    folder = first(results)
    values = json.loads((folder / RECORD).read_text())
    hostile = {"config": {**values["config"], "budget": HOSTILE}, "status": HOSTILE, "metrics": {"mean_iou": HOSTILE}}
    (folder / RECORD).write_text(json.dumps({**values, part: hostile[part]}))
    for words in (["list", "runs"], ["show", folder.name], ["show", HOSTILE.strip("\x00\ud800")]):
        answer = run(*words, "--results", results)
        assert isinstance(answer.exception, SystemExit | None), words
        assert not {"\x1b", "\x07", "\u202e", "\x00"} & set(answer.output)


@pytest.mark.parametrize("config", [[], 5, "text", None])
def test_the_request_of_a_running_trial_is_of_another_type(results, config):
    running = results / "trials" / "x.running"
    running.mkdir()
    (running / "trial.json").write_text(json.dumps({"config": config}))
    (running / "progress.json").write_text(json.dumps({"fraction": config, "phase": config}))
    assert run("list", "runs", "--results", results).exit_code == 0
    assert run("show", "x", "--results", results).exit_code == 0


# Tables


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"name": pa.array(["a"] * 600_000), "tp_0": pa.array([1] * 600_000)}, "it has 600,000 rows"),
        ({"name": pa.array(["a"]), **{f"c{n}": pa.array([1]) for n in range(10_000)}}, "it has 10,005 columns"),
        ({"name": pa.array(["a" * 10_000] * 9), "group": pa.array(["a"] * 9)}, "texts of more than 4,096 characters"),
        ({"name": pa.array([1] * 9), "group": pa.array(["a"] * 9)}, "the column 'name' isn't of texts"),
        ({"name": pa.array(["a"]), "group": pa.array(["a"]), "tp_0": pa.array([0.5])}, "tp_0"),
    ],
)
def test_a_table_that_would_exhaust_memory_is_not_read(tmp_path, columns, said):
    counts = {f"{kind}_0": pa.array([1] * len(columns["name"])) for kind in ("tp", "fp", "fn")}
    file = tmp_path / IMAGES
    pq.write_table(pa.table({"group": columns["name"], **counts, **columns}), file)
    assert file.stat().st_size < 4_000_000
    with pytest.raises(BenchError, match=f"no readable per-image table .*{said}"):
        read_table(file)


@pytest.mark.parametrize("rows", [5_000_000, 50_000_000])
def test_a_small_file_of_millions_of_rows_takes_neither_time_nor_memory(results, rows):
    part = 1_000_000
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(part, np.int32)), pa.array(["a"]))
    columns = dict.fromkeys(("name", "group"), texts) | {f"{kind}_0": [1] * part for kind in ("tp", "fp", "fn")}
    table, file = pa.table(columns), first(results) / IMAGES
    with pq.ParquetWriter(file, table.schema) as writer:
        for _ in range(rows // part):
            writer.write_table(table)
    assert file.stat().st_size < 3_000_000
    code = (
        "import resource, sys; from bench.core.errors import BenchError\n"
        "from bench.evaluation.image_table import read_table\n"
        "start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_table(sys.argv[1])\n"
        "except BenchError as error: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start, error)"
    )
    answer = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, timeout=60)
    grown, _, said = answer.stdout.partition(" ")
    assert f"it has {rows:,} rows, and more than 500,000 are never read" in said
    assert int(grown) < 100_000  # KiB
    assert run("report", results).exit_code == 0
