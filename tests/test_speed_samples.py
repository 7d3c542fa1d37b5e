"""Speeds by samples: noise of whole processes raises no alarm, a real change does, and old records say why not."""

import re
from dataclasses import replace

import numpy as np
import pytest
from fake_results import fake_config, fake_record, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.profiling.clock.timing_table import LATENCY, TIMINGS, TRAIN, Samples, write_timings
from bench.results.analysis.speed_samples import blocked, drawn_medians, least_p, shift, signed_rank
from bench.results.gate.limits import Limit
from bench.results.gate.timings import Timings, judge_speed
from bench.results.gate.verdict import OK, REGRESSION, UNJUDGED
from bench.results.quantities.performance import LATENCY as CALL_TIME

LIMIT = Limit(CALL_TIME, "higher", 0.1, relative=True)


def calls(rng, *, slower=1.0, count=100):
    """The calls of a process: 10 % between processes, and noise that lasts for several calls."""
    noise = np.convolve(rng.normal(0, 0.05, count + 19), np.ones(20) / 20**0.5, "valid")
    return 0.001 * slower * np.exp(rng.normal(0, 0.1) + noise)


def logs(rng, processes, *, slower=1.0):
    return [np.log(blocked(calls(rng, slower=slower)) / blocked(calls(rng))) for _ in range(processes)]


def test_a_block_is_the_median_of_consecutive_samples():
    assert blocked(np.array([1.0, 2.0, 9.0, 4.0, 5.0, 0.0]), 2).tolist() == [2.0, 4.0]
    assert blocked(np.array([3.0, 1.0]), 10).tolist() == [3.0, 1.0]
    assert len(blocked(np.arange(1, 104.0))) == 10


@pytest.mark.parametrize("processes", [2, 3, 5])
def test_equal_code_raises_fewer_alarms_than_its_level_allows(processes):
    rng = np.random.default_rng(processes)
    pairs = [logs(rng, processes) for _ in range(100)]
    assert sum(shift(some).is_significant for some in pairs) <= 5
    assert sum(signed_rank(some) < 0.05 for some in pairs) > 20  # what blocks alone would claim


def test_a_slowdown_that_is_larger_than_the_noise_is_found():
    rng = np.random.default_rng(0)
    found = [shift(logs(rng, 5, slower=1.6)) for _ in range(20)]
    assert sum(one.is_significant for one in found) >= 18
    assert all(one.ratio.low < one.ratio.mean < one.ratio.high for one in found)
    assert np.median([one.ratio.mean for one in found]) == pytest.approx(1.6, rel=0.1)


def test_one_pair_of_processes_is_never_significant():
    found = shift([np.full(10, 1.0) + np.arange(10) / 100])
    assert found.p < 0.01 and np.isnan(found.ratio.low) and not found.is_significant


def test_no_difference_at_all_is_no_difference():
    found = shift([np.zeros(10), np.zeros(10)])
    assert (found.ratio.mean, found.ratio.low, found.ratio.high, found.p) == (1, 1, 1, 1)


def test_a_trial_with_few_blocks_counts_as_much_as_one_with_many():
    medians = drawn_medians([np.full(2, 0.0), np.full(10, 1.0)])
    assert sorted(set(np.round(medians, 3))) == [0, 0.5, 1]
    assert (medians == 0).mean() == pytest.approx(0.25, abs=0.05)


def test_too_few_timings_are_not_judged_instead_of_passed():
    slow = Timings(np.full((1, 7), 0.01), np.full((1, 7), 0.05))
    line = judge_speed("unet", LIMIT, slow, level=0.95)
    assert line.verdict == REGRESSION
    line = judge_speed("unet", LIMIT, slow, level=0.99)  # 2 / 2^7 is 0.016
    assert line.verdict == UNJUDGED and "7 pairs of timings can't be significant. Give more --pairs" in line.reason
    assert least_p(7) == pytest.approx(signed_rank([np.arange(1, 8) / 10]))


def test_a_verdict_needs_the_signed_rank_test_too():
    """Two of five processes are slow by far in all their timings, the others fast by a little in all of theirs."""
    rng = np.random.default_rng(0)
    ratios = np.repeat([[1.5], [1.5], [1.5], [0.7], [0.7]], 9, axis=1) * np.exp(rng.normal(0, 0.01, (5, 9)))
    assert judge_speed("unet", LIMIT, Timings(np.ones((5, 9)), ratios), level=0.5).verdict == OK


def write(results, seeds, *, slower=1.0, arch="unet", **changes):
    """Write speed-only trials with samples of a latency; return their folders."""
    folders = []
    for seed in seeds:
        rng = np.random.default_rng([seed, int(100 * slower)])
        record, _ = fake_record(fake_config(arch, seed=seed, measure="speed", **changes), metrics={}, validation={})
        folders.append(
            write_trial(results, replace(record, key=f"{record.key}{arch}{record.config['fold']}"), samples=0)
        )
        times = {LATENCY: calls(rng, slower=slower), TRAIN: 40 * calls(rng, slower=slower, count=40)}
        samples = {
            kind: Samples(np.arange(len(t)), t, np.full(len(t), 1 + 15 * (kind == TRAIN))) for kind, t in times.items()
        }
        write_timings(folders[-1] / TIMINGS, samples)
    return folders


def compare(*arguments):
    result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def test_compare_tests_speed_by_the_samples_of_both_sides(tmp_path):
    write(tmp_path / "a", range(5))
    write(tmp_path / "b", range(5), slower=2.0)
    told = compare(tmp_path / "a", tmp_path / "b")
    assert "significantly worse: 5 pairs of trials, 50 of blocks, signed-rank p = " in told
    assert "latency ms p50: x 2" in told or "latency ms p50: x 1.9" in told
    assert "train images per second: x 0.4" in told or "train images per second: x 0.5" in told
    told = compare(tmp_path / "a", tmp_path / "a")
    assert told.count("x 1, not significantly different: 5 pairs of trials, 50 of blocks, signed-rank p = 1") == 2


def test_only_equal_seeds_are_paired_and_one_says_nothing_of_other_processes(tmp_path):
    write(tmp_path / "a", (0, 1))
    write(tmp_path / "b", (1, 2), slower=3.0)
    assert "not separable from what differs between processes: 1 pair of trials, 10 of blocks" in compare(
        tmp_path / "a", tmp_path / "b"
    )
    write(tmp_path / "c", (7, 8))
    assert "(no seed in common, so the samples are not paired)" in compare(tmp_path / "a", tmp_path / "c")


def test_each_fold_is_paired_with_the_same_fold(tmp_path):
    for fold, slower in ((1, 1.0), (2, 5.0)):
        for side in "ab":
            write(tmp_path / side, (0,), slower=slower, folds=2, fold=fold)
    told = compare(tmp_path / "a", tmp_path / "b")
    assert told.count("x 1, not significantly different: 2 pairs of trials, 20 of blocks") == 2


def test_records_without_samples_are_compared_by_summaries_and_say_so(tmp_path):
    write(tmp_path / "a", range(3))
    for folder in write(tmp_path / "b", range(3)):
        (folder / TIMINGS).unlink()
    told = compare(tmp_path / "a", tmp_path / "b")
    assert "(samples not recorded) latency ms p95" in told and "of blocks" not in told


def test_damaged_samples_are_named(tmp_path):
    write(tmp_path / "a", range(2))
    (write(tmp_path / "b", range(2))[1] / TIMINGS).write_bytes(b"none")
    told = compare(tmp_path / "a", tmp_path / "b")
    assert "is no readable table of timings" in told and ".)" not in told.partition("is no readable")[2][:120]


def test_several_pairs_have_a_star_where_samples_differ(tmp_path):
    for name, slower in (("a", 1.0), ("b", 4.0)):
        write(tmp_path / name, range(4), slower=slower)
        write(tmp_path / name, range(4), arch="segnet")
    told = compare(tmp_path / "a", tmp_path / "b")
    assert re.search(r"unet, speed-only 0\.2\d+x\* 1x", told) and "segnet, speed-only 1x 1x" in told
