"""Energy and GPU state by NVML, with a fake library: values by hand, and the ways in which NVML can be missing."""

import os
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from fake_nvml import GPU_IS_LOST, LIBRARY_NOT_FOUND, NOT_SUPPORTED, FakeNvml, NVMLError, OldNvml

from bench.profiling import energy, gpu, instruments
from bench.profiling.energy import EnergyMeter, NvmlCounter
from bench.profiling.gpu import Nvml, Unreadable
from bench.profiling.host.rapl import Rapl
from bench.training.engines import create_runtime
from bench.trials import model_speed


@pytest.fixture
def nvml(monkeypatch):
    """Install a fake library and return it."""

    def install(kind=FakeNvml, **values):
        library = kind(**values)
        monkeypatch.setitem(sys.modules, "pynvml", library)
        return library

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return install


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    now = [100.0]
    monkeypatch.setattr(energy.time, "perf_counter", lambda: now[0])
    return now


def test_joules_by_hand(nvml, clock):
    library = nvml()
    meter = EnergyMeter(NvmlCounter(Nvml()))
    with meter.window("joules_per_1000_train_images") as window:
        assert window.short
        window.images += 500
        clock[0] += 12.5
        assert not window.short
        library.values["nvmlDeviceGetTotalEnergyConsumption"] += 5_000_000
    # 5,000,000 mJ for 500 images: 10 J an image, 10,000 J for 1,000.
    assert meter.summary() == {
        "joules_per_1000_train_images": 10_000.0,
        "idle_watts": 71.5,
        "method": "NVML total energy",
    }


@pytest.mark.parametrize(
    ("seconds", "counter", "reason"),
    [
        (3.0, 2_000_000, "1000.0 J in 3.0 s are too little to measure"),
        (12.0, 500_000, "the counter went from 1000000 to 500000 mJ in 12.0 s"),  # the driver was loaded anew
        (12.0, NVMLError(GPU_IS_LOST), "NVML: GPU is lost"),
    ],
)
def test_a_window_without_a_figure_says_why(nvml, clock, seconds, counter, reason):
    library = nvml()
    meter = EnergyMeter(NvmlCounter(Nvml()))
    with meter.window("joules_per_1000_inferences") as window:
        window.images += 100
        clock[0] += seconds
        library.values["nvmlDeviceGetTotalEnergyConsumption"] = counter
    assert meter.summary() == {"method": f"not measured: {reason}", "idle_watts": 71.5}


def test_one_figure_of_two_stays(nvml, clock):
    library = nvml()
    meter = EnergyMeter(NvmlCounter(Nvml()))
    with meter.window("joules_per_1000_train_images") as window:
        window.images, clock[0] = 1000, 120.0
        library.values["nvmlDeviceGetTotalEnergyConsumption"] += 1_000_000
    library.values["nvmlDeviceGetTotalEnergyConsumption"] = NVMLError(GPU_IS_LOST)
    with meter.window("joules_per_1000_inferences") as window:
        assert not window.short  # nothing is measured, so nothing waits for 10 seconds
    found = meter.summary()
    assert (found["joules_per_1000_train_images"], found["problem"]) == (1000.0, "not measured: NVML: GPU is lost")


def test_a_gpu_without_the_counter(nvml):
    nvml(nvmlDeviceGetTotalEnergyConsumption=NVMLError(NOT_SUPPORTED))
    meter = EnergyMeter(NvmlCounter(Nvml()))
    with meter.window("joules_per_1000_inferences") as window:
        assert not window.short
    assert meter.summary() == {"method": "not measured: NVML: Not Supported", "idle_watts": 71.5}


def test_idle_power_that_is_not_told_is_a_line_of_its_own(nvml, clock):
    library = nvml(nvmlDeviceGetPowerUsage=NVMLError(NOT_SUPPORTED))
    meter = EnergyMeter(NvmlCounter(Nvml()))
    with meter.window("joules_per_1000_inferences") as window:
        window.images, clock[0] = 1000, 120.0
        library.values["nvmlDeviceGetTotalEnergyConsumption"] += 1_000_000
    assert meter.summary() == {
        "joules_per_1000_inferences": 1000.0,
        "method": "NVML total energy",
        "idle_problem": "not measured: NVML: Not Supported",
    }


def test_the_energy_of_a_trial_is_that_of_bare_steps(nvml, clock):
    library = nvml()
    images = np.zeros((4, 8, 8, 3), np.uint8)

    def spend(seconds, millijoules):
        clock[0] += seconds
        library.values["nvmlDeviceGetTotalEnergyConsumption"] += millijoules

    engine = SimpleNamespace(
        train_step=lambda *batch: spend(0.1, 4 * 10), wait=lambda values: None, planned_bytes=lambda *_: None
    )
    training = SimpleNamespace(
        engine=engine, meter=SimpleNamespace(batch_size=4), steps=lambda count: spend(0.4 * count, 4 * 99 * count)
    )
    phases = SimpleNamespace(phase=lambda name: nullcontext(), plan=lambda *_: None)
    timings = SimpleNamespace(noting=lambda *_: lambda seconds: None)
    meter = EnergyMeter(NvmlCounter(Nvml()))
    found = SimpleNamespace(memory=phases, energy=meter, reads_gpu=False, timings=timings)
    speed, rates = model_speed._harness(training, (images, None, None), found)
    assert speed == {"bare_images_per_second": pytest.approx(40), "harness_efficiency": pytest.approx(0.25)}
    assert rates and rates == [pytest.approx(10)] * len(rates)  # images per second with loader: 4 in 0.4 s
    # 10 mJ an image by the bare step; the 99 mJ of a step through the loader are of another stretch
    assert found.energy.summary()["joules_per_1000_train_images"] == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("backend_sees_gpu", "library", "reason"),
    [
        (False, None, "this machine shows no energy counters of its CPU (RAPL)"),
        (True, None, "nvidia-ml-py is not installed (pip install 'segbench[gpu]')"),
        (True, FakeNvml(nvmlInit=NVMLError(LIBRARY_NOT_FOUND)), "NVML: NVML Shared Library Not Found"),
    ],
)
def test_without_a_counter_a_trial_is_measured_all_the_same(tmp_path, monkeypatch, backend_sees_gpu, library, reason):
    import keras

    monkeypatch.setitem(sys.modules, "pynvml", library)
    runtime = create_runtime(keras.backend.backend())
    monkeypatch.setattr(type(runtime), "uses_gpu", lambda self: backend_sees_gpu)
    monkeypatch.setattr(type(runtime), "memory_gauge", lambda self: None)
    monkeypatch.setattr(instruments, "Rapl", lambda: Rapl(tmp_path))
    found = instruments.Instruments(runtime)
    found.note_state("device_before")
    with found.energy.window("joules_per_1000_train_images") as window:
        assert not window.short
    assert found.energy.summary() == {"method": f"not measured: {reason}"}
    assert not found.reads_gpu and "device_before" not in found.environment()


def test_the_state_of_a_gpu(nvml):
    # 0x4 power cap, 0x40 hardware thermal slowdown, 0x1000 is not known: 0x1044
    pids = [os.getpid(), 17, 18]
    nvml(nvmlDeviceGetCurrentClocksEventReasons=0x1044, nvmlDeviceGetComputeRunningProcesses=pids)
    assert gpu.device_state(Nvml()) == {
        "sm_clock_mhz": 1980,
        "memory_clock_mhz": 3201,
        "power_limit_watts": 700.0,
        "temperature_c": 41,
        "throttle_reasons": ["power cap", "hardware thermal slowdown", "0x1000"],
        "other_processes": 2,
    }


def test_what_a_gpu_does_not_tell_is_left_out(nvml):
    nvml(OldNvml, nvmlDeviceGetTemperature=NVMLError(NOT_SUPPORTED), nvmlDeviceGetCurrentClocksEventReasons=1)
    found = gpu.device_state(Nvml())
    assert "temperature_c" not in found
    assert (found["problem"], found["throttle_reasons"]) == ("NVML: Not Supported", ["idle"])


@pytest.mark.parametrize(
    ("container", "pids", "others"),
    [(True, [4711], 0), (True, [4711, 4712], 1), (False, [4711], 1), (True, [], 0), (True, [os.getpid(), 4711], 1)],
)
def test_in_a_container_one_process_is_taken_to_be_ours(nvml, monkeypatch, container, pids, others):
    nvml(nvmlDeviceGetComputeRunningProcesses=pids)
    monkeypatch.setattr(gpu, "_in_container", lambda: container)
    assert gpu.device_state(Nvml())["other_processes"] == others


@pytest.mark.parametrize(
    ("visible", "asked"),
    [(None, "index 0"), ("2,3", "index 2"), ("GPU-8a1b", "UUID GPU-8a1b"), ("MIG-77f0", "UUID MIG-77f0")],
)
def test_the_gpu_is_the_first_visible_one(nvml, monkeypatch, visible, asked):
    library = nvml()
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    Nvml()
    assert library.asked == [asked]


def test_a_function_that_an_old_package_lacks_is_unreadable(nvml):
    nvml()
    with pytest.raises(Unreadable, match="nvidia-ml-py has no nvmlDeviceGetNothing"):
        Nvml().read("nvmlDeviceGetNothing")


def test_the_device_is_named_by_nvml(nvml, monkeypatch):
    nvml()
    assert (gpu.gpu_name(), gpu.driver_version()) == ("NVIDIA H200", "570.86.15")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert gpu.gpu_name() is None


@pytest.mark.parametrize(("driver", "name"), [(True, gpu.UNKNOWN_GPU), (False, None)])
def test_a_gpu_without_nvidia_ml_py_does_not_pass_for_a_cpu(monkeypatch, tmp_path, driver, name):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    (tmp_path / "version").touch()
    monkeypatch.setattr(gpu, "_DRIVER", tmp_path / ("version" if driver else "none"))
    assert (gpu.gpu_name(), gpu.driver_version()) == (name, None)


def test_a_machine_without_a_gpu_has_none(nvml):
    nvml(nvmlInit=NVMLError(LIBRARY_NOT_FOUND))
    assert gpu.gpu_name() is None
