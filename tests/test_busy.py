"""Speeds measured on a busy CPU: marked and widened, or left out where the same row has a quiet measurement."""

import math
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from fake_results import fake_config, fake_record, write_trial
from rich.console import Console

from bench.profiling.clock.timing_table import TIMINGS, TRAIN, Samples, write_timings
from bench.report.leaderboard import groups
from bench.report.page import sampling_text
from bench.report.speed_tables import speed_boards
from bench.report.text.comparison import comparison_lines
from bench.results.analysis.comparing import compare
from bench.results.analysis.configurations import pool
from bench.results.analysis.quiet import quiet_interval
from bench.results.dataframe import load_results
from bench.results.loading import load
from bench.results.quantities import QUANTITIES

RATE, LATENCY = QUANTITIES["train_images_per_second"], QUANTITIES["latency_ms_p50"]


def write(results, seed, share, speed=None, arch="unet", **options):
    """A trial in whose training others took that share of the CPU; None: a record from before that was measured."""
    record, table = fake_record(fake_config(arch, seed=seed, **options))
    noise = {} if share is None else {"cpu_noise": {"train": {"others_share": share}, "profile": {"others_share": 0.0}}}
    rate = {} if speed is None else {"train_images_per_second": speed}
    record = replace(record, environment={**record.environment, **noise}, speed={**record.speed, **rate})
    write_trial(results, record, table, samples=0)


def member(results):
    (found,) = pool(load_results(results))
    return found


@pytest.mark.parametrize(
    ("column", "share", "sd", "interval"),
    [
        (RATE, 0.5, None, (100.0, 200.0)),  # half of the cores were taken: up to twice as fast
        (RATE, 0.2, 10.0, (90.0, 137.5)),  # (100 + 10) / 0.8
        (LATENCY, 0.5, None, (50.0, 100.0)),
        (LATENCY, 0.2, 10.0, (72.0, 110.0)),  # (100 - 10) x 0.8
        (RATE, 1.0, None, (100.0, 10_000.0)),
        (RATE, 0.1, None, None),  # quiet
        (RATE, float("nan"), None, None),  # not recorded
        (QUANTITIES["mean_iou"], 0.5, None, None),
        (QUANTITIES["harness_efficiency"], 0.5, None, None),  # a ratio of two timings in turn
        (QUANTITIES["peak_memory_mib"], 0.5, None, None),
    ],
)
def test_how_wide_the_interval_is(column, share, sd, interval):
    assert quiet_interval(column, 100.0, sd, share) == (interval and pytest.approx(interval))


def test_a_busy_row_is_ranked_with_a_mark_and_its_interval(tmp_path):
    write(tmp_path, 0, 0.5, 100.0)
    (group,) = groups(load_results(tmp_path))
    row = group.ranked[0]
    cell = row.cells["train_images_per_second"]
    assert cell.text == "~100" and cell.sort == 100.0
    assert cell.title.startswith("other processes took 50% of the CPU; 100 to 200 images/s on a quiet machine")
    assert not row.cells["mean_iou"].text.startswith("~")
    assert [note for note in group.notes if note.startswith("~")] == [
        "~: measured while other processes took up to 50% of the CPU; a quiet machine may be up to 2 times as fast."
    ]
    assert [flag.name for flag in row.flags if flag.name == "busy machine"]


def test_a_busy_trial_s_speeds_are_left_out_beside_quiet_ones_and_nothing_else_is(tmp_path):
    write(tmp_path, 0, 0.02, 100.0)
    write(tmp_path, 1, 0.6, 40.0)
    write(tmp_path, 2, 0.04, 110.0)
    found = member(tmp_path)
    assert (found.spread("train_images_per_second").mean, found.spread("train_images_per_second").n) == (105.0, 2)
    assert found.spread("mean_iou").n == found.spread("params").n == found.seeds == 3
    (group,) = groups(load_results(tmp_path))
    assert group.ranked[0].cells["train_images_per_second"].text == "105"
    (flag,) = [flag for flag in group.ranked[0].flags if flag.name == "busy machine"]
    assert flag.evidence.endswith("their speeds are left out beside those of quiet trials")


def test_a_quiet_trial_of_another_row_leaves_a_busy_one_in(tmp_path):
    write(tmp_path, 0, 0.02, 100.0)
    write(tmp_path, 0, 0.6, 40.0, arch="segnet")
    assert sorted(m.spread("train_images_per_second").mean for m in pool(load_results(tmp_path))) == [40.0, 100.0]


@pytest.mark.parametrize("share", [0.02, 0.6])
def test_a_record_from_before_is_neither_busy_nor_known_to_be_quiet(tmp_path, share):
    write(tmp_path, 0, None, 100.0)
    write(tmp_path, 1, share, 40.0)
    assert member(tmp_path).spread("train_images_per_second").mean == 70.0


def test_records_from_before_have_no_figure_and_no_mark(tmp_path):
    write(tmp_path, 0, None, 100.0)
    frame = load_results(tmp_path)
    assert "cpu_others_share" not in frame
    (group,) = groups(frame)
    assert group.ranked[0].cells["train_images_per_second"].text == "100"
    assert not [note for note in group.notes if note.startswith("~")]


def test_the_table_of_speeds_has_the_mark_too(tmp_path):
    write(tmp_path, 0, 0.5, 100.0, dataset="none", measure="speed")
    (board,) = speed_boards(load_results(tmp_path))
    (row,) = board.rows
    assert row.cells["train_images_per_second"] == "~100" and row.values["train_images_per_second"] == 100.0
    assert "100 to 200 images/s on a quiet machine" in row.titles["train_images_per_second"]
    assert "busy machine" in row.cells["flags"]
    console = Console(width=100, file=StringIO())
    console.print(board.terminal_table())
    for text in (console.file.getvalue(), "\n".join(board.markdown())):
        assert "took up to 50% of the CPU" in " ".join(text.split())


def write_samples(results, seed, share, seconds):
    """A trial with that share and samples: ten blocks of training of that many seconds each, a little apart."""
    write(results, seed, share, 1 / seconds)
    (trial,) = [one for one in load([results]).trials if one.record.config["seed"] == seed]
    taken = seconds * np.linspace(1, 1.01, 11)
    write_timings(trial.folder / TIMINGS, {TRAIN: Samples(np.arange(11.0), taken, np.ones(11, int))})


def compared(one, other):
    """The ratios of the second folder's configuration to the first one's."""
    return compare("", member(one), member(other)).ratios


@pytest.mark.parametrize(
    ("shares", "interval"),
    [
        ((0.0, 0.0), None),  # one seed, quiet: no interval
        ((0.5, 0.0), (0.4, 0.8)),  # the first may be twice as fast
        ((0.0, 0.5), (0.8, 1.6)),
        ((0.5, 0.2), (0.4, 1.0)),
    ],
)
def test_the_ratio_of_two_speeds_is_widened_by_what_was_taken_from_either_side(tmp_path, shares, interval):
    for name, share, speed in zip("ab", shares, (100.0, 80.0), strict=True):
        write(tmp_path / name, 0, share, speed)
    ratios = compared(tmp_path / "a", tmp_path / "b")
    rate, memory = ratios["train_images_per_second"], ratios["peak_memory_mib"]
    assert rate.mean == pytest.approx(0.8) and math.isnan(memory.low)
    assert (None if math.isnan(rate.low) else (rate.low, rate.high)) == (interval and pytest.approx(interval))
    assert (None if math.isnan(ratios["latency_ms_p95"].low) else True) == (interval and True)


def test_a_comparison_leaves_out_what_a_quiet_trial_of_the_same_row_replaces(tmp_path):
    write(tmp_path / "a", 0, 0.0, 100.0)
    for seed, (share, speed) in enumerate([(0.0, 100.0), (0.6, 10.0)]):
        write(tmp_path / "b", seed, share, speed)
    assert compared(tmp_path / "a", tmp_path / "b")["train_images_per_second"].mean == pytest.approx(1.0)


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_speed_that_a_busy_cpu_may_explain_is_not_significantly_different_by_samples(tmp_path, share):
    for seed in range(3):
        write_samples(tmp_path / "a", seed, 0.0, 1.0)
        write_samples(tmp_path / "b", seed, share, 2.0)  # half the speed, of 40 % of the CPU
    found = compare("", member(tmp_path / "a"), member(tmp_path / "b"))
    shift = found.speeds["train_images_per_second"]
    assert shift.ratio.mean == pytest.approx(0.5) and shift.processes == 3
    assert shift.is_significant == (share == 0.0)
    said = "Busy machine: other processes took 60% of the CPU (second), so the intervals of speeds are wider."
    assert (said in comparison_lines(found)) == (share > 0)


def test_the_samples_of_a_busy_trial_are_left_out_beside_quiet_ones(tmp_path):
    for seed, (share, seconds) in enumerate([(0.0, 1.0), (0.0, 1.0), (0.6, 9.0)]):
        write_samples(tmp_path / "a", seed, 0.0, 1.0)
        write_samples(tmp_path / "b", seed, share, seconds)
    shift = compare("", member(tmp_path / "a"), member(tmp_path / "b")).speeds["train_images_per_second"]
    assert shift.ratio.mean == pytest.approx(1.0) and shift.processes == 2


def test_one_pair_of_processes_stays_insignificant_when_its_interval_is_widened(tmp_path):
    write_samples(tmp_path / "a", 0, 0.0, 1.0)
    write_samples(tmp_path / "b", 0, 0.2, 9.0)
    shift = compare("", member(tmp_path / "a"), member(tmp_path / "b")).speeds["train_images_per_second"]
    assert shift.ratio.high < 1 and not shift.is_significant


def test_the_page_tells_what_sampling_took_of_a_core(tmp_path):
    record, table = fake_record(fake_config("unet"))
    noise = {"train": {"others_share": 0.0}, "sampling": {"core_share": 0.0005}}
    memory = {**record.memory, "memory_sampling_core_share": 0.0035}
    environment = {**record.environment, "cpu_noise": noise}
    write_trial(tmp_path, replace(record, memory=memory, environment=environment), table, samples=0)
    said = "Reading memory and load while it ran took a trial at most 0.4% of a core."
    assert sampling_text(load_results(tmp_path)) == said


def test_nothing_is_said_of_the_cost_of_sampling_if_no_record_tells(tmp_path):
    write(tmp_path, 0, None)
    assert sampling_text(load_results(tmp_path)) == ""
