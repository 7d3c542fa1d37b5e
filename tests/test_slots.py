"""The slots for --jobs and --devices: cores and GPUs that a trial has, and what is refused."""

import json
import os
import subprocess
import sys

import pytest
from fake_nvml import FakeNvml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.profiling import environment
from bench.profiling.host import share
from bench.profiling.host.share import Share, parts
from bench.trials.scheduling import slots
from bench.trials.scheduling.slots import local_slots

OVER_FOUR = [TrialConfig("unet", "shapes"), TrialConfig("unet", "shapes", backend="jax", devices_per_trial=4)]


@pytest.fixture
def machine(monkeypatch):
    """A machine with eight cores and GPUs of the given names."""

    def make(*gpus, visible=None):
        monkeypatch.setattr(slots, "usable_cores", lambda: list(range(8)))
        monkeypatch.setattr(environment, "usable_cores", lambda: list(range(8)))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        monkeypatch.setitem(sys.modules, "pynvml", Several(gpus) if gpus else None)
        environment.expected_device.cache_clear()

    yield make
    environment.expected_device.cache_clear()


class Several(FakeNvml):
    """NVML with several GPUs, of which a handle is the index."""

    def __init__(self, names):
        super().__init__()
        self.names = names

    def nvmlDeviceGetCount(self):
        return len(self.names)

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return int(uuid.rpartition("-")[2])

    def nvmlDeviceGetName(self, handle):
        return self.names[handle]


def variables(slot):
    return slot.executor.variables.get("CUDA_VISIBLE_DEVICES"), slot.executor._share


def test_one_trial_at_a_time_has_the_whole_machine(machine):
    machine()
    for jobs in (None, 1):
        (slot,) = local_slots(jobs)
        assert slot.device.endswith(", 8 cores") and variables(slot) == (None, None)


@pytest.mark.parametrize(("jobs", "each"), [(2, 4), (3, 2), (8, 1)])
def test_trials_at_once_share_the_cores_evenly_and_their_device_says_so(machine, jobs, each):
    machine()
    found = local_slots(jobs)
    assert len(found) == jobs and len({slot.device for slot in found}) == 1
    assert found[0].device.endswith(f", {each} of 8 cores")
    cores = [core for slot in found for core in variables(slot)[1].cores]
    assert len(cores) == len(set(cores)) == jobs * each


H200 = "NVIDIA H200"


@pytest.mark.parametrize(
    ("visible", "options", "expected"),
    [
        (None, {"devices": "all"}, ["0", "1", "2", "3"]),
        (None, {"devices": "2, 0"}, ["2", "0"]),
        (None, {"jobs": 3}, ["0", "1", "2"]),
        ("3,1", {"devices": "all"}, ["3", "1"]),
        ("3,1", {"devices": "1"}, ["1"]),
        ("GPU-x-2,GPU-x-0", {"jobs": 2}, ["GPU-x-2", "GPU-x-0"]),
    ],
)
def test_each_trial_sees_a_gpu_of_its_own_among_those_that_are_visible(machine, visible, options, expected):
    machine(*[H200] * 4, visible=visible)
    found = local_slots(**options)
    assert [variables(slot)[0] for slot in found] == expected
    assert {slot.device for slot in found} == {H200}
    assert all((variables(slot)[1] is None) == (len(found) == 1) for slot in found)


@pytest.mark.parametrize(
    ("gpus", "options", "message"),
    [
        ([], {"jobs": 0}, "--jobs is 0. Accepted: how many trials run at once, 1 or more."),
        ([], {"jobs": -2}, "--jobs is -2"),
        ([], {"jobs": 9}, "9 trials at once need a core each, and there are 8"),
        ([], {"devices": "0"}, "names GPUs, and none is found. On a CPU give --jobs N"),
        ([], {"jobs": 2, "devices": "0"}, "not both"),
        ([H200] * 4, {"devices": "7"}, "there is no GPU '7'. Accepted: GPUs 0 to 3, or all of them: all."),
        ([H200], {"devices": "1"}, "Accepted: GPU 0"),
        ([H200] * 4, {"devices": "0,,1"}, "there is no GPU ''"),
        ([H200] * 4, {"devices": "-1"}, "there is no GPU '-1'"),
        ([H200] * 4, {"devices": "٣"}, "there is no GPU"),
        ([H200] * 4, {"devices": "cuda:0"}, "there is no GPU 'cuda:0'"),
        ([H200] * 4, {"devices": "1,1"}, "names a GPU twice"),
        ([H200] * 4, {"jobs": 5}, "NVML shows 4 GPUs, and each trial has one of its own"),
        ([H200] * 9, {"devices": "all"}, "9 trials at once need a core each"),
        ([H200, "NVIDIA L4"], {"devices": "all"}, "several types (NVIDIA H200, NVIDIA L4)"),
        ([], {"jobs": 2, "configs": OVER_FOUR}, "has the machine's first devices. Leave out --jobs and --devices"),
        ([H200] * 8, {"devices": "0", "configs": OVER_FOUR}, "CUDA_VISIBLE_DEVICES chooses the GPUs"),
        ([H200] * 3, {"configs": OVER_FOUR}, "--devices-per-trial is 4. Accepted here: up to 3, one for each GPU."),
        ([H200] * 3 + ["NVIDIA L4"], {"configs": OVER_FOUR}, "Give CUDA_VISIBLE_DEVICES those of one type"),
    ],
)
def test_what_the_machine_cannot_do_is_refused_in_a_line(machine, gpus, options, message):
    machine(*gpus)
    with pytest.raises(BenchError) as error:
        local_slots(**options)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("gpus", [[], [H200] * 4, [H200] * 4 + ["NVIDIA L4"]])
def test_trials_over_several_devices_run_one_at_a_time_with_the_whole_machine(machine, gpus):
    machine(*gpus)
    (slot,) = local_slots(configs=OVER_FOUR)
    assert variables(slot) == (None, None)


@given(cores=st.sets(st.integers(0, 300), min_size=1), data=st.data())
def test_parts_are_equal_and_share_no_core(cores, data):
    count = data.draw(st.integers(1, len(cores)))
    found = parts(sorted(cores), count)
    assert {len(part) for part in found} == {len(cores) // count}
    assert len({core for part in found for core in part}) == sum(map(len, found)) <= len(cores)


def test_the_threads_of_a_core_stay_together(monkeypatch):
    monkeypatch.setattr(share, "_place", lambda core: (0, core % 4, core))  # 0 and 4 are one physical core
    assert parts(range(8), 4) == [(0, 4), (1, 5), (2, 6), (3, 7)]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_a_process_started_in_a_share_has_its_cores_and_the_starter_keeps_its_own():
    before = os.sched_getaffinity(0)
    own = Share((min(before),), len(before), 2)
    program = "import json, os; from bench.profiling.environment import cpu_device, host_environment\n"
    program += "print(json.dumps([sorted(os.sched_getaffinity(0)), cpu_device(), host_environment(gpu=False)]))"
    with own.starting():
        done = subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, **own.environment()}, capture_output=True, text=True
        )
    cores, device, found = json.loads(done.stdout)
    assert cores == [min(before)] and os.sched_getaffinity(0) == before
    assert device.endswith(f", 1 of {len(before)} cores") and device == environment.cpu_device(own)
    assert (found["cores"], found["trials_at_once"]) == (1, 2)
    assert found["variables"]["OMP_NUM_THREADS"] == "1"


def test_the_command_refuses_before_it_writes(tmp_path, machine):
    machine()
    command = ["run", "--arch", "unet", "--dataset", "shapes", "--results", str(tmp_path / "r")]
    for options in (["--jobs", "0"], ["--devices", "7"], ["--jobs", "99"]):
        refused = CliRunner().invoke(app, [*command, *options])
        assert refused.exit_code == 2 and refused.stderr.count("\n") == 1, refused.output
    assert not list(tmp_path.iterdir())


def test_the_plan_warns_that_a_budget_of_time_depends_on_sharing(tmp_path, machine, quick_backend):
    machine()
    command = ["run", "--arch", "unet", "--dataset", "shapes", "--backend", quick_backend, "--dry-run"]
    command += ["--results", str(tmp_path / "r"), "--jobs", "2"]
    timed = CliRunner().invoke(app, [*command, "--budget", "60s"])
    assert "its quality changes, not only its speed" in timed.stderr
    assert "quality" not in CliRunner().invoke(app, [*command, "--budget", "60steps"]).stderr
