"""How busy the CPU was while a trial was measured: from made counters by hand, and with a real process beside it."""

import subprocess
import sys
import time

import pytest
from fake_host import write_files

from bench.profiling.host.cpu_noise import AFTER, BEFORE, CpuNoise, Host

CORES = 2
LIMITED = {  # /job may use one and a half cores
    1: {
        "proc/self/cgroup": "2:cpu,cpuacct:/job\n0::/",
        "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": 150_000,
        "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": 100_000,
    },
    2: {
        "sys/fs/cgroup/cgroup.controllers": "cpu memory",
        "proc/self/cgroup": "0::/job",
        "sys/fs/cgroup/job/cpu.max": "150000 100000",
    },
}
STAT = {1: "sys/fs/cgroup/cpu/job/cpu.stat", 2: "sys/fs/cgroup/job/cpu.stat"}


class Made:
    """A machine of two cores whose counters are set by hand, in hundredths of a second."""

    def __init__(self, root, monkeypatch, version=2):
        self.root, self.version = root, version
        self.now, self.own = 500.0, 7.0
        self.ticks = {core: [1000] * 8 for core in range(4)}  # the trial may use the cores 0 and 1
        write_files(root, {**LIMITED[version], "proc/loadavg": "1.50 1.0 0.9 2/300 4242"})
        monkeypatch.setattr("bench.profiling.host.cpu_noise.EVERY_SECONDS", 3600.0)
        monkeypatch.setattr("bench.profiling.host.cpu_noise.time.monotonic", lambda: self.now)
        self.pass_time(0)
        self.host = Host(root, range(CORES), lambda: self.own)

    def pass_time(self, seconds, *, own=0.0, others=0.0, steal=0.0, elsewhere=0.0, periods=0, stopped=0):
        """Let time pass in which each core works that share for the trial, for others, and for other machines."""
        self.now += seconds
        self.own += CORES * own * seconds
        for core, ticks in self.ticks.items():
            user, stolen = (own + others, steal) if core < CORES else (elsewhere, 0.0)
            for place, share in ((0, user), (7, stolen), (3, 1 - user - stolen)):
                ticks[place] += round(100 * seconds * share)
        lines = [f"cpu{core} {' '.join(map(str, ticks))} 55 0" for core, ticks in self.ticks.items()]
        self.periods = getattr(self, "periods", 40) + periods
        self.stopped = getattr(self, "stopped", 4) + stopped
        limit = f"usage_usec 5\nnr_periods {self.periods}\nnr_throttled {self.stopped}\nthrottled_usec 9"
        write_files(self.root, {"proc/stat": "\n".join(["cpu  1 2 3", *lines, "ctxt 5"]), STAT[self.version]: limit})

    def clock(self, core, *, now, governor="schedutil", **design):
        folder = f"sys/devices/system/cpu/cpu{core}/cpufreq"
        files = {"scaling_cur_freq": now, "scaling_governor": governor, **design}
        write_files(self.root, {f"{folder}/{name}": value for name, value in files.items()})
        self.host = Host(self.root, range(CORES), lambda: self.own)


@pytest.fixture(params=[1, 2])
def machine(tmp_path, monkeypatch, request):
    return Made(tmp_path, monkeypatch, request.param)


def test_the_share_of_others_by_hand(machine):
    noise = CpuNoise(machine.host)
    machine.pass_time(10, own=0.1, others=0.5)
    with noise.phase("train"):
        machine.pass_time(20, own=0.5, others=0.25, elsewhere=1.0)  # work on other cores disturbs none of ours
        machine.pass_time(20, own=0.5, others=0.05, steal=0.1, periods=100, stopped=25)
    machine.pass_time(5, own=0.2)
    with noise.phase("profile"):
        machine.pass_time(10, own=0.9)
    machine.pass_time(2, others=1.0)
    found = noise.summary()
    assert (found["load"], found["limit_cores"]) == (1.5, 1.5)
    assert (found[BEFORE]["others_share"], found[BEFORE]["seconds"]) == (0.5, 10.0)
    # (20 s x 0.25 + 20 s x 0.15) / 40 s; the limit stopped the group in 25 of 100 periods
    assert found["train"] == {
        "seconds": 40.0, "others_share": 0.2, "others_share_worst": 0.2, "own_cores": 1.0, "stopped_share": 0.25,
    }  # fmt: skip
    assert (found["profile"]["others_share"], found["profile"]["own_cores"]) == (0.0, 1.8)
    assert found[AFTER]["others_share"] == pytest.approx(2 / 7, abs=1e-3)
    assert found[AFTER]["load"] == 1.5
    assert found["sampling"]["samples"] == 0


def test_a_phase_that_comes_again_is_added_up_and_the_worst_second_is_kept(machine):
    noise = CpuNoise(machine.host)
    for others in (0.0, 0.6, 0.0):
        with noise.phase("train"):
            machine.pass_time(1, own=0.4, others=others)
            noise._sample()
    train = noise.summary()["train"]
    assert (train["seconds"], train["others_share"], train["others_share_worst"]) == (3.0, 0.2, 0.6)


def test_the_frequency_is_that_of_the_cores_that_worked(tmp_path, monkeypatch):
    machine = Made(tmp_path, monkeypatch)
    machine.clock(0, now=3_000_000, base_frequency=3_200_000, cpuinfo_max_freq=4_500_000)
    machine.clock(1, now=800_000)
    noise = CpuNoise(machine.host)
    with noise.phase("train"):
        machine.pass_time(10, own=0.5)
        machine.ticks[0][0] += 800  # core 0 works 13 s and core 1 works 5 s
        machine.pass_time(0)
        noise._sample()
    found = noise.summary()
    assert found["train"]["mhz"] == round((3000 * 13 + 800 * 5) / 18)
    assert (found["design_mhz"], found["governor"]) == (3200.0, "schedutil")


@pytest.mark.parametrize(
    ("design", "mhz"),
    [
        ({"cpufreq/base_frequency": 2_100_000, "cpufreq/cpuinfo_max_freq": 4_000_000}, 2100.0),
        ({"acpi_cppc/nominal_freq": 2400, "cpufreq/cpuinfo_max_freq": 4_000_000}, 2400.0),
        ({"cpufreq/cpuinfo_max_freq": 4_000_000}, 4000.0),
        ({}, None),
    ],
)
def test_the_frequency_by_design(tmp_path, monkeypatch, design, mhz):
    machine = Made(tmp_path, monkeypatch)
    write_files(tmp_path, {f"sys/devices/system/cpu/cpu0/{name}": value for name, value in design.items()})
    machine.clock(0, now=1_000_000)
    assert machine.host.facts().get("design_mhz") == mhz


def test_a_system_that_says_nothing_leaves_nothing(tmp_path):
    noise = CpuNoise(Host(tmp_path, [0, 1], lambda: 1.0))
    with noise.phase("train"):
        pass
    assert noise.summary() == {}


BUSY = "\nimport time\nend = time.time() + 60\nwhile time.time() < end: pass"


def measured(beside):
    """The share of others while this process works for two seconds, beside so many busy processes."""
    hogs = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(beside)]
    try:
        noise = CpuNoise()
        with noise.phase("train"):
            end = time.monotonic() + 2
            while time.monotonic() < end:
                sum(range(1000))
        return noise.summary()
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_real_processes_beside_a_measurement_are_seen_and_watching_costs_almost_nothing():
    cores = len(Host().cores)
    found = measured(beside=2 * cores)
    assert found["train"]["others_share"] > 0.3  # two thirds by rights
    assert found["sampling"]["core_share"] < 0.01
