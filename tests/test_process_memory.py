"""The memory that decides a fit: the process's, by NVML or by parts of its resident set, and what sampling costs."""

import os
import sys
import time

import numpy as np
import pytest
from fake_nvml import GPU_IS_LOST, LIBRARY_NOT_FOUND, NOT_SUPPORTED, FakeNvml, NVMLError

from bench.profiling import gpu, process_memory
from bench.profiling.gpu import Nvml
from bench.profiling.instruments import memory_meter, open_gpu
from bench.profiling.memory import MemoryMeter, Resettable
from bench.profiling.process_memory import BY_DIFFERENCE, BY_PARTS, BY_PROCESS, MIB, Parts, ProcessMemory, host_parts
from bench.profiling.sampling import CORE_SHARE, Sampler

PROCESSES, IN_USE = "nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetMemoryInfo"


@pytest.fixture
def nvml(monkeypatch):
    """Install a fake library and return it."""

    def install(**values):
        library = FakeNvml(**values)
        monkeypatch.setitem(sys.modules, "pynvml", library)
        return library

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return install


class Gpu:
    """A backend on a GPU, or on a CPU."""

    def __init__(self, uses=True):
        self.uses_gpu = lambda: uses
        self.memory_gauge = lambda: None


def measured(meter):
    """The process's figure, and how it was measured, after a phase of no work."""
    with meter.phase("train"):
        pass
    found = meter.summary()
    return found.get("process_peak_mib"), found["process_method"]


def test_the_peak_by_process_stays_when_memory_is_given_back(nvml):
    library = nvml(**{PROCESSES: [(os.getpid(), 700 * MIB), (1, 9000 * MIB)]})
    memory = ProcessMemory(Nvml(), before=0)
    memory.read()
    library.values[PROCESSES] = [(os.getpid(), 2500 * MIB)]
    memory.read()
    library.values[PROCESSES] = [(os.getpid(), 600 * MIB)]
    memory.stop()
    found = memory.summary()
    assert (found["process_peak_mib"], found["process_method"]) == (2500.0, BY_PROCESS)


@pytest.mark.parametrize(
    ("listed", "contained", "expected"),
    [
        ([(1, 800 * MIB)], True, (800.0, BY_PROCESS)),  # the only one, by the host's number
        ([(1, 800 * MIB)], False, (512.0, BY_DIFFERENCE)),  # somebody else's
        ([(1, 800 * MIB), (2, 50 * MIB)], True, (512.0, BY_DIFFERENCE)),  # which of them?
        ([], True, (512.0, BY_DIFFERENCE)),
        ([(os.getpid(), None)], False, (512.0, BY_DIFFERENCE)),  # on Windows and on some MIG instances
        (NVMLError(NOT_SUPPORTED), False, (512.0, BY_DIFFERENCE)),
    ],
)
def test_a_process_that_nvml_does_not_tell_is_measured_by_what_was_in_use_before(
    nvml, monkeypatch, listed, contained, expected
):
    library = nvml(**{IN_USE: 1024 * MIB})
    monkeypatch.setattr(gpu, "_in_container", lambda: contained)
    meter = memory_meter(Gpu(), open_gpu(Gpu()))
    library.values |= {PROCESSES: listed, IN_USE: 1536 * MIB}
    assert measured(meter) == expected


def test_a_gpu_that_tells_nothing_has_no_figure_and_the_host_s_memory_never_stands_for_it(nvml):
    nvml(**{PROCESSES: [], IN_USE: NVMLError(GPU_IS_LOST)})
    figure, method = measured(memory_meter(Gpu(), open_gpu(Gpu())))
    assert figure is None and method.startswith("not recorded: NVML lists 0 processes")
    nvml(nvmlInit=NVMLError(LIBRARY_NOT_FOUND))
    assert measured(memory_meter(Gpu(), open_gpu(Gpu()))) == (
        None,
        "not recorded: NVML: NVML Shared Library Not Found",
    )


def test_a_backend_on_the_cpu_is_not_measured_on_the_gpu_that_stands_idle(nvml):
    nvml(**{PROCESSES: [(os.getpid(), 700 * MIB)]})
    found = open_gpu(Gpu(uses=False))
    assert found.nvml is None and not found.reason
    assert measured(memory_meter(Gpu(uses=False), found))[1] != BY_PROCESS


def test_files_do_not_count_on_a_cpu_and_a_short_peak_is_not_lost(monkeypatch):
    # The kernel's exact peak of 900, less files of 200 at most: the rest took 700 at least, although samples saw 450.
    seen = iter([Parts(400, 150, 200, 0), Parts(900, 400, 180, 50), Parts(900, 300, 190, 50)])
    monkeypatch.setattr(process_memory, "host_parts", lambda: Parts(*(MIB * size for size in next(seen))))
    memory = ProcessMemory()
    memory.read()
    memory.read()
    memory.stop()
    found = memory.summary()
    assert (found["process_peak_mib"], found["process_method"]) == (700.0, BY_PARTS)
    assert [found[f"host_{part}_peak_mib"] for part in ("anonymous", "file", "shared")] == [400.0, 200.0, 50.0]


def test_a_system_without_proc_says_so(tmp_path, monkeypatch):
    (tmp_path / "status").write_text("Name: python\nVmHWM: 10 kB\n", encoding="utf-8")  # Linux before 4.5
    assert host_parts(tmp_path / "status") is None and host_parts(tmp_path / "absent") is None
    monkeypatch.setattr(process_memory, "host_parts", lambda: None)
    figure, method = measured(MemoryMeter())
    assert figure is None and method == "not recorded: this system doesn't tell the parts of the RSS"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_an_array_is_anonymous_and_a_mapped_file_is_not(tmp_path):
    def parts():
        memory = ProcessMemory()
        memory.read()
        return memory.summary()

    before = parts()
    held = np.ones(64 * MIB, np.uint8)
    file = np.memmap(tmp_path / "pack", np.uint8, "w+", shape=32 * MIB)
    file[:] = 1
    after = parts()
    del held
    assert after["host_anonymous_peak_mib"] - before["host_anonymous_peak_mib"] > 60
    rest = [after[f"host_{part}_peak_mib"] - before[f"host_{part}_peak_mib"] for part in ("file", "shared")]
    assert sum(rest) > 28  # shared if the folder for temporary files is in memory


class Pool(Resettable):
    """An allocator with a pool that is larger than what it handed out."""

    used, taken = 0, 0

    def peak(self):
        return self.used

    def peak_reserved(self):
        return self.taken

    def reset(self):
        self.used = 0


def test_the_reserved_peak_outlasts_a_reset_and_stands_apart():
    pool = Pool()
    meter = MemoryMeter(pool)
    with meter.phase("first_step"):
        pool.used, pool.taken = 100 * MIB, 640 * MIB
    with meter.phase("train"):
        pool.used, pool.taken = 80 * MIB, 128 * MIB
    found = meter.summary()
    assert (found["peak_memory_mib"], found["reserved_peak_mib"]) == (100.0, 640.0)


def test_jax_s_pool_is_read_where_it_is_told():
    jax_runtime = pytest.importorskip("bench.training.engines.jax_runtime", exc_type=ImportError)
    assert jax_runtime.most_reserved({"bytes_reserved": 0, "pool_bytes": 5, "peak_pool_bytes": 7}) == 7
    assert jax_runtime.most_reserved({"bytes_in_use": 9, "bytes_reserved": 0}) is None


def test_a_reader_that_costs_much_is_called_less_often_and_the_cost_is_told():
    def burn():
        end = time.thread_time() + 0.002
        while time.thread_time() < end:
            pass

    sampler = Sampler(burn, seconds=0.001)
    sampler.start()
    time.sleep(1.0)  # unbounded, there would be hundreds of calls
    sampler.stop()
    # 2 ms a call and 0.3 % of a core: a call every 0.7 s; what one call takes may be over the bound.
    assert 1 <= sampler.samples <= 4
    assert 0 < sampler.core_share < CORE_SHARE + 0.01


def test_a_trial_s_sampling_takes_less_than_a_hundredth_of_a_core():
    memory = ProcessMemory()
    memory.start()
    memory.start()  # the next phase
    time.sleep(0.5)
    memory.stop()
    found = memory.summary()
    assert found["memory_samples"] >= 1 and memory.core_share < 0.01


def test_a_record_tells_the_cost_of_both_samplers_of_memory_on_a_cpu():
    meter = MemoryMeter()
    for _ in range(2):
        with meter.phase("train"):
            time.sleep(0.3)
    assert 0 < meter._gauge.core_share < 0.01 and meter._process.core_share > 0
    told = meter.summary()["memory_sampling_core_share"]
    assert told == pytest.approx(meter._gauge.core_share + meter._process.core_share, abs=1e-5)
