"""The timings beside a record: nothing is lost between the clock and the reader, and no file harms the reader."""

import os
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.core.errors import BenchError
from bench.profiling.clock import timing_table
from bench.profiling.clock.timing import Effort, latency, paired_ratio, rate, steady
from bench.profiling.clock.timing_table import (
    BARE,
    FROZEN,
    JOINT,
    KINDS,
    LATENCY,
    LOADER,
    TIMINGS,
    TRAIN,
    TimingLog,
    read_timings,
)


def write_columns(folder, **columns):
    whole = {"kind": pa.array(["latency"]), "start": [0.0], "seconds": [0.1], "images": [1], **columns}
    pq.write_table(pa.table({name: values for name, values in whole.items() if values is not None}), folder / TIMINGS)


def test_every_sample_comes_back_in_order_with_its_images(tmp_path):
    log = TimingLog()
    for number in range(5):
        log.note(TRAIN, [0.5 + number], 32)
    log.noting(LATENCY, 1)([0.25])
    log.note(FROZEN, [7.0], 64)
    log.write(tmp_path)
    found = read_timings(tmp_path)
    assert set(found) == {TRAIN, LATENCY, FROZEN}
    assert found[TRAIN].seconds.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5] and found[TRAIN].images.tolist() == [32] * 5
    assert found[FROZEN].per_image.tolist() == [7.0 / 64]
    ends = [some.start + some.seconds for some in found.values()]
    assert min(some.start.min() for some in found.values()) == 0
    assert np.ptp(np.concatenate(ends)) < 1  # all were noted at once, so they ended at once


def test_each_way_of_timing_notes_what_it_times():
    noted = []
    found = latency(lambda: time.sleep(0.001), note=noted.extend)
    assert len(noted) == found["calls"] and np.median(noted) * 1000 == pytest.approx(found["latency_ms_p50"])
    noted.clear()
    images = rate(lambda: time.sleep(0.001), 4, note=noted.extend)
    assert 4 / np.median(noted) == pytest.approx(images)
    pairs = ([], [])
    bare, through, _ = paired_ratio(lambda: None, lambda: time.sleep(0.001), notes=tuple(p.extend for p in pairs))
    assert [np.median(side) for side in pairs] == [bare, through]
    blocks = []
    timed = steady(
        lambda count: time.sleep(0.0001 * count),
        Effort(warm_up_steps=2, steps=10, blocks=3, block_seconds=0.001),
        gpu=False,
        note=lambda seconds, steps: blocks.append((seconds, steps)),
    )
    assert blocks == [(seconds, timed.steps) for seconds in timed.seconds]


def test_consecutive_calls_follow_each_other_in_the_table(tmp_path):
    log = TimingLog()
    log.note(LATENCY, [0.25, 0.5, 0.125], 1)
    log.write(tmp_path)
    assert read_timings(tmp_path)[LATENCY].start.tolist() == pytest.approx([0, 0.25, 0.75])


def test_no_sample_is_noted_while_the_calls_are_timed():
    """What a note costs must not fall between the calls."""
    happened = []
    latency(lambda: happened.append("call"), warm_up=0, note=lambda seconds: happened.append(len(seconds)))
    rate(lambda: happened.append("call"), 1, warm_up=0, note=lambda seconds: happened.append(len(seconds)))
    numbers = [(place, count) for place, count in enumerate(happened) if count != "call"]
    assert [place for place, _ in numbers] == [numbers[0][1], len(happened) - 1]


def test_a_training_of_days_keeps_evenly_spaced_samples_and_its_last_one(tmp_path, monkeypatch):
    monkeypatch.setattr(timing_table, "MOST_BLOCKS", 10)
    log = TimingLog()
    for number in range(1, 101):
        log.note(TRAIN, [float(number)], 1)
    for number in range(1, 30_001):  # of a loader that takes microseconds
        log.note(LOADER, [float(number)], 1)
    log.write(tmp_path)
    found = read_timings(tmp_path)
    assert found[TRAIN].seconds.tolist() == [1, 12, 23, 34, 45, 56, 67, 78, 89, 100]
    assert len(found[LOADER].seconds) == 1_000 and found[LOADER].seconds[-1] == 30_000


def test_a_trial_without_a_sample_writes_a_table_that_can_be_read(tmp_path):
    TimingLog().write(tmp_path)
    assert read_timings(tmp_path) == {}


def test_a_record_made_before_samples_were_kept_has_none(tmp_path):
    assert read_timings(tmp_path) == {}


def test_a_kind_and_a_column_of_a_later_version_are_passed_over(tmp_path):
    write_columns(
        tmp_path, kind=["latency", "quantum"], start=[0.0, 1.0], seconds=[0.1, 0.2], images=[1, 1], more=[1, 2]
    )
    assert set(read_timings(tmp_path)) == {LATENCY}


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"seconds": [0.0]}, "a sample has no time"),
        ({"seconds": [-1.0]}, "a sample has no time"),
        ({"images": [0]}, "or no image"),
        ({"seconds": [float("nan")]}, "'seconds' has values that are not finite"),
        ({"start": [float("inf")]}, "'start' has values that are not finite"),
        ({"seconds": pa.array([None], pa.float32())}, "'seconds' has float or gaps"),
        ({"seconds": ["fast"]}, "'seconds' has string"),
        ({"seconds": [1]}, "'seconds' has int64"),
        ({"images": [True]}, "'images' has bool"),
        ({"images": [1e30]}, "'images' has double"),
        ({"kind": [1]}, "'kind' isn't of texts"),
        ({"kind": ["x" * 65]}, "more than 64 characters"),
        ({"seconds": None}, "seconds"),
    ],
)
def test_a_table_that_cannot_be_is_refused_in_one_line(tmp_path, columns, reason):
    write_columns(tmp_path, **columns)
    with pytest.raises(BenchError, match=f"no readable table of timings .*{reason}") as error:
        read_timings(tmp_path)
    assert "\n" not in str(error.value)


def test_a_few_bytes_that_stand_for_millions_of_rows_are_never_read(tmp_path):
    rows = timing_table._LIMITS.rows + 1
    table = pa.table(
        {
            "kind": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), ["latency"]),
            **{name: np.ones(rows, np.float32) for name in ("start", "seconds", "images")},
        }
    )
    pq.write_table(table, tmp_path / TIMINGS, compression="zstd")
    assert (tmp_path / TIMINGS).stat().st_size < 30_000
    with pytest.raises(BenchError, match="more than 1,000,000 are never read"):
        read_timings(tmp_path)


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "text", "cut"])
def test_what_is_no_plain_parquet_is_refused(tmp_path, kind):
    path, other = tmp_path / TIMINGS, tmp_path / "other"
    other.mkdir()
    write_columns(other)
    if kind == "link":
        path.symlink_to(other / TIMINGS)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"no parquet" if kind == "text" else (other / TIMINGS).read_bytes()[:-20])
    with pytest.raises(BenchError, match="no readable table of timings"):
        read_timings(tmp_path)


def test_a_day_of_training_takes_little_of_the_disk(tmp_path):
    """172,800 blocks of half a second that differ by a few per cent."""
    log, rng = TimingLog(), np.random.default_rng(0)
    for seconds in rng.normal(0.5, 0.02, 172_800).tolist():
        log.note(TRAIN, [seconds], 640)
    log.write(tmp_path)
    assert (tmp_path / TIMINGS).stat().st_size < 2 * 2**20


def test_others_can_read_the_table_without_segbench(tmp_path):
    log = TimingLog()
    log.note(BARE, [0.5], 8)
    log.note(JOINT, [0.75], 8)
    log.write(tmp_path)
    frame = pd.read_parquet(tmp_path / TIMINGS)
    assert list(frame.columns) == ["kind", "start", "seconds", "images"] and frame["kind"].isin(KINDS).all()
    assert frame["seconds"].tolist() == [0.5, 0.75]
