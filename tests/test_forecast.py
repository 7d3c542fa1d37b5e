"""`bench plan`: probes, and what they foretell of a grid, on made records whose truth is known."""

from dataclasses import replace

import pytest
from running import CONFIG, OK, FakeExecutor
from typer.testing import CliRunner

from bench.cli import app
from bench.config import catalog
from bench.core.specs import Budget
from bench.core.trial_config import OPTIONS
from bench.profiling.environment import expected_device, versions
from bench.results.loading import StoredTrial
from bench.trials import runner
from bench.trials.forecasts import forecast, probes
from bench.trials.forecasts.forecast import Range, ends, forecasts, in_order, total
from bench.trials.forecasts.forecast_text import between, lines, table
from bench.trials.forecasts.probes import probe_of, probes_of
from bench.trials.progress import Observer
from bench.trials.scheduling.slots import Slot
from tests.fake_results import failed_record, fake_record

SMALL = replace(CONFIG, budget=Budget(1000, "steps"))
LARGE = replace(SMALL, image_size=(64, 64))


def probed(config, *, step=0.1, rest=60.0, mib=500.0, folder, rate=None):
    """A probe of 20 steps of so many seconds each, and of so many seconds for all else."""
    record, _ = fake_record(probe_of(config))
    images = 20 * config.batch_size
    return StoredTrial(
        replace(
            record,
            device=expected_device(),
            config=probe_of(config).to_dict(),
            training={"steps": 20, "images": images, "train_seconds": 20 * step},
            speed={"train_images_per_second": rate or config.batch_size / step},
            memory={"process_peak_mib": mib},
            model={"file_mib": 4.0},
            wall_seconds=20 * step + rest,
        ),
        folder,
    )


def test_a_grid_has_a_probe_for_each_model_and_none_for_each_seed_or_rate():
    grid = [replace(c, seed=seed, lr=lr) for c in (SMALL, LARGE) for seed in range(5) for lr in (0.1, 0.01)]
    found = probes_of(grid)
    assert [probe.image_size for probe in found] == [(32, 32), (64, 64)]
    assert {str(probe.budget) for probe in found} == {"20steps"} and {probe.keep_weights for probe in found} == {"none"}
    assert probe_of(found[0]) == found[0]


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.step_time])
def test_whatever_changes_the_time_of_a_step_is_kept_in_a_probe(name):
    assert name not in probes._ALIKE


def test_the_time_of_a_grid_by_hand(tmp_path):
    """0.1 s a step and 60 s besides: 1,000 steps take 160 s, with 45 to 75 s for what was measured once."""
    grid = [replace(SMALL, seed=seed) for seed in range(3)]
    (one,) = forecasts(grid, [], [probed(SMALL, folder=tmp_path)])
    assert (one.trials, one.done, one.memory_mib, one.problem) == (3, 0, 500.0, "")
    assert (one.trial.low, one.trial.middle, one.trial.high) == pytest.approx((145.0, 160.0, 175.0))
    assert total([one]).middle == pytest.approx(480.0) and ends([one]) == pytest.approx([160.0, 320.0, 480.0])
    (line,) = [text for text in lines([one], price_per_hour=3.0, free_mib=1e6) if text.startswith("Money")]
    assert line == "Money: about 0.40 (0.36 to 0.44) at 3 an hour."  # 480 s are 0.1333 h


def test_trials_at_once_take_the_time_of_the_busiest_device_and_on_shares_of_the_cores_up_to_that_of_all(tmp_path):
    """Three trials of 160 s (145 to 175) on two devices: the third begins after 160 s."""
    (one,) = forecasts([replace(SMALL, seed=seed) for seed in range(3)], [], [probed(SMALL, folder=tmp_path)])
    assert ends([one], 2) == pytest.approx([160.0, 160.0, 320.0])
    assert total([one], 2) == Range(*(pytest.approx(seconds) for seconds in (290.0, 320.0, 350.0)))
    assert total([one], 2, on_shares=True).high == pytest.approx(525.0)
    assert total([], 2) == Range(0.0, 0.0, 0.0)
    texts = lines([one], price_per_hour=3.0, free_mib=1e6, at_once=2, on_shares=True)
    assert "320 s (290 s to 525 s), 2 trials at once; their times are those with all cores" in texts[1]


def test_a_budget_in_seconds_needs_no_rate_and_a_range_spans_what_was_measured(tmp_path):
    timed = replace(SMALL, budget=Budget(600, "seconds"))
    known = [probed(SMALL, folder=tmp_path, rest=rest) for rest in (50.0, 60.0, 90.0)]
    (one,) = forecasts([timed], [], known)
    assert one.trial == pytest.approx(Range(650.0, 660.0, 690.0))
    # 16 images a step: by the blocks' rate a step takes 0.08 s, by the whole training 0.1 s.
    (one,) = forecasts([SMALL], [], [probed(SMALL, folder=tmp_path, rate=SMALL.batch_size / 0.08)])
    assert (one.trial.low, one.trial.high) == pytest.approx((80 + 45, 100 + 75))


def test_one_trial_of_each_comes_first_the_shortest_first(tmp_path):
    grid = [replace(config, seed=seed) for config in (LARGE, SMALL) for seed in range(2)]
    known = [probed(LARGE, folder=tmp_path, step=0.5), probed(SMALL, folder=tmp_path, step=0.1)]
    found = forecasts(grid, [], known)
    assert [one.config.image_size for one in in_order(found)] == [(32, 32), (64, 64), (32, 32), (64, 64)]
    assert ends(found) == pytest.approx([160.0, 720.0, 880.0, 1440.0])
    (order,) = [text for text in lines(found, price_per_hour=None, free_mib=1e6) if text.startswith("In this order")]
    assert "after about 3 min, one trial of each of the 2 configurations after 12 min, all after 24 min." in order


def test_what_does_not_fit_is_named_and_costs_nothing(tmp_path):
    full = failed_record(probe_of(LARGE), "out_of_memory", "RESOURCE_EXHAUSTED: 80 GiB asked")
    full = StoredTrial(replace(full, device=expected_device(), config=probe_of(LARGE).to_dict()), tmp_path)
    found = forecasts([SMALL, LARGE], [], [probed(SMALL, folder=tmp_path), full])
    assert total(found).middle == pytest.approx(160.0) and len(in_order(found)) == 1
    text = " ".join(lines(found, price_per_hour=None, free_mib=1e6))
    assert "unet at 64x64, batch 16, doesn't fit: out of memory: RESOURCE_EXHAUSTED" in text and "Not known" not in text


@pytest.mark.parametrize("status", ["interrupted", "timed_out", "diverged"])
def test_a_trial_that_ended_for_a_reason_of_its_own_says_nothing_of_others(tmp_path, status):
    ended = failed_record(SMALL, status, "Ctrl-C")
    ended = StoredTrial(replace(ended, device=expected_device(), config=SMALL.to_dict()), tmp_path)
    (one,) = forecasts([replace(SMALL, seed=1)], [ended], [])
    assert one.fits and not one.problem and one.trial is None


def test_what_is_not_known_is_said_and_nothing_is_made_up(tmp_path):
    elsewhere = probed(SMALL, folder=tmp_path)
    elsewhere = replace(elsewhere, record=replace(elsewhere.record, device="another GPU"))
    found = forecasts([SMALL, LARGE], [], [elsewhere])
    text = " ".join(lines(found, price_per_hour=2.0, free_mib=1e6))
    assert text.startswith("Trials: 2 to run, 0 done. Not known for 2 of the trials")
    assert "Money" not in text and "Time" not in text and between(None) == "not probed"
    assert table(found).row_count == 2
    part = " ".join(
        lines(forecasts([SMALL, LARGE], [], [probed(SMALL, folder=tmp_path)]), price_per_hour=None, free_mib=9)
    )
    assert "Time: about 160 s (145 s to 175 s)" in part and "Not known for 1" in part and "In this order" not in part


def test_the_disk_by_hand_and_a_disk_that_is_too_small(tmp_path):
    (tmp_path / "record.json").write_bytes(b" " * 2**20)
    (tmp_path / "weights.weights.h5").write_bytes(b" " * 2**21)  # counted by the model's size
    grid = [replace(SMALL, seed=seed) for seed in range(3)]
    found = forecasts(grid, [], [probed(SMALL, folder=tmp_path)])
    assert "Disk: at most 7.0 MiB, of which weights 4.0; 100 MiB are free." in lines(
        found, price_per_hour=None, free_mib=100
    )
    every = forecasts([replace(c, keep_weights="all") for c in grid], [], [probed(SMALL, folder=tmp_path)])
    (line,) = [text for text in lines(every, price_per_hour=None, free_mib=10) if text.startswith("Disk")]
    assert "at most 15.0 MiB, of which weights 12.0" in line and line.endswith("which is NOT enough.")


def test_probes_run_once_and_stay_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGBENCH_CACHE", str(tmp_path / "cache"))
    assert probes.known() == []
    executor = FakeExecutor({**OK, "environment": {"versions": versions()}}, OK)
    run = runner.run
    monkeypatch.setattr(probes.runner, "run", lambda *a, **k: run(*a, **k, slots=[Slot(expected_device(), executor)]))
    grid = [catalog.resolve_config(replace(CONFIG, seed=seed)) for seed in range(3)]
    probes.run(grid, Observer())
    probes.run([replace(config, lr=0.5) for config in grid], Observer())
    assert len(executor.started) == 1 and [trial.record.config["budget"] for trial in probes.known()] == ["20steps"]
    monkeypatch.setattr(probes, "is_stale", lambda record: True)  # other versions
    assert probes.known() == []
    probes.run([], Observer())


def test_the_command_probes_nothing_with_dry_run_and_refuses_a_price_below_zero(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(forecast, "expected_device", lambda: "cpu")
    grid = ["--arch", "unet", "--dataset", "shapes", "--budget", "10steps", "--results", str(tmp_path / "r")]
    found = CliRunner().invoke(app, ["plan", *grid, "--dry-run"])
    assert found.exit_code == 0 and "not probed" in found.output, found.output
    assert not (tmp_path / "r").exists() and not (tmp_path / "cache" / "probes").exists()
    refused = CliRunner().invoke(app, ["plan", *grid, "--dry-run", "--price-per-hour", "-1"])
    assert refused.exit_code == 2


def test_the_command_forecasts_a_shard_of_the_grid(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(forecast, "expected_device", lambda: "cpu")
    grid = ["--arch", "unet", "--dataset", "shapes", "--budget", "10steps", "--seeds", "5", "--dry-run"]
    shard = ["--results", str(tmp_path / "r"), "--shard", "2/3"]
    found = CliRunner().invoke(app, ["plan", *grid, *shard])
    assert "Shard 2 of 3: 2 of the grid's 5 trials." in found.output and "2 to run" in found.output, found.output
