"""The store's folders, the frame of `load_results`, and pooling over seeds."""

import json
import math
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_results import CLASSES, failed_record, fake_config, fake_record, fake_results, table_metrics, write_trial

from bench.core.errors import BenchError
from bench.core.files import write_atomically
from bench.core.specs import SCHEMA_VERSION
from bench.results.analysis.configurations import pool
from bench.results.analysis.same_trial import drop_duplicates
from bench.results.clean_text import clean, shorten
from bench.results.dataframe import load_results, trials_frame
from bench.results.loading import StoredTrial, load
from bench.results.marker import check_writable, why_unreadable
from bench.results.merged.merging import merge
from bench.results.record_reader import read_record
from bench.results.store import ResultsFolder
from bench.results.trial_files import MARKER, RECORD

README = Path(__file__).parents[1] / "results" / "README.md"


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Ten ok trials and three that are not."""
    return fake_results(tmp_path_factory.mktemp("records") / "results")


# The store


def test_a_record_comes_back_as_it_was(tmp_path):
    record, table = fake_record(fake_config("unet", "mobilenet_v2", params={"filters": [8, 16]}))
    folder = write_trial(tmp_path, record, table)
    assert read_record(folder) == record
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "images.parquet"), table)
    (trial,) = load([tmp_path]).trials
    assert len(trial.history()) == 10 and len(trial.samples()) == 2


def test_a_final_record_is_not_replaced_by_one_to_be_retried(tmp_path):
    record, _ = fake_record(fake_config())
    folder = write_trial(tmp_path, record)
    write_trial(tmp_path, replace(failed_record(fake_config()), key=record.key))
    assert read_record(folder).status == "ok"
    assert not list((tmp_path / "trials").glob("*.running"))


def test_a_failed_record_is_replaced(tmp_path):
    record, _ = fake_record(fake_config())
    write_trial(tmp_path, replace(failed_record(fake_config()), key=record.key))
    folder = write_trial(tmp_path, record)
    assert read_record(folder).status == "ok" and len(load([tmp_path]).trials) == 1


def test_running_and_abandoned_trials_are_distinguished(tmp_path):
    store = ResultsFolder(tmp_path)
    store.create()
    for name in ("alive", "dead"):
        store.running_folder(name).mkdir()
    with store.claim("alive"):
        loaded = load([tmp_path])
    assert [p.name for p in loaded.running] == ["alive.running"]
    assert [p.name for p in loaded.abandoned] == ["dead.running"]


def test_a_history_that_was_cut_short(tmp_path):
    folder = write_trial(tmp_path, *fake_record(fake_config()))
    with (folder / "history.jsonl").open("a") as file:
        file.write('{"fraction": 1.0, "val_me')
    (trial,) = load([tmp_path]).trials
    assert len(trial.history()) == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is broken"),
        ("[]", "is broken"),
        ("{}", "has no"),
        ('{"schema_version": 99}', "newer segbench"),
        ('{"schema_version": "x"}', "is broken"),
        (None, "no readable"),
    ],
)
def test_bad_records_are_named(tmp_path, text, said):
    write_trial(tmp_path, *fake_record(fake_config()))
    bad = tmp_path / "trials" / "bad"
    bad.mkdir()
    if text is not None:
        (bad / RECORD).write_text(text)
    loaded = load([tmp_path])
    assert len(loaded.trials) == 1
    (problem,) = loaded.problems
    assert problem.startswith("bad: ") and said in problem


def test_a_record_of_a_later_version_with_more_fields(tmp_path):
    folder = write_trial(tmp_path, *fake_record(fake_config()))
    values = json.loads((folder / RECORD).read_text())
    (folder / RECORD).write_text(json.dumps({**values, "energy": {"joule": 1}}))
    assert read_record(folder).status == "ok"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_results_folder_that_can_not_be_made_is_said_before_any_work():
    with pytest.raises(BenchError, match=r"'/proc/foo/r' can't be made .*Give another folder with --results"):
        check_writable(Path("/proc/foo/r"))


def test_only_results_folders_are_read_and_written(tmp_path):
    with pytest.raises(BenchError, match="isn't a results folder"):
        load([tmp_path])
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BenchError, match="not empty"):
        check_writable(tmp_path)
    (tmp_path / MARKER).write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(BenchError, match="newer segbench"):
        check_writable(tmp_path)
    with pytest.raises(BenchError, match="is a file"):
        check_writable(tmp_path / "notes.txt")


# The frame


def test_a_row_for_each_trial(results):
    frame = load_results(results)
    assert len(frame) == 13
    assert frame["status"].value_counts().to_dict() == {"ok": 10, "out_of_memory": 1, "diverged": 1, "failed": 1}
    row = frame[(frame["arch"] == "deeplab") & (frame["backbone"] == "resnet50") & (frame["seed"] == 1)].iloc[0]
    record, table = fake_record(fake_config("deeplab", "resnet50", 1))
    assert row["mean_iou"] == pytest.approx(table_metrics(table)["mean_iou"])
    assert row["iou_border"] == pytest.approx(record.metrics["iou"]["border"])
    assert (row["image_size"], row["budget"], row["batch_size"], row["lr"]) == ("128x128", "10epochs", 16, 0.001)
    assert (row["params"], row["test_images"], row["memory_method"]) == (11_854_787, 12, "process RSS")
    assert row["train_seconds"] == record.training["train_seconds"]
    assert row["ledger_compile_seconds"] == 21.5 and row["version_keras"] == "3.15.1"
    assert (Path(row["folder"]) / RECORD).is_file()


def test_every_column_is_explained(results):
    explained = set(re.findall(r"`([a-z0-9_<>]+)`", README.read_text()))
    patterns = [re.compile(re.sub("<[a-z]+>", ".+", name)) for name in explained if "<" in name]
    columns = load_results(results).columns
    missing = [c for c in columns if c not in explained and not any(p.fullmatch(c) for p in patterns)]
    assert not missing


def test_several_folders(tmp_path, results):
    other = fake_results(tmp_path / "other", nets=1, seeds=1, failures=False)
    write_trial(other, *fake_record(fake_config(seed=5)))
    assert len(load_results([results, other])) == 14  # one of the other two is the same trial again


@pytest.mark.parametrize(
    ("first", "second", "stays"),
    [
        (("timed_out", "02"), ("ok", "01"), "ok"),
        (("ok", "01"), ("diverged", "02"), "ok"),
        (("failed", "02"), ("out_of_memory", "01"), "out_of_memory"),
        (("failed", "01"), ("timed_out", "02"), "timed_out"),
        (("timed_out", "02"), ("failed", "01"), "timed_out"),
    ],
)
def test_of_equal_trials_the_best_stays(tmp_path, first, second, stays):
    for name, (status, finished) in (("a", first), ("b", second)):
        write_trial(tmp_path / name, fake_record(fake_config(), status=status, finished=finished)[0])
    assert list(load_results([tmp_path / "a", tmp_path / "b"])["status"]) == [stays]
    (line,) = drop_duplicates(load([tmp_path / "a", tmp_path / "b"]).trials)[1]
    assert "Conflict: " in line and f" kept, {tmp_path}" in line


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        (None, "There is no results folder"),
        ("folder", "isn't a results folder (its segbench.json is a folder)"),
        ("fifo", "isn't a results folder (its segbench.json is a FIFO)"),
        ("link", "isn't a results folder (its segbench.json is a link)"),
        ('{"schema": 99}', "segbench.json' can't be read (it has no schema_version)."),
        ('{"schema_version": "new"}', "segbench.json' can't be read (schema_version is 'new')."),
        ("{", "segbench.json' can't be read ("),
    ],
)
def test_what_is_no_results_folder_is_said_without_advice_that_a_reader_cant_follow(tmp_path, marker, said):
    path = tmp_path / "r" / MARKER
    if marker:
        path.parent.mkdir()
    if marker == "folder":
        path.mkdir()
    elif marker == "fifo":
        os.mkfifo(path)
    elif marker == "link":
        path.symlink_to(tmp_path / "nowhere")
    elif marker:
        path.write_text(marker)
    problem = why_unreadable(tmp_path / "r")
    assert problem and said in problem and "Give --results" not in problem
    if marker:
        with pytest.raises(BenchError, match="Give --results an"):
            check_writable(tmp_path / "r")
    (tmp_path / "file").touch()
    assert "is a file, not a results folder" in why_unreadable(tmp_path / "file")


@pytest.mark.parametrize("part", ["metrics", "memory", "speed", "status"])
def test_a_broken_number_or_status_is_named_with_its_field(tmp_path, part):
    wrong = {
        "metrics": ({"mean_iou": "0.5"}, "'metrics.mean_iou' is '0.5', but it must be a number or null"),
        "memory": ({"peak_memory_mib": -1}, "'memory.peak_memory_mib' is -1, but it must be 0 or more"),
        "speed": ({"latency_ms_p95": True}, "'speed.latency_ms_p95' is True, but it must be a number or null"),
        "status": ("fine", "'status' is 'fine', but it must be one of ok, diverged"),
    }
    folder = write_trial(tmp_path, *fake_record(fake_config()))
    values = json.loads((folder / RECORD).read_text())
    (folder / RECORD).write_text(json.dumps({**values, part: wrong[part][0]}))
    loaded = load([tmp_path])
    assert not loaded.trials and wrong[part][1] in loaded.problems[0]


def test_a_training_that_diverged_may_have_measured_nan(tmp_path):
    record, table = fake_record(fake_config())
    write_trial(tmp_path, replace(record, metrics={"mean_iou": math.nan, "dice": None}), table)
    assert len(load([tmp_path]).trials) == 1


def test_copies_and_conflicts_of_a_trial_have_the_words_of_a_merge(tmp_path):
    record, table = fake_record(fake_config())
    for name, status in (("a", "ok"), ("b", "ok"), ("c", "failed")):
        write_trial(tmp_path / name, replace(record, status=status), table, samples=0)
    paths = [tmp_path / name for name in "abc"]
    copy, other = drop_duplicates(load(paths).trials)[1]
    assert "a copy of" in copy and other.startswith("Conflict: ") and "ok with mean IoU 0." in other
    assert merge(paths, tmp_path / "all").conflicts == [other]


@pytest.mark.parametrize(("interrupted", "failed"), [(1, 0), (0, 1), (2, 1)])
def test_interrupted_trials_are_not_counted_as_failed(tmp_path, interrupted, failed):
    statuses = ["interrupted"] * interrupted + ["timed_out"] * failed
    records = [fake_record(fake_config(seed=seed), status=status)[0] for seed, status in enumerate(statuses)]
    (one,) = pool(trials_frame(StoredTrial(record, tmp_path) for record in records))
    counts = [f"{failed} failed"] * (failed > 0) + [f"{interrupted} interrupted"] * (interrupted > 0)
    assert one.not_ok == ", ".join(counts)


def test_an_empty_folder_has_the_columns_all_the_same(tmp_path):
    ResultsFolder(tmp_path).create()
    frame = load_results(tmp_path)
    assert len(frame) == 0
    assert {"status", "arch", "mean_iou", "latency_ms_p95", "harness_efficiency", "seed"} <= set(frame.columns)


def test_builder_parameters_and_model_size_are_two_columns(tmp_path):
    record, _ = fake_record(fake_config(params={"filters": [8, 16], "depth": 2}))
    row = trials_frame([StoredTrial(record, tmp_path)]).iloc[0]
    assert row["builder_params"] == '{"depth": 2, "filters": [8, 16]}'
    assert row["params"] == 31_031_685


def test_no_metric_can_replace_what_identifies_a_trial(tmp_path):
    record, _ = fake_record(fake_config())
    record = replace(record, metrics={**record.metrics, "status": 1.0, "arch": 2.0, "airbus_f2": 0.7})
    row = trials_frame([StoredTrial(record, tmp_path)]).iloc[0]
    assert (row["status"], row["arch"], row["airbus_f2"]) == ("ok", "unet", 0.7)


# Pooling


def _pooled(tmp_path, scores, **changes):
    """One configuration from (seed, repeat, mean_iou)."""
    trials = []
    for seed, repeat, score in scores:
        record, _ = fake_record(fake_config(seed=seed, repeat=repeat))
        record = replace(record, metrics={"mean_iou": score}, **changes)
        trials.append(StoredTrial(record, tmp_path))
    return pool(trials_frame(trials))


def test_mean_and_spread_over_seeds(tmp_path):
    (configuration,) = _pooled(tmp_path, [(0, 0, 0.70), (1, 0, 0.72), (2, 0, 0.77)])
    spread = configuration.spread("mean_iou")
    # mean 2.19 / 3 = 0.73; deviations -0.03, -0.01, 0.04; squares 0.0026 / (3 - 1) = 0.0013
    assert spread.mean == pytest.approx(0.73)
    assert spread.sd == pytest.approx(np.sqrt(0.0013))
    assert spread.n == configuration.seeds == 3


def test_one_seed_has_no_spread(tmp_path):
    (configuration,) = _pooled(tmp_path, [(0, 0, 0.7)])
    assert configuration.spread("mean_iou").sd is None
    assert configuration.spread("mean_iou").n == 1


def test_repeats_are_no_seeds(tmp_path):
    (configuration,) = _pooled(tmp_path, [(0, 0, 0.60), (0, 1, 0.70), (0, 2, 0.80), (1, 0, 0.90)])
    spread = configuration.spread("mean_iou")
    # seed 0: 0.70, seed 1: 0.90; mean 0.80, sd sqrt(2 x 0.01 / 1)
    assert (spread.n, spread.mean, spread.sd) == (2, pytest.approx(0.8), pytest.approx(np.sqrt(0.02)))


def test_a_value_that_is_missing_for_a_seed(tmp_path):
    (configuration,) = _pooled(tmp_path, [(0, 0, 0.7), (1, 0, None)])
    assert configuration.spread("mean_iou").n == 1 and configuration.spread("mean_iou").sd is None
    assert configuration.spread("no such column").n == 0


def test_failures_are_counted_with_their_configuration(results):
    counted = {(c.values["arch"], c.values["backbone"]): (c.seeds, c.failed) for c in pool(load_results(results))}
    assert counted["unet", ""] == (2, 1)
    assert counted["deeplab", "mobilenet_v2"] == (2, 0)


def test_other_folders_and_timeouts_are_the_same_configuration(tmp_path):
    trials = []
    for seed, folder in enumerate(("/a", "/b")):
        record, _ = fake_record(fake_config(seed=seed, data_dir=folder, timeout=60.0 * (seed + 1)))
        trials.append(StoredTrial(record, tmp_path))
    assert len(pool(trials_frame(trials))) == 1


@pytest.mark.parametrize("change", [{"device": "other"}, {"protocol_version": 2}, {"dataset": {"fingerprint": "f"}}])
def test_other_devices_protocols_and_data_are_other_configurations(tmp_path, change):
    record, _ = fake_record(fake_config())
    trials = [StoredTrial(r, tmp_path) for r in (record, replace(record, **change))]
    assert len(pool(trials_frame(trials))) == 2


def _of(tmp_path, *records):
    return [(c.seeds, c.failed) for c in pool(trials_frame(StoredTrial(record, tmp_path) for record in records))]


def test_the_configuration_of_the_record_decides(tmp_path):
    paths = [fake_record(fake_config(seed=s, plugin=f"{s}.py"), configuration="a")[0] for s in range(2)]
    assert _of(tmp_path, *paths) == [(2, 0)]  # the same file at two paths
    assert _of(tmp_path, paths[0], replace(paths[0], configuration="b")) == [(1, 0), (1, 0)]  # an edited file
    assert _of(tmp_path, paths[0], replace(paths[1], device="other")) == [(1, 0), (1, 0)]
    assert _of(tmp_path, *(replace(record, configuration="") for record in paths)) == [(1, 0), (1, 0)]
    failed = failed_record(fake_config(seed=3, plugin="0.py"), configuration="a", dataset={})
    assert _of(tmp_path, failed, paths[0]) == [(1, 1)]


# Text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("plain", "plain"),
        ("a\nb\tc", "a b c"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\ud800", "\ufffd"),
        ("\u202etxt", "\ufffdtxt"),
        ("日本 🙂 é", "日本 🙂 é"),
        ({"b": 1, "a": None}, '{"a": null, "b": 1}'),
    ],
)
def test_clean(value, text):
    assert clean(value) == text


def test_shorten():
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abcde…"


def test_the_fakes_metrics_come_from_their_table():
    record, table = fake_record(fake_config())
    assert record.metrics == table_metrics(table)
    for index, name in enumerate(CLASSES):
        tp, fp, fn = (table[f"{kind}_{index}"].sum() for kind in ("tp", "fp", "fn"))
        assert record.metrics["iou"][name] == pytest.approx(tp / (tp + fp + fn))


def test_a_part_of_a_data_set_is_a_column_that_is_empty_where_a_record_has_none(tmp_path):
    for seed, given in enumerate(({"dataset_params": {"balance_ships": 200}}, {"dataset_params": {}}, None)):
        record, table = fake_record(fake_config(seed=seed))
        config = {name: value for name, value in record.config.items() if name != "dataset_params"}
        write_trial(tmp_path, replace(record, config={**config, **(given or {})}), table, samples=0)
    frame = load_results(tmp_path).sort_values("seed")
    assert frame["dataset_params"].tolist() == ['{"balance_ships": 200}', "", ""]


def test_a_folder_that_another_process_is_making_is_no_foreign_one(tmp_path):
    with write_atomically(tmp_path / MARKER) as part:
        part.touch()
        ResultsFolder(tmp_path)
    (tmp_path / MARKER).unlink()
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(BenchError, match="is not empty"):
        ResultsFolder(tmp_path)
