"""One trial over several devices equals the same trial on one, and is never mixed with it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fake_results import DEVICE, fake_config, fake_record, write_trial
from running import CONFIG, FakeExecutor, run

from bench.config import catalog
from bench.core.backends import TABLE
from bench.core.errors import BenchError
from bench.core.surroundings import command, environment
from bench.profiling.environment import expected_device
from bench.profiling.instruments import OpenGpu, energy_meter
from bench.report.leaderboard import groups
from bench.results.dataframe import load_results
from bench.results.loading import load
from bench.trials.estimate import estimates
from bench.trials.forecasts.forecast import forecasts
from bench.trials.identity import trial_key

SCRIPT = Path(__file__).with_name("parallel_checks.py")
SEVERAL = replace(CONFIG, backend="jax", batch_size=8, devices_per_trial=4)


DIVIDES = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("jax", "tensorflow")]


@pytest.fixture(scope="module", params=DIVIDES)
def backend(request):
    return request.param


@pytest.fixture(scope="module")
def found(backend):
    variables = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, str(SCRIPT)], env=variables, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", ["ce", "0.5*ce+dice", "two"])
def test_after_twenty_steps_losses_and_weights_are_those_of_one_device(found, case):
    if case not in found:
        pytest.skip("a process has one number of devices on TensorFlow")
    assert found[case]["learns"] > 0.2
    assert found[case]["losses"] < 1e-5
    assert found[case]["weights"] < 1e-5
    assert found[case]["logits"] < 1e-5


def test_a_scaled_loss_is_scaled_the_same_on_several_devices(found):
    assert found["half"]["learns"] > 0.2
    assert found["half"]["losses"] < 0.01


def test_each_device_needs_memory_for_its_part_of_the_batch_only(found, backend):
    one, many = found["ce"]["planned"]
    assert (one, many) == (None, None) if backend == "tensorflow" else many < 0.5 * one


def test_more_devices_than_there_are_end_in_a_line(found, backend):
    title = TABLE[backend].title
    assert found["too many"] == f"--devices-per-trial is 8, but {title} finds 4 here: cpu."


def test_random_numbers_of_a_layer_are_those_of_one_device_or_refused_by_name(found, backend):
    if backend == "jax":
        assert found["dropout"] == "nothing"
    else:
        assert "the layer 'spatial_dropout2d" in found["dropout"] and "Leave its dropout out" in found["dropout"]


def refused(**changes):
    with pytest.raises(BenchError) as error:
        catalog.resolve_config(replace(SEVERAL, **changes))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_backend_that_divides_no_batches_is_refused_by_name():
    said = refused(backend="torch")
    assert said == (
        "--devices-per-trial 4 does not run with the backend torch. Use --backend tensorflow or jax, or one device."
    )


@pytest.mark.parametrize(("batch", "devices", "near"), [(10, 4, 12), (2, 3, 3), (1, 64, 64), (16, 5, 20)])
def test_a_batch_that_cannot_be_divided_evenly_is_refused_with_one_that_can(batch, devices, near):
    said = refused(batch_size=batch, devices_per_trial=devices)
    assert said == (
        f"--batch-size is {batch}, which {devices} devices (--devices-per-trial) can't divide evenly. "
        f"Accepted: a multiple of {devices}, such as {near}."
    )


@pytest.mark.parametrize("count", [0, -1, 65, 10**9])
def test_a_number_of_devices_out_of_range_is_refused(count):
    assert refused(devices_per_trial=count).endswith("Accepted: a whole number from 1 to 64.")


@pytest.mark.parametrize(("backend", "jit"), [("jax", "off"), ("tensorflow", "on")])
def test_steps_that_a_backend_cannot_divide_as_wanted_are_refused(backend, jit):
    said = refused(backend=backend, jit=jit)
    assert said == f"--devices-per-trial 4 does not run with --jit {jit} on {backend}. Leave out --jit."


def test_the_number_of_devices_changes_no_key():
    config = catalog.resolve_config(SEVERAL)
    assert trial_key(config, "data") == trial_key(replace(config, devices_per_trial=1), "data")


def test_trials_on_one_and_on_several_devices_are_different_trials(tmp_path):
    configs = [replace(SEVERAL, devices_per_trial=count) for count in (1, 2, 4)]
    ended = {"status": "skipped", "reason": "x"}
    records = run(configs, results=tmp_path, executor=FakeExecutor(ended, ended, ended))
    one = expected_device()
    assert [record.device for record in records] == [one, f"2 x {one}", f"4 x {one}"]
    assert len({record.key for record in records}) == 1
    again = FakeExecutor()
    assert len(run(configs, results=tmp_path, executor=again)) == 3
    assert not again.started
    found = [estimate.done for estimate in estimates(configs, load([tmp_path]).trials)]
    assert found == [True, True, True]
    only = [trial for trial in load([tmp_path]).trials if trial.record.device == one]
    assert [estimate.done for estimate in estimates(configs, only)] == [True, False, False]


def test_a_forecast_of_several_devices_comes_from_such_trials_only(tmp_path):
    for count, seconds in ((1, 400.0), (4, 100.0)):
        stored(tmp_path, count, rate=8000 / seconds, seconds=seconds, device=expected_device())
    configs = [fake_config("unet", seed=5, devices_per_trial=count) for count in (1, 2, 4)]
    by_count = {one.config.devices_per_trial: one.trial for one in forecasts(configs, load([tmp_path]).trials, [])}
    assert by_count[2] is None
    assert by_count[1].middle > 2 * by_count[4].middle


def stored(folder, count, *, rate=40.0, seed=0, arch="unet", seconds=None, device=DEVICE, **changes):
    """Write the record of a trial on so many devices at that training speed."""
    config = fake_config(arch, seed=seed, devices_per_trial=count)
    record, table = fake_record(config, configuration=arch, **changes)
    record = replace(record, speed={**record.speed, "train_images_per_second": rate})
    if seconds:
        training = {**record.training, "train_seconds": seconds}
        record = replace(record, training=training, wall_seconds=seconds + 60)
    name = device if count == 1 else f"{count} x {device}"
    write_trial(folder, replace(record, device=name, key=f"{record.key}-{count}"), table, samples=0)


def test_speed_up_and_efficiency_are_those_against_one_device_of_the_kind(tmp_path):
    stored(tmp_path, 1, rate=38.0)
    stored(tmp_path, 1, rate=42.0, seed=1)
    stored(tmp_path, 1, rate=10.0, arch="deeplab")
    stored(tmp_path, 4, rate=120.0)
    frame = load_results(tmp_path)
    several = frame[frame["devices_per_trial"] == 4].iloc[0]
    assert several["device_speedup"] == pytest.approx(3.0)
    assert several["device_efficiency"] == pytest.approx(0.75)
    assert frame.loc[frame["devices_per_trial"] == 1, ["device_speedup", "device_efficiency"]].isna().all(axis=None)


@pytest.mark.parametrize(
    "only",
    [
        {"arch": "deeplab"},
        {"device": "NVIDIA H200"},
        {"status": "failed"},
        {"environment": {"versions": {"keras": "3.0.0", "tensorflow": "2.19.0"}}},
        None,
    ],
    ids=["another configuration", "another device", "failed", "other versions", "none"],
)
def test_without_the_trial_on_one_device_the_columns_say_not_measured(tmp_path, only):
    stored(tmp_path, 4, rate=120.0)
    if only is not None:
        stored(tmp_path, 1, **only)
    (group,) = (g for g in groups(load_results(tmp_path)) if g.fields["device"].startswith("4 x"))
    cells = group.rows[0].cells
    assert cells["device_speedup"].text == cells["device_efficiency"].text == "not measured"


def test_several_devices_have_a_table_of_their_own_and_one_device_no_such_columns(tmp_path):
    stored(tmp_path, 1)
    stored(tmp_path, 2, rate=70.0)
    tables = {group.fields["device"]: group for group in groups(load_results(tmp_path))}
    assert set(tables) == {DEVICE, f"2 x {DEVICE}"}
    assert tables[f"2 x {DEVICE}"].rows[0].cells["device_efficiency"].text == "0.88"
    assert "device_efficiency" not in tables[DEVICE].columns


def test_the_energy_of_several_gpus_is_not_taken_from_the_counter_of_one():
    meter = energy_meter(OpenGpu(nvml=object()), devices=2)
    assert meter.summary()["method"].startswith("not measured: the trial ran on 2 GPUs")


@pytest.mark.slow
@pytest.mark.parametrize("backend", DIVIDES)
def test_a_trial_over_four_devices_runs_is_tested_and_says_so(tmp_path, backend):
    (record,) = run([replace(SEVERAL, backend=backend)], results=tmp_path)
    assert record.status == "ok", record.reason
    assert record.device == f"4 x {expected_device()}"
    assert backend != "jax" or "device_count=4" in record.environment["variables"]["XLA_FLAGS"]
    assert "train_mfu" not in record.speed
    (trial,) = load([tmp_path]).trials
    evaluated = command("bench", "evaluate", trial.folder.name, "--results", str(tmp_path))
    done = subprocess.run(evaluated, env=environment(backend), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
