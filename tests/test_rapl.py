"""Energy of CPUs by RAPL on made trees of /sys: by hand, wrapped around, unreadable, with several packages."""

import pytest
from fake_host import write_files

from bench.profiling import energy
from bench.profiling.energy import EnergyMeter, train_kwh
from bench.profiling.gpu import Unreadable
from bench.profiling.host import rapl
from bench.profiling.host.rapl import Rapl

RANGE = 262_143_328_850  # microjoules, of a usual server
ZONES = "sys/class/powercap"


def write(root, zones):
    """Write zones by name, such as `intel-rapl:0:2`: what it is, its microjoules, and its range."""
    for zone, (name, value, span) in zones.items():
        files = {"name": name, "energy_uj": value, "max_energy_range_uj": span}
        write_files(root, {f"{ZONES}/{zone}/{file}": content for file, content in files.items()})
    return root


ONE = {"intel-rapl:0": ("package-0", 5_000_000, RANGE), "intel-rapl:0:0": ("core", 4_000_000, RANGE)}
TWO = {
    **ONE,
    "intel-rapl:1": ("package-1", 7_000_000, RANGE),
    "intel-rapl:1:0": ("dram", 1_000_000, RANGE),
    "intel-rapl:2": ("psys", 90_000_000, RANGE),  # the whole machine, packages included
    "intel-rapl-mmio:0": ("package-0", 5_000_000, RANGE),  # the same counter on another way
}


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved, or something sleeps."""
    now = [100.0]
    monkeypatch.setattr(energy.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(rapl.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(rapl.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def counted(root, before, after, seconds=10.0):
    """The joules between two trees."""
    meter = Rapl(write(root, before))
    first = meter.read()
    write(root, after)
    return meter.joules(first, meter.read(), seconds)


def moved(zones, **more):
    """The zones after their counters have moved on by `more` microjoules, by what they are."""
    names = {"package_0": "package-0", "package_1": "package-1"}
    plus = {names.get(name, name): value for name, value in more.items()}
    return {z: (name, (value + plus.get(name, 0)) % (span + 1), span) for z, (name, value, span) in zones.items()}


def test_packages_and_their_memory_are_added_up_and_nothing_counts_twice(tmp_path):
    assert counted(tmp_path / "one", ONE, moved(ONE, package_0=400_000_000, core=300_000_000)) == 400.0
    more = {"package_0": 400_000_000, "package_1": 200_000_000, "dram": 50_000_000, "psys": 900_000_000}
    assert counted(tmp_path / "two", TWO, moved(TWO, **more)) == 650.0


def test_a_counter_that_begins_again_is_counted_on(tmp_path):
    full = {"intel-rapl:0": ("package-0", RANGE - 99_999_999, RANGE), "intel-rapl:1": ("package-1", 0, RANGE)}
    after = moved(full, package_0=400_000_000, package_1=100_000_000)
    assert after["intel-rapl:0"][1] == 300_000_000  # 100 J up to the end, 0 included, and 300 J after it
    assert counted(tmp_path, full, after) == 500.0


def test_after_so_long_that_it_may_have_begun_again_twice_there_is_no_figure(tmp_path):
    with pytest.raises(Unreadable, match=r"begun again twice in 263 s"):
        counted(tmp_path, ONE, ONE, seconds=263.0)
    assert counted(tmp_path, ONE, ONE, seconds=262.0) == 0.0


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({}, r"shows no energy counters of its CPU \(RAPL\)"),
        ({"intel-rapl:0": ("psys", 1, RANGE)}, r"shows no energy counters of its CPU \(RAPL\)"),
        ({**ONE, "intel-rapl:1": ("package-1", "", RANGE)}, r"intel-rapl:1/energy_uj' can't be read"),
        ({**ONE, "intel-rapl:1": ("package-1", "N/A", RANGE)}, r"intel-rapl:1/energy_uj' can't be read"),
        ({"intel-rapl:0": ("package-0", 5, "")}, r"intel-rapl:0/max_energy_range_uj' can't be read"),
    ],
)
def test_a_part_that_can_not_be_read_leaves_no_figure_of_the_rest(tmp_path, broken, reason):
    with pytest.raises(Unreadable, match=reason):
        Rapl(write(tmp_path, broken))


def test_a_counter_for_root_only_says_so(tmp_path, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(13, "Permission denied")

    write(tmp_path, ONE)
    monkeypatch.setattr(rapl.Path, "read_text", refuse)
    monkeypatch.setattr(rapl, "read", lambda path: "package-0")
    with pytest.raises(Unreadable, match=r"can't be read \(Permission denied; root may: chmod a\+r on it\)"):
        Rapl(tmp_path)


def test_the_energy_of_a_trial_on_a_cpu(tmp_path, clock):
    counter = Rapl(write(tmp_path, TWO))
    meter = EnergyMeter(counter)
    with meter.window("joules_per_1000_train_images") as window:
        window.images, clock[0] = 500, clock[0] + 12.5
        write(tmp_path, moved(TWO, package_0=1_000_000_000, package_1=250_000_000))
    # 1,250 J for 500 images
    assert meter.summary() == {"joules_per_1000_train_images": 2500.0, "method": "RAPL", "idle_watts": 0.0}


def test_a_counter_that_vanishes_says_why(tmp_path, clock):
    meter = EnergyMeter(Rapl(write(tmp_path, ONE)))
    with meter.window("joules_per_1000_train_images") as window:
        window.images, clock[0] = 500, clock[0] + 12.5
        (tmp_path / ZONES / "intel-rapl:0/energy_uj").unlink()
    assert meter.summary()["method"].startswith("not measured: '")


def test_what_the_machine_drew_while_the_process_was_stopped_is_no_energy_of_its_work(tmp_path, clock, monkeypatch):
    meter = EnergyMeter(Rapl(write(tmp_path, ONE)))
    with meter.window("joules_per_1000_train_images") as window:
        window.images, clock[0] = 500, clock[0] + 42.5
        write(tmp_path, moved(ONE, package_0=1_000_000_000))
        monkeypatch.setattr(energy, "stalled_since", lambda start: 30.0)
    assert meter.summary()["method"] == "not measured: the process did not run for 30.0 s of the 42.5 s"


def test_kilowatt_hours_by_hand():
    energy = {"joules_per_1000_train_images": 3600.0}
    assert train_kwh(energy, 1_000_000) == {"train_kwh": 1.0}  # 3.6 J an image, 3,600,000 J
    assert train_kwh({"method": "not measured: ..."}, 1_000_000) == {}
