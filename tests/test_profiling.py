"""Memory by phases, rates, peaks and traces."""

import json
from itertools import count

import keras
import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.profiling import environment, memory, peaks, trace
from bench.profiling.clock import timing
from bench.profiling.memory import Gauge, MemoryMeter, OnlyRising, Resettable, ResidentSet
from bench.profiling.process_memory import MIB
from bench.training.engines import create_runtime
from bench.trials.record_sections import convergence

RUNTIME = create_runtime(keras.backend.backend())


class Allocator(Resettable):
    """Bytes are taken and given back by hand."""

    held = highest = 0

    def use(self, size):
        self.held += size
        self.highest = max(self.highest, self.held)

    def peak(self):
        return self.highest

    def reset(self):
        self.highest = self.held


class OnlyRises(OnlyRising):
    """A peak set by hand."""

    highest, limits = 0, "JAX can't reset its allocator's peak"

    def overall(self):
        return self.highest

    def held(self):
        return 40 * MIB


def test_peaks_of_phases_and_of_the_whole():
    gauge = Allocator()
    meter = MemoryMeter(gauge)
    gauge.use(100 * MIB)
    with meter.phase("first_step"):
        gauge.use(400 * MIB)
        gauge.use(-400 * MIB)
    gauge.use(900 * MIB)  # between phases: evaluation, such as at native size
    gauge.use(-900 * MIB)
    with meter.phase("train"):
        gauge.use(200 * MIB)
        gauge.use(-200 * MIB)
    with meter.phase("first_step"):  # compiled again, for fine-tuning
        gauge.use(50 * MIB)
    found = meter.summary()
    assert {name: found[name] for name in ("peak_memory_mib", "method", "first_step_peak_mib", "train_peak_mib")} == {
        "peak_memory_mib": 1000.0,
        "method": "device allocator",
        "first_step_peak_mib": 500.0,
        "train_peak_mib": 300.0,
    }
    assert "inference_peak_mib" not in found and "notes" not in found


def test_a_phase_under_a_peak_that_can_not_be_reset_has_no_figure():
    gauge = OnlyRises()
    meter = MemoryMeter(gauge)
    with meter.phase("first_step"):
        gauge.highest = 300 * MIB
    with meter.phase("train"):
        gauge.highest = 310 * MIB
    with meter.phase("inference"):
        pass
    meter.plan("train", 5 * MIB)  # known already
    found = meter.summary()
    assert [found[f"{name}_peak_mib"] for name in memory.PHASES] == [300.0, 310.0, None]
    assert found["notes"] == ["inference: at most the peak of what came before; JAX can't reset its allocator's peak"]


def test_a_plan_stands_for_a_peak_that_is_not_known():
    gauge = OnlyRises()
    gauge.highest = 300 * MIB
    meter = MemoryMeter(gauge)
    with meter.phase("inference"):
        pass
    meter.plan("inference", None)
    assert meter.summary()["inference_peak_mib"] is None
    meter.plan("inference", 80 * MIB)
    found = meter.summary()
    assert found["inference_peak_mib"] == 120.0  # 40 MiB at rest
    assert found["notes"] == ["inference: what was held at rest and XLA's plan; JAX can't reset its allocator's peak"]


def test_a_phase_that_throws_ends_its_thread():
    gauge = ResidentSet()
    with pytest.raises(MemoryError), MemoryMeter(gauge).phase("train"):
        raise MemoryError
    assert not gauge._sampler.alive


def test_sampling_sees_memory_that_is_given_back():
    def peak(size):
        meter = MemoryMeter(ResidentSet())
        with meter.phase("train"):
            held = np.ones(size * MIB, np.uint8)
            del held
        return meter.summary()["train_peak_mib"]

    before = peak(0)
    assert peak(200) > before + 150  # NumPy maps and unmaps so much at once; the thread looks every 5 ms


def test_this_machine_has_a_gauge():
    assert isinstance(RUNTIME.memory_gauge() or ResidentSet(), Gauge)


def test_a_clock_that_goes_backwards_ends_the_timing(monkeypatch):
    times = iter([10.0, 9.5])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(times))
    with pytest.raises(BenchError, match=r"clock went back by 0\.5 s"):
        timing.seconds_of(lambda: None)


def test_a_clock_that_stands_gives_no_infinite_rate(monkeypatch):
    monkeypatch.setattr(timing.time, "perf_counter", lambda: 10.0)
    assert timing.seconds_of(lambda: None) > 0


@pytest.mark.parametrize(("seconds", "calls"), [(0.001, 334), (0.1, 20), (1.0, 5), (4.0, 3)])
def test_a_rate_is_over_enough_calls(monkeypatch, seconds, calls):
    made = count()
    monkeypatch.setattr(timing, "seconds_of", lambda call: next(made) * 0 + seconds)
    assert timing.rate(lambda: None, 8) == pytest.approx(8 / seconds)
    assert next(made) == calls  # 1/3 s and 20 calls; no more than 5 s; 3 at least


def test_shares_by_hand():
    speeds = {"train_images_per_second": 1369.0, "inference_images_per_second": 4000.0}
    peak = {"matmul_tflops": {"float32": 50.0, "bfloat16": 790.0}}
    # U-Net 64..1024 at 256 px, 96.4 GFLOP forward: 3 x 96.4e9 x 1369 = 395.9e12, of 790e12 50.1 %
    found = peaks.shares(speeds, 96.4, "mixed_bfloat16", peak)
    assert found == {"train_mfu": pytest.approx(0.5012, abs=1e-4), "inference_mfu": pytest.approx(0.4881, abs=1e-4)}
    assert peaks.shares(speeds, None, "float32", peak) == {}
    assert peaks.shares({**speeds, "train_images_per_second": None}, 1.0, "float32", peak).keys() == {"inference_mfu"}


@pytest.fixture
def rates(monkeypatch):
    """The FLOP/s and bytes/s that are measured, one after the other, and the machine's load."""
    found = {"products": [], "copies": [], "load": 0.5}
    monkeypatch.setattr(peaks, "_matmul", lambda runtime, dtype: found["products"].pop(0))
    monkeypatch.setattr(peaks, "_copy", lambda runtime: found["copies"].pop(0))
    monkeypatch.setattr(peaks, "load_per_core", lambda: found["load"])
    return found


def test_peaks_are_measured_once_and_the_greater_one_stays(rates):
    device, rates["products"], rates["copies"] = "a device of this test", [4e12, 8e12, 6e12, 7e12], [2e9, 1e9]
    first = peaks.measured_peaks(RUNTIME, device, "float32")
    assert first == {
        "matmul_tflops": {"float32": 4.0, "bfloat16": 8.0},
        "copy_gb_per_s": 2.0,
        "load": 0.5,
        "method": peaks.METHOD,
    }
    assert peaks.measured_peaks(RUNTIME, device, "mixed_bfloat16") == first
    again = peaks.measured_peaks(RUNTIME, device, "float32", again=True)
    assert (again["matmul_tflops"], again["copy_gb_per_s"]) == ({"float32": 6.0, "bfloat16": 8.0}, 2.0)


def test_float16_has_a_peak_of_its_own_where_it_is_asked_for(rates):
    device, rates["products"], rates["copies"] = "a device for float16", [4e12, 8e12, 7e12], [2e9]
    peaks.measured_peaks(RUNTIME, device, "float32")
    found = peaks.measured_peaks(RUNTIME, device, "mixed_float16")
    assert found["matmul_tflops"] == {"float32": 4.0, "bfloat16": 8.0, "float16": 7.0}
    speeds = {"train_images_per_second": 1000.0}
    # 3 x 1 GFLOP x 1,000 images/s = 3e12 of 7e12
    assert peaks.shares(speeds, 1.0, "mixed_float16", found) == {"train_mfu": pytest.approx(3 / 7)}


def test_peaks_of_a_busy_machine_are_measured_again_once_it_is_not(rates):
    device, rates["products"], rates["copies"] = "a busy device", [1e12, 2e12, 4e12, 8e12], [1e9, 2e9]
    for load, expected, noted in ((8.0, 1.0, 8.0), (5.0, 1.0, 8.0), (1.0, 4.0, 1.0), (0.1, 4.0, 1.0)):
        rates["load"] = load
        found = peaks.measured_peaks(RUNTIME, device, "float32")
        assert (found["matmul_tflops"]["float32"], found["load"]) == (expected, noted)


def test_the_load_of_this_machine():
    assert peaks.load_per_core() >= 0


def test_peaks_of_this_machine(monkeypatch):
    monkeypatch.setattr(peaks, "SIZES", (64,))
    found = peaks.measured_peaks(RUNTIME, "another device of this test", "mixed_float16")
    assert min(*found["matmul_tflops"].values(), found["copy_gb_per_s"]) >= 0
    assert json.loads(json.dumps(found)) == found


def test_a_trace_holds_the_steps(tmp_path):
    matrix = keras.ops.ones((16, 16))
    taken = []

    def step():
        taken.append(keras.ops.convert_to_numpy(keras.ops.matmul(matrix, matrix)))

    assert trace.write_trace(RUNTIME, step, tmp_path / "trace") == ""
    assert len(taken) == trace.STEPS
    assert sum(path.stat().st_size for path in (tmp_path / "trace").rglob("*") if path.is_file()) > 0


def test_a_trace_that_fails_is_a_line(tmp_path):
    def step():
        raise RuntimeError("CUPTI is not there\nand more")

    assert trace.write_trace(RUNTIME, step, tmp_path / "trace") == "The trace was not written: CUPTI is not there"


def test_tf32_is_read_as_it_is_set():
    assert isinstance(RUNTIME.allows_tf32(), bool)


@pytest.mark.needs("jax")
@pytest.mark.parametrize(
    ("answer", "version"), [("PJRT C API\ncuda 12080", "12.8"), ("cuda 13000", "13.0"), ("cpu", None)]
)
def test_cuda_of_jax(monkeypatch, answer, version):
    from jax.extend import backend

    monkeypatch.setattr(backend, "get_backend", lambda: type("Backend", (), {"platform_version": answer}))
    assert create_runtime("jax").gpu_libraries()["cuda"] == version


def test_the_variables_name_no_folders():
    assert not [name for name in environment.VARIABLES if name.endswith(("_DIR", "_PATH", "_HOME"))]


def test_the_rise_at_the_end():
    # (0.7 + 0.6) / 2 - (0.5 + 0.4) / 2 = 0.2
    assert convergence([0.1, 0.4, 0.5, 0.6, 0.7]) == {"val_mean_iou_rise": 0.2}
    assert convergence([0.1, 0.4, 0.5]) == {}
    assert convergence([0.5] * 4) == {"val_mean_iou_rise": 0.0}
